//! A bias and an activation on rows: `y[m,c] = f(x[m,c] + b[c])`; `dx = dy * f'(x + b)`, `db = sum over m of dx`.

#[cfg(feature = "cuda")]
mod cuda;

use super::activation::{Function, with_activation};
use super::element::{dispatch, dtype_of, slice, with_slice, wrap};
use super::lanes::Lanes;
use super::threads::{fill_rows, rows_per_piece};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use cream_arch::Activation;

const NAME: &str = "bias and activation";

/// Adds `bias` `[C]` to every row of `x` `[M, C]` and applies `activation`.
///
/// # Errors
/// When shapes disagree or a tensor is not contiguous.
pub fn bias_activation(x: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    if bias.dims() != [x.dims2()?.1] {
        candle_core::bail!("{NAME}: input {:?} does not fit bias {:?}", x.dims(), bias.dims());
    }
    x.apply_op2(bias, BiasActivation { activation })
}

/// The gradients of x and the bias from that of the output.
///
/// # Errors
/// When x or the bias is not contiguous.
pub(crate) fn backward(
    x: &Tensor,
    bias: &Tensor,
    dy: &Tensor,
    activation: Activation,
) -> Result<(Tensor, Tensor)> {
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::backward(activation, x, bias, &dy);
    }
    dispatch!(x.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |dy| {
        let (dx, db) = with_slice::<T, _>(x, NAME, |x| with_slice::<T, _>(bias, NAME, |bias| {
            Ok(with_activation!(activation, F => gradients::<T, F>(x, bias, dy)))
        }))?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((dx, Tensor::from_vec(db, bias.shape(), bias.device())?))
    }))
}

struct BiasActivation {
    activation: Activation,
}

impl CustomOp2 for BiasActivation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let storage = dispatch!(dtype_of(x), NAME, T => {
            let (x, bias) = (slice::<T>(x, x_layout, NAME)?, slice::<T>(bias, bias_layout, NAME)?);
            wrap(with_activation!(self.activation, F => forward::<T, F>(x, bias)))
        });
        Ok((storage, x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(self.activation, (x, x_layout), (bias, bias_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, db) = backward(x, bias, dy, self.activation)?;
        Ok((Some(dx), Some(db)))
    }
}

fn forward<T: Lanes, F: Function>(x: &[T], bias: &[T]) -> Vec<T> {
    let channels = bias.len();
    let mut y = vec![T::zero(); x.len()];
    fill_rows(&mut y, channels, rows_per_piece(channels), |first, out| {
        let x = &x[first * channels..first * channels + out.len()];
        for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for ((o, &v), &b) in out.iter_mut().zip(x).zip(bias) {
                *o = F::at(v + b);
            }
        }
    });
    y
}

/// The rows are few (one per image), so the sum over them is not worth splitting.
fn gradients<T: Lanes, F: Function>(x: &[T], bias: &[T], dy: &[T]) -> (Vec<T>, Vec<T>) {
    let channels = bias.len();
    let mut dx = vec![T::zero(); x.len()];
    let mut db = vec![T::zero(); channels];
    let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels));
    for (out, (x, dy)) in dx.chunks_exact_mut(channels).zip(rows) {
        for ((((o, s), &v), &b), &d) in out.iter_mut().zip(&mut db).zip(x).zip(bias).zip(dy) {
            *o = d * F::slope_at(v + b);
            *s += *o;
        }
    }
    (dx, db)
}

#[cfg(test)]
mod tests {
    use super::bias_activation;
    use crate::ops::activation::{ALL, value};
    use crate::ops::check::{
        assert_close, check_gradients, numbers, parameter, precisions, tensor, values,
    };

    #[test]
    fn agrees_with_the_definition() {
        let (x, b) = (numbers(700 * 33, 1), numbers(33, 2));
        for activation in ALL {
            let exact: Vec<f64> =
                x.iter().enumerate().map(|(i, x)| value(activation, x + b[i % 33])).collect();
            for (dtype, tolerance) in precisions(1e-12, 1e-6) {
                let (x, b) = (tensor(&x, &[700, 33], dtype), parameter(&b, &[33], dtype));
                let y = bias_activation(&x, &b, activation).unwrap();
                assert_close(&values(&y), &exact, tolerance, &format!("value in {dtype:?}"));
            }
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        for activation in ALL {
            check_gradients(&[&[6, 5], &[5]], |t| bias_activation(&t[0], &t[1], activation));
        }
    }
}
