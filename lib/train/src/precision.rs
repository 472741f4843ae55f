//! What numbers networks are computed in.

use crate::TrainError;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Of activations and of the matrix products. Parameters, their gradients' sums, statistics, the loss and the state of
/// optimizers are f32 in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Single precision, but products take ten bits of each factor's fraction (CUDA's TF32).
    Tf32,
    /// Activations of 16 bits, seven of them of the fraction, and products of such (CUDA).
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// As settings and flags have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// The type of images and activations.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Tf32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Whether `device` computes in it.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for anything but f32 on the CPU.
    pub fn check(self, device: &Device) -> Result<(), TrainError> {
        if self == Self::F32 || device.is_cuda() {
            return Ok(());
        }
        Err(TrainError::Setting(format!(
            "precision {self} needs a CUDA device; give --precision f32, or --device cuda where there is one"
        )))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of f32, tf32 and bf16"))
    }
}

#[cfg(test)]
mod tests {
    use super::Precision;
    use candle_core::Device;

    #[test]
    fn names_are_those_of_settings() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.name());
        }
        assert!("fp16".parse::<Precision>().unwrap_err().contains("`fp16`"));
    }

    #[test]
    fn the_cpu_computes_in_single_precision() {
        assert!(Precision::F32.check(&Device::Cpu).is_ok());
        for precision in [Precision::Tf32, Precision::Bf16] {
            let error = precision.check(&Device::Cpu).unwrap_err();
            assert!(error.is_input() && error.to_string().contains(precision.name()), "{error}");
        }
    }
}
