//! The transform of images when evaluating.

use serde::{Deserialize, Serialize};

/// How an image of any size becomes `image_size` squared, when evaluating.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EvaluationFields", into = "EvaluationFields")]
pub enum EvaluationTransform {
    /// The shorter side is scaled to `image_size / crop`, then the centre is cut out.
    ResizeCrop {
        /// Fraction of the scaled shorter side that is kept, in (0, 1].
        crop: f64,
        /// Filter of the scaling.
        interpolation: Interpolation,
    },
    /// No scaling: padded with black or cropped about the centre, for small images.
    PadCrop,
}

/// `EvaluationTransform` as the file spells it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluationFields {
    method: EvaluationMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interpolation: Option<Interpolation>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EvaluationMethod {
    ResizeCrop,
    PadCrop,
}

impl TryFrom<EvaluationFields> for EvaluationTransform {
    type Error = String;

    fn try_from(fields: EvaluationFields) -> Result<Self, String> {
        match (fields.method, fields.crop, fields.interpolation) {
            (EvaluationMethod::ResizeCrop, Some(crop), Some(interpolation)) => {
                Ok(Self::ResizeCrop { crop, interpolation })
            }
            (EvaluationMethod::ResizeCrop, ..) => {
                Err("method resize-crop needs both crop and interpolation".to_owned())
            }
            (EvaluationMethod::PadCrop, None, None) => Ok(Self::PadCrop),
            (EvaluationMethod::PadCrop, ..) => {
                Err("method pad-crop takes neither crop nor interpolation".to_owned())
            }
        }
    }
}

impl From<EvaluationTransform> for EvaluationFields {
    fn from(transform: EvaluationTransform) -> Self {
        match transform {
            EvaluationTransform::ResizeCrop { crop, interpolation } => Self {
                method: EvaluationMethod::ResizeCrop,
                crop: Some(crop),
                interpolation: Some(interpolation),
            },
            EvaluationTransform::PadCrop => {
                Self { method: EvaluationMethod::PadCrop, crop: None, interpolation: None }
            }
        }
    }
}

/// Filter for scaling images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// Triangle filter, widened when shrinking.
    Bilinear,
    /// Catmull-Rom-like cubic with a = -0.5, widened when shrinking.
    Bicubic,
}
