//! From batches of the loader to tensors.

use crate::TrainError;
use crate::incoming::Sent;
use crate::precision::Precision;
use crate::targets::mixed;
use candle_core::{DType, Device, Tensor};
use cream_arch::Input;
use cream_data::{Batch, Erasure, Mix};
use cream_nn::ops::images::{Erased, ImagePlan, Mixed, Rectangle, Treatment, normalise};

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

    /// Normalised images `[N, H, W, 3]`, on another device than the CPU made there of their pixels.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn images(&self, batch: &Batch) -> Result<Tensor, TrainError> {
        let shape = shape(batch);
        if !self.device.is_cpu() {
            let pixels = Tensor::from_slice(&batch.pixels, shape, &self.device)?;
            return Ok(self.normalised(&pixels, batch)?);
        }
        let values = batch.normalise(self.mean, self.std);
        #[cfg(test)]
        let values = if self.spoiled.is_some_and(|first| batch.index >= first) {
            spoil(values)
        } else {
            values
        };
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }

    /// The same of a batch that was sent ahead.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn images_of(&self, sent: &Sent) -> Result<Tensor, TrainError> {
        let batch = &sent.batch;
        match &sent.pixels {
            Some(pixels) => Ok(pixels.with(shape(batch), |p| self.normalised(p, batch))?),
            None => self.images(batch),
        }
    }

    /// What [`Batch::normalise`] makes, of pixels on the device.
    fn normalised(&self, pixels: &Tensor, batch: &Batch) -> candle_core::Result<Tensor> {
        let treatment = |erasure: &Option<Erasure>| {
            let erased = erasure.map(|Erasure { y, x, height, width, noise }| {
                let rectangle = Rectangle { y, x, height, width };
                Erased { rectangle, key: noise }
            });
            Treatment { mirrored: false, erased }
        };
        let some = batch.erasures.iter().any(Option::is_some);
        let treatments: Vec<Treatment> =
            batch.erasures.iter().filter(|_| some).map(treatment).collect();
        let mixed = batch.mix.map(|mix| match mix {
            Mix::Blend { share } => Mixed::Blend { share },
            Mix::Exchange { y, x, height, width } => {
                Mixed::Exchange(Rectangle { y, x, height, width })
            }
        });
        let [mean, std] = [self.mean, self.std].map(|channels| channels.map(f64::from));
        let plan = ImagePlan { mean, std, treatments: &treatments, mixed };
        normalise(pixels, &plan, self.precision.dtype())
    }

    /// Labels `[N, classes]`, mixed as the images are, and smoothed.
    ///
    /// # Errors
    /// When a label is out of range.
    pub fn targets(&self, batch: &Batch, smoothing: f64) -> Result<Tensor, TrainError> {
        Ok(mixed(batch.mixed_labels(), self.classes, smoothing, DType::F32, &self.device)?)
    }
}

/// Of the images of a batch.
fn shape(batch: &Batch) -> (usize, usize, usize, usize) {
    (batch.len(), batch.image_size, batch.image_size, 3)
}

#[cfg(test)]
fn spoil(mut values: Vec<f32>) -> Vec<f32> {
    if let Some(last) = values.last_mut() {
        *last = f32::INFINITY;
    }
    values
}
