//! Parameters as a pass multiplies with them, and their gradients on the way out.

use crate::layers::Gradients;
use candle_core::{DType, Result, Tensor, Var};

/// A parameter's values in the activations' dtype, as a constant.
pub(super) fn values(parameter: &Var, dtype: DType) -> Result<Tensor> {
    parameter.as_detached_tensor().to_dtype(dtype)
}

/// Hands a parameter's gradient over, shaped as the parameter and in its dtype.
pub(super) fn give(sink: &Gradients, parameter: &Var, gradient: &Tensor) -> Result<()> {
    sink.put(parameter, gradient.reshape(parameter.shape())?.to_dtype(parameter.dtype())?);
    Ok(())
}
