//! Batch normalisation fused with the activation behind it (Ioffe and Szegedy, 2015, algorithm 1).
//!
//! ```text
//! y = f(z),  z = (x - mean) / sqrt(var + eps) * weight + bias
//! ```
//! with the mean and biased variance of each channel over all rows, or with given ones. With
//! `g = dy * f'(z)` and `h = (x - mean) / sqrt(var + eps)`, the gradients are `dbias = sum g`, `dweight = sum g h` and
//! `dx = weight / sqrt(var + eps) * (g - dbias / M - h * dweight / M)`.
//!
//! Only the input and 2 C numbers are kept for the backward pass; z is computed again there, which is
//! cheaper than storing it.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use super::activation::with_activation;
use super::element::{Element, dispatch, dtype_of, slice, with_slice, wrap};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use cream_arch::Activation;
use std::sync::{Arc, OnceLock};

pub(crate) use cpu::Moments;

const NAME: &str = "batch norm";

/// Mean and biased variance of every channel of one batch.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Mean, one per channel.
    pub mean: Vec<f64>,
    /// Biased variance, one per channel.
    pub variance: Vec<f64>,
    /// Rows that they were taken over.
    pub rows: usize,
}

/// The statistics of a batch, where it is.
#[derive(Clone, Debug)]
pub enum Seen {
    /// On the CPU.
    Host(Statistics),
    /// On another device, where the running statistics have been moved already: nothing waits for them.
    Device {
        /// Mean `[C]`, in f32.
        mean: Tensor,
        /// Biased variance `[C]`, in f32.
        variance: Tensor,
    },
}

/// Running statistics `[C]` that a batch moves: `running = (1 - momentum) * running + momentum * batch`, the variance
/// unbiased.
#[derive(Clone, Debug)]
pub struct Running {
    /// The mean.
    pub mean: Tensor,
    /// The variance.
    pub variance: Tensor,
    /// The batch's share.
    pub momentum: f64,
}

/// Normalises `x` `[..., C]` with its own statistics, scales and shifts with `weight` and `bias` `[C]`,
/// and applies `activation`. Returns the output, shaped as `x`, and the statistics.
///
/// # Errors
/// When there are fewer than two rows (a variance of one value says nothing), shapes disagree, or
/// a tensor is not contiguous.
pub fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
    activation: Activation,
) -> Result<(Tensor, Seen)> {
    moving(x, weight, bias, epsilon, activation, None)
}

/// The same, which on another device than the CPU moves `running` too. On the CPU its caller does, with what was seen.
///
/// # Errors
/// As for [`batch_norm`].
pub(crate) fn moving(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
    activation: Activation,
    running: Option<Running>,
) -> Result<(Tensor, Seen)> {
    BatchNorm { epsilon, activation, running, residual: None, seen: Arc::default() }
        .of(x, weight, bias)
}

/// The same with `residual`, which is as `x`, added behind the activation, on CUDA in the same pass: y = f(z) + residual.
/// It is for callers with a backward pass of their own, as the residual's gradient is dy itself.
///
/// # Errors
/// As for [`batch_norm`], and when a gradient is to flow to the residual.
pub fn batch_norm_onto(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    epsilon: f64,
    activation: Activation,
    running: Option<Running>,
    residual: &Tensor,
) -> Result<(Tensor, Seen)> {
    if residual.dims() != x.dims() || residual.dtype() != x.dtype() || residual.track_op() {
        candle_core::bail!(
            "{NAME}: a residual {:?} of {:?} on {:?} of {:?}, or one with a gradient",
            residual.dims(),
            residual.dtype(),
            x.dims(),
            x.dtype()
        );
    }
    let together = x.device().is_cuda().then(|| residual.clone());
    let alone = together.is_none();
    let op = BatchNorm { epsilon, activation, running, residual: together, seen: Arc::default() };
    let (y, seen) = op.of(x, weight, bias)?;
    Ok((if alone { (y + residual)? } else { y }, seen))
}

/// Normalises `x` `[..., C]` with given statistics (those of training), for inference; no gradient.
///
/// # Errors
/// When shapes disagree or a tensor is not contiguous.
pub fn normalise(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    epsilon: f64,
    activation: Activation,
) -> Result<Tensor> {
    check_channels(x, &[weight, bias, mean, variance])?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return cuda::given(x, [mean, variance, weight, bias], epsilon, activation);
    }
    let [weight, bias, mean, variance] = [weight, bias, mean, variance].map(channel_values);
    let scale = scales(&weight?, &variance?, epsilon);
    x.apply_op1_no_bwd(&Normalise { mean: mean?, scale, bias: bias?, activation })
}

/// The gradients of x, weight and bias from `[x, weight, bias, dy]`, dy being that of the output of [`batch_norm`], and
/// from what that one has seen.
///
/// # Errors
/// When the statistics are on another device, or a tensor but dy is not contiguous.
pub(crate) fn backward(
    [x, weight, bias, dy]: [&Tensor; 4],
    seen: &Seen,
    epsilon: f64,
    activation: Activation,
) -> Result<(Tensor, Tensor, Tensor)> {
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if let Seen::Device { mean, variance } = seen {
        return cuda::backward([x, weight, bias, &dy], (mean, variance), epsilon, activation);
    }
    let Seen::Host(statistics) = seen else {
        candle_core::bail!("{NAME}: statistics on a device that there are no kernels for");
    };
    let (weights, bias) = (channel_values(weight)?, channel_values(bias)?);
    let affine = cpu::Affine { weight: weights, bias, epsilon, statistics };
    let grads = dispatch!(x.dtype(), NAME, T => with_slice::<T, _>(x, NAME, |xs| {
        with_slice::<T, _>(&dy, NAME, |dys| {
            let g = with_activation!(activation, F => cpu::backward::<T, F>(xs, dys, &affine));
            Ok((Tensor::from_vec(g.dx, x.shape(), x.device())?, g.dweight, g.dbias))
        })
    })?);
    let vector = |v: Vec<f64>| Tensor::from_vec(v, weight.shape(), x.device())?.to_dtype(x.dtype());
    Ok((grads.0, vector(grads.1)?, vector(grads.2)?))
}

fn check_channels(x: &Tensor, vectors: &[&Tensor]) -> Result<()> {
    let channels = x.dims().last().copied().unwrap_or(0);
    if channels == 0 || vectors.iter().any(|v| v.dims() != [channels]) {
        let shapes: Vec<_> = vectors.iter().map(|v| v.dims()).collect();
        candle_core::bail!("{NAME}: input {:?} does not fit channel vectors {shapes:?}", x.dims());
    }
    Ok(())
}

fn widen<T: Element>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.to_f64()).collect()
}

fn channel_values(v: &Tensor) -> Result<Vec<f64>> {
    v.to_dtype(candle_core::DType::F64)?.to_vec1()
}

/// weight / sqrt(variance + epsilon), one per channel.
fn scales(weight: &[f64], variance: &[f64], epsilon: f64) -> Vec<f64> {
    weight.iter().zip(variance).map(|(w, v)| w / (v + epsilon).sqrt()).collect()
}

fn too_few_rows<R>() -> Result<R> {
    candle_core::bail!(
        "{NAME} in training needs more than one value per channel; use a larger batch or image"
    )
}

struct BatchNorm {
    epsilon: f64,
    activation: Activation,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "the CPU's caller moves them"))]
    running: Option<Running>,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "the CPU's caller adds it"))]
    residual: Option<Tensor>,
    seen: Arc<OnceLock<Seen>>,
}

impl BatchNorm {
    /// The output, and what was seen.
    fn of(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Seen)> {
        check_channels(x, &[weight, bias])?;
        let seen = self.seen.clone();
        let y = x.apply_op3(weight, bias, self)?;
        match seen.get() {
            Some(seen) => Ok((y, seen.clone())),
            None => candle_core::bail!("{NAME}: the forward pass left no statistics"),
        }
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let channels = weight_layout.shape().dims1()?;
        let storage = dispatch!(dtype_of(x), NAME, T => {
            let x = slice::<T>(x, x_layout, NAME)?;
            let weight = widen(slice::<T>(weight, weight_layout, NAME)?);
            let bias = widen(slice::<T>(bias, bias_layout, NAME)?);
            if x.len() / channels < 2 {
                return too_few_rows();
            }
            let s = cpu::statistics(x, channels);
            let scale = scales(&weight, &s.variance, self.epsilon);
            let y = with_activation!(self.activation, F => cpu::normalise::<T, F>(x, &s.mean, &scale, &bias));
            // A second pass through one operation would be on the same batch.
            _ = self.seen.set(Seen::Host(s));
            wrap(y)
        });
        Ok((storage, x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(self, (x, x_layout), (weight, weight_layout), (bias, bias_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(seen) = self.seen.get() else {
            candle_core::bail!("{NAME}: a backward pass without its forward pass");
        };
        let tensors = [x, weight, bias, dy];
        let (dx, dweight, dbias) = backward(tensors, seen, self.epsilon, self.activation)?;
        Ok((Some(dx), Some(dweight), Some(dbias)))
    }
}

struct Normalise {
    mean: Vec<f64>,
    scale: Vec<f64>,
    bias: Vec<f64>,
    activation: Activation,
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = dispatch!(dtype_of(x), NAME, T => {
            let x = slice::<T>(x, layout, NAME)?;
            let y = with_activation!(self.activation, F => cpu::normalise::<T, F>(x, &self.mean, &self.scale, &self.bias));
            wrap(y)
        });
        Ok((storage, layout.shape().clone()))
    }
}
