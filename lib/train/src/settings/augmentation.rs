//! Augmentation, shared by search and retraining, and how evaluation cuts images.

use super::{check, check_count, check_range};
use crate::TrainError;
use cream_arch::{EvaluationTransform, Interpolation};
use cream_data::transform::RandAugment;
use cream_data::{EvalTransform, Filter, TrainCrop, TrainInterpolation, TrainTransform};
use serde::{Deserialize, Serialize};

/// How training images are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropKind {
    /// A random rectangle, resized: photographs.
    ResizedCrop,
    /// No resizing; the image is padded or cropped to size and shifted: small images.
    PadCrop,
}

/// Which augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// The evaluation transform.
    None,
    /// Random crop, flip, colour jitter and erasing.
    Basic,
    /// The same with RandAugment after the flip.
    Full,
}

/// Augmentation of training images, shared by search and retraining.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Augmentation {
    /// `full`, `basic` or `none`.
    pub augment: Augment,
    /// `resized-crop` or `pad-crop`; by default what fits the evaluation transform.
    pub transform: Option<CropKind>,
    /// Area of a resized crop, as shares of the image.
    pub scale: [f64; 2],
    /// Largest shift of a pad-crop in pixels.
    pub shift: usize,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Operations of RandAugment that are drawn for every image, if `augment` is `full`.
    pub rand_operations: usize,
    /// Mean magnitude of these operations, of 10.
    pub rand_magnitude: f64,
    /// Brightness, contrast and saturation are scaled by up to 1 +- this.
    pub colour_jitter: f64,
    /// Probability of erasing a rectangle.
    pub erasing: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            augment: Augment::Basic,
            transform: None,
            scale: [0.08, 1.0],
            shift: 4,
            flip: 0.5,
            rand_operations: 2,
            rand_magnitude: 9.0,
            colour_jitter: 0.4,
            erasing: 0.2,
        }
    }
}

impl Augmentation {
    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self) -> Result<(), TrainError> {
        let [low, high] = self.scale;
        check(0.0 < low && low <= high && high <= 1.0, || {
            format!(
                "scale is [{low}, {high}]; give two shares of the image above 0, the smaller first"
            )
        })?;
        check_count("shift", self.shift, 0..=4096)?;
        check_range("flip", self.flip, 0.0..=1.0)?;
        check_count("rand-operations", self.rand_operations, 1..=16)?;
        check_range("rand-magnitude", self.rand_magnitude, 0.0..=10.0)?;
        check_range("colour-jitter", self.colour_jitter, 0.0..=1.0)?;
        check_range("erasing", self.erasing, 0.0..=1.0)
    }

    /// The crop: the one given, or what fits how the network is evaluated.
    pub fn crop_kind(&self, evaluation: EvaluationTransform) -> CropKind {
        self.transform.unwrap_or(match evaluation {
            EvaluationTransform::ResizeCrop { .. } => CropKind::ResizedCrop,
            EvaluationTransform::PadCrop => CropKind::PadCrop,
        })
    }

    /// The transform for training images of `image_size` pixels; `None` when there is no augmentation.
    pub fn train_transform(
        &self,
        image_size: usize,
        evaluation: EvaluationTransform,
    ) -> Option<TrainTransform> {
        if self.augment == Augment::None {
            return None;
        }
        let crop = match self.crop_kind(evaluation) {
            CropKind::ResizedCrop => TrainCrop::ResizedCrop {
                image_size,
                scale: (self.scale[0], self.scale[1]),
                ratio: (3.0 / 4.0, 4.0 / 3.0),
                interpolation: TrainInterpolation::Random,
            },
            CropKind::PadCrop => TrainCrop::PadCrop { image_size, shift: self.shift },
        };
        let Self { flip, colour_jitter, erasing, .. } = *self;
        Some(TrainTransform {
            crop,
            flip,
            rand_augment: (self.augment == Augment::Full).then(|| RandAugment {
                operations: self.rand_operations,
                magnitude: self.rand_magnitude,
                ..RandAugment::default()
            }),
            colour_jitter,
            erasing,
            mixing: None,
        })
    }
}

/// The evaluation transform of an architecture as the loader takes it.
pub fn eval_transform(image_size: usize, evaluation: EvaluationTransform) -> EvalTransform {
    match evaluation {
        EvaluationTransform::ResizeCrop { crop, interpolation } => {
            let filter = match interpolation {
                Interpolation::Bilinear => Filter::Bilinear,
                Interpolation::Bicubic => Filter::Bicubic,
            };
            EvalTransform::ResizeCrop { image_size, crop, filter }
        }
        EvaluationTransform::PadCrop => EvalTransform::PadCrop { image_size },
    }
}
