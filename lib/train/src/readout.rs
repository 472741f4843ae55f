//! What a step says of its batch: loss, whether its numbers are finite, answers. Read in one go, so that a device is waited
//! for once a step, or by a later one.

use crate::optimizer::Gradient;
use candle_core::{DType, Result, Tensor};
use cream_nn::ops::finite::place_of_non_finite;
use cream_nn::transfer::Download;

/// Numbers on their way from the device.
#[derive(Debug)]
pub(crate) struct Readout(Download);

/// The numbers of a step.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// The mean loss.
    pub loss: f64,
    /// `[N, classes]`, on the CPU.
    pub logits: Tensor,
    place: usize,
}

impl Readout {
    /// Of a step with this loss, these gradients and logits.
    pub fn begin(loss: &Tensor, gradients: &[Gradient<'_>], logits: &Tensor) -> Result<Self> {
        let tensors: Vec<&Tensor> = gradients.iter().map(|g| &g.gradient).collect();
        Ok(Self(Download::begin(&[loss, &place_of_non_finite(&tensors)?, logits])?))
    }

    /// The numbers, once the device has come as far.
    pub fn wait(self) -> Result<Numbers> {
        let tensors = self.0.wait()?;
        let [loss, place, logits] = tensors.as_slice() else {
            candle_core::bail!("{} tensors of a step, not three", tensors.len());
        };
        Ok(Numbers {
            loss: loss.to_dtype(DType::F64)?.to_scalar::<f64>()?,
            place: place.to_scalar::<u32>()? as usize,
            logits: logits.clone(),
        })
    }
}

impl Numbers {
    /// What is not finite, as a sentence; `names` are those of the gradients in their order.
    pub fn problem<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> Option<String> {
        if !self.loss.is_finite() {
            return Some(format!("the loss is {}", self.loss));
        }
        names.nth(self.place).map(|name| format!("the gradient of {name} is not finite"))
    }
}
