//! What happens between an encoded image and a batch: crops, resizing, flips, colour, erasing.

pub mod colour;
mod crop;
mod erase;
mod eval;
pub mod geometry;
mod plane;
mod randaugment;
mod resize;
pub mod tone;
mod train;
mod views;

pub use crop::{centre_offset, paste_centred};
pub use eval::EvalTransform;
pub(crate) use plane::resize_planes;
pub use randaugment::{MagnitudeForm, RandAugment};
pub use resize::{Area, Filter, ResizeScratch, Window, resize};
pub use train::{TrainCrop, TrainInterpolation, TrainTransform};
pub use views::{Crops, Views};

use crate::error::DataError;

/// Any of the transforms, for loaders over an explicit list of samples.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Augmentation keyed by (seed, epoch, sample).
    Train(TrainTransform),
    /// The same crop every time.
    Eval(EvalTransform),
    /// The same crops every time: in the batch each sample stands once for each of them.
    Views(EvalTransform, Views),
}

impl From<TrainTransform> for Transform {
    fn from(transform: TrainTransform) -> Self {
        Self::Train(transform)
    }
}

impl From<EvalTransform> for Transform {
    fn from(transform: EvalTransform) -> Self {
        Self::Eval(transform)
    }
}

impl Transform {
    /// Side of the square output in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match self {
            Self::Train(transform) => transform.crop.image_size(),
            Self::Eval(transform) | Self::Views(transform, _) => transform.image_size(),
        }
    }

    /// How many images a batch holds of every sample.
    #[must_use]
    pub fn views(&self) -> usize {
        match self {
            Self::Train(_) | Self::Eval(_) => 1,
            Self::Views(_, views) => views.count(),
        }
    }

    /// Checks every setting's range.
    ///
    /// # Errors
    /// [`DataError::Setting`] naming the setting.
    pub fn check(&self) -> Result<(), DataError> {
        match self {
            Self::Train(transform) => transform.check(),
            Self::Eval(transform) | Self::Views(transform, _) => transform.check(),
        }
    }
}

/// Largest side of an output image, which bounds what a batch can ask for.
const MAX_IMAGE_SIZE: usize = 4096;

pub(crate) fn require(
    good: bool,
    name: &'static str,
    value: impl ToString,
    allowed: &'static str,
) -> Result<(), DataError> {
    if good { Ok(()) } else { Err(DataError::Setting { name, value: value.to_string(), allowed }) }
}

fn check_image_size(size: usize) -> Result<(), DataError> {
    require((1..=MAX_IMAGE_SIZE).contains(&size), "image size", size, "1 to 4096")
}
