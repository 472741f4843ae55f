//! From batches of the loader to tensors.

use crate::TrainError;
use crate::incoming::Sent;
use crate::precision::Precision;
use crate::targets::mixed;
use candle_core::{DType, Device, Tensor};
use cream_arch::Input;
use cream_data::Batch;
use cream_nn::transfer::to_device;

/// How a network wants its images and labels.
#[derive(Clone, Debug)]
pub struct Feed {
    mean: [f32; 3],
    std: [f32; 3],
    classes: usize,
    device: Device,
    precision: Precision,
    /// Makes the last image infinite of every batch of an epoch from this one on.
    #[cfg(test)]
    pub(crate) spoiled: Option<usize>,
}

impl Feed {
    /// For a network of `classes` outputs on a device, with activations in this precision.
    pub fn new(input: &Input, classes: usize, (device, precision): (&Device, Precision)) -> Self {
        let narrow = |v: [f64; 3]| v.map(|v| v as f32);
        let (mean, std) = (narrow(input.mean), narrow(input.std));
        Self {
            mean,
            std,
            classes,
            device: device.clone(),
            precision,
            #[cfg(test)]
            spoiled: None,
        }
    }

    /// Normalised images `[N, H, W, 3]`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn images(&self, batch: &Batch) -> Result<Tensor, TrainError> {
        let shape = (batch.len(), batch.image_size, batch.image_size, 3);
        let values = batch.normalise(self.mean, self.std);
        #[cfg(test)]
        let values = if self.spoiled.is_some_and(|first| batch.index >= first) {
            spoil(values)
        } else {
            values
        };
        let images = to_device(values, shape, &self.device)?;
        Ok(images.to_dtype(self.precision.dtype())?)
    }

    /// The same of a batch that was sent ahead.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn images_of(&self, sent: &Sent) -> Result<Tensor, TrainError> {
        self.images(&sent.batch)
    }

    /// Labels `[N, classes]`, mixed as the images are, and smoothed.
    ///
    /// # Errors
    /// When a label is out of range.
    pub fn targets(&self, batch: &Batch, smoothing: f64) -> Result<Tensor, TrainError> {
        Ok(mixed(batch.mixed_labels(), self.classes, smoothing, DType::F32, &self.device)?)
    }
}

#[cfg(test)]
fn spoil(mut values: Vec<f32>) -> Vec<f32> {
    if let Some(last) = values.last_mut() {
        *last = f32::INFINITY;
    }
    values
}
