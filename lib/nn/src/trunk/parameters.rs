//! Parameters on their way into kernels, and their gradients on the way out.

use crate::layers::Gradients;
use crate::ops::buffer::Pooled;
use crate::ops::element::with_slice;
use candle_core::{Result, Tensor, Var};

/// Runs `f` on a parameter's values.
pub(crate) fn with_values<T: Pooled, R>(parameter: &Var, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    with_slice(&parameter.as_detached_tensor(), "trunk", |values| Ok(f(values)))
}

/// A copy of a parameter's values.
pub(crate) fn values<T: Pooled>(parameter: &Var) -> Result<Vec<T>> {
    with_values(parameter, <[T]>::to_vec)
}

/// Hands a parameter's gradient over.
pub(crate) fn give<T: Pooled>(sink: &Gradients, parameter: &Var, gradient: Vec<T>) -> Result<()> {
    sink.put(parameter, Tensor::from_vec(gradient, parameter.shape(), parameter.device())?);
    Ok(())
}

/// The same for a gradient in float64.
pub(crate) fn give_wide<T: Pooled>(
    sink: &Gradients,
    parameter: &Var,
    gradient: &[f64],
) -> Result<()> {
    give(sink, parameter, gradient.iter().map(|&v| T::from_f64(v)).collect())
}
