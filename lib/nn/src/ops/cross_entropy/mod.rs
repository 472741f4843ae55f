//! Cross-entropy of logits with a target distribution, averaged over the batch.
//!
//! ```text
//! loss = -1/N sum over n,c of t[n,c] * log softmax(z)[n,c]
//! dz = (softmax(z) * sum over c of t - t) / N
//! ```
//! It is linear in the target, so smoothed labels (Szegedy et al., 2016, section 7), a teacher's soft
//! labels and any mixture of the two are one operator with one target.

#[cfg(feature = "cuda")]
mod cuda;

use super::element::{Element, dispatch, dtype_of, slice, with_slice, wrap};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

const NAME: &str = "cross-entropy";

/// The mean cross-entropy of `logits` `[N, classes]` with `target` `[N, classes]`, a scalar. The target
/// is a constant: no gradient flows to it.
///
/// # Errors
/// When shapes disagree, the batch is empty, or a tensor is not contiguous.
pub fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    if logits.dims2()? != target.dims2()? || logits.elem_count() == 0 {
        candle_core::bail!("{NAME}: logits {:?}, target {:?}", logits.dims(), target.dims());
    }
    logits.apply_op2(&target.detach(), CrossEntropy)
}

struct CrossEntropy;

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let classes = z_layout.shape().dims2()?.1;
        let storage = dispatch!(dtype_of(z), NAME, T => {
            let z = slice::<T>(z, z_layout, NAME)?;
            let target = slice::<T>(target, target_layout, NAME)?;
            wrap(vec![forward(z, target, classes)])
        });
        Ok((storage, ().into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        z: &CudaStorage,
        z_layout: &Layout,
        target: &CudaStorage,
        target_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward((z, z_layout), (target, target_layout))
    }

    fn bwd(
        &self,
        z: &Tensor,
        target: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if z.device().is_cuda() {
            return Ok((Some(cuda::backward(z, target, &dy.contiguous()?)?), None));
        }
        let classes = z.dim(1)?;
        let dy = dy.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?;
        dispatch!(z.dtype(), NAME, T => with_slice::<T, _>(z, NAME, |zs| {
            let dz = with_slice::<T, _>(target, NAME, |t| Ok(backward(zs, t, classes, dy)))?;
            Ok((Some(Tensor::from_vec(dz, z.shape(), z.device())?), None))
        }))
    }
}

/// The maximum of a row and the sum of e^(z - maximum).
fn row_sum<T: Element>(z: &[T]) -> (T, T) {
    let top = z.iter().fold(z[0], |m, &v| m.maximum(v));
    (top, z.iter().fold(T::zero(), |s, &v| s + Element::exp(v - top)))
}

fn forward<T: Element>(z: &[T], target: &[T], classes: usize) -> T {
    let rows = z.chunks_exact(classes).zip(target.chunks_exact(classes));
    let total: f64 = rows
        .map(|(z, t)| {
            let (top, sum) = row_sum(z);
            let log_sum = top + Element::ln(sum);
            z.iter().zip(t).map(|(&z, &t)| (t * (log_sum - z)).to_f64()).sum::<f64>()
        })
        .sum();
    T::from_f64(total / (z.len() / classes) as f64)
}

fn backward<T: Element>(z: &[T], target: &[T], classes: usize, dy: f64) -> Vec<T> {
    let scale = T::from_f64(dy / (z.len() / classes) as f64);
    let mut dz = vec![T::zero(); z.len()];
    let rows = z.chunks_exact(classes).zip(target.chunks_exact(classes));
    for (out, (z, t)) in dz.chunks_exact_mut(classes).zip(rows) {
        let (top, sum) = row_sum(z);
        let mass = t.iter().fold(T::zero(), |s, &t| s + t) / sum;
        for ((o, &z), &t) in out.iter_mut().zip(z).zip(t) {
            *o = (Element::exp(z - top) * mass - t) * scale;
        }
    }
    dz
}

#[cfg(test)]
mod tests {
    use super::cross_entropy;
    use crate::ops::check::{assert_close, check_gradients_to_f32, numbers, tensor, values};
    use candle_core::DType;

    #[test]
    fn agrees_with_the_definition() {
        let (n, c) = (7, 11);
        let z: Vec<f64> = numbers(n * c, 1).iter().map(|v| v * 30.0).collect();
        let t: Vec<f64> = numbers(n * c, 2).iter().map(|v| v + 1.0).collect();
        let exact: f64 = (0..n)
            .map(|i| {
                let row = &z[i * c..(i + 1) * c];
                let log_sum = row.iter().map(|v| v.exp()).sum::<f64>().ln();
                (0..c).map(|j| t[i * c + j] * (log_sum - row[j])).sum::<f64>()
            })
            .sum::<f64>()
            / n as f64;
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let loss = cross_entropy(&tensor(&z, &[n, c], dtype), &tensor(&t, &[n, c], dtype));
            assert_close(
                &values(&loss.unwrap()),
                &[exact],
                tolerance,
                &format!("loss in {dtype:?}"),
            );
        }
    }

    #[test]
    fn gradient_agrees_with_differences() {
        let target = tensor(&numbers(12, 9), &[3, 4], DType::F64);
        check_gradients_to_f32(&[&[3, 4]], |t| {
            let target = target.to_dtype(t[0].dtype())?.to_device(t[0].device())?;
            cross_entropy(&(&t[0] * 3.0)?, &target)
        });
    }
}
