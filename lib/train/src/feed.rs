//! From batches of the loader to tensors.

use crate::TrainError;
use crate::targets::smoothed;
use candle_core::{DType, Device, Tensor};
use cream_arch::Input;
use cream_data::Batch;

/// How a network wants its images and labels.
#[derive(Clone, Debug)]
pub struct Feed {
    mean: [f32; 3],
    std: [f32; 3],
    classes: usize,
    device: Device,
}

impl Feed {
    /// For a network of `classes` outputs on `device`.
    pub fn new(input: &Input, classes: usize, device: &Device) -> Self {
        let narrow = |v: [f64; 3]| v.map(|v| v as f32);
        let (mean, std) = (narrow(input.mean), narrow(input.std));
        Self { mean, std, classes, device: device.clone() }
    }

    /// The same, with what it makes of pixels multiplied: to make it go wrong.
    #[cfg(test)]
    pub(crate) fn scaled(&self, factor: f32) -> Self {
        Self { std: self.std.map(|std| std / factor), ..self.clone() }
    }

    /// Normalised images `[N, H, W, 3]`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn images(&self, batch: &Batch) -> Result<Tensor, TrainError> {
        let shape = (batch.len(), batch.image_size, batch.image_size, 3);
        Ok(Tensor::from_vec(batch.normalise(self.mean, self.std), shape, &self.device)?)
    }

    /// Smoothed labels `[N, classes]`.
    ///
    /// # Errors
    /// When a label is out of range.
    pub fn targets(&self, batch: &Batch, smoothing: f64) -> Result<Tensor, TrainError> {
        Ok(smoothed(&batch.labels, self.classes, smoothing, DType::F32, &self.device)?)
    }
}
