//! The rules that an architecture keeps, so that nothing after it checks again.

use std::fmt;

use super::{Architecture, Block, EvaluationTransform, Input, Operator};
use crate::{ArchError, header};

pub(crate) const MAX_IMAGE_SIZE: usize = 4096;
pub(crate) const MAX_CLASSES: usize = 1_000_000;
pub(crate) const MAX_CHANNELS: usize = 16384;
pub(crate) const MAX_LAYERS: usize = 1000;
const MAX_EXPANDED: usize = 65536;
const MAX_KERNEL: usize = 31;
const MAX_STRIDE: usize = 8;
const MAX_EXPANSION: f64 = 64.0;
const MAX_TEXT: usize = 1000;
/// Keeps every sum of counts far inside 64 bits and exact in a JSON reader's doubles.
const MAX_MACS: f64 = 1e15;

impl Architecture {
    /// Checks every value and the whole: layers, strides against the input size, total cost.
    pub fn validate(&self) -> Result<(), ArchError> {
        header::ARCHITECTURE.check(self.version)?;
        if self.name.as_ref().is_some_and(|name| name.len() > MAX_TEXT) {
            let found = format!("a text of {} bytes", self.name.as_ref().map_or(0, String::len));
            return Err(ArchError::value("name", found, format!("at most {MAX_TEXT} bytes")));
        }
        within("image_size", self.image_size, 1, MAX_IMAGE_SIZE)?;
        within("num_classes", self.num_classes, 1, MAX_CLASSES)?;
        self.input.validate("input.")?;
        fraction("norm.epsilon", self.norm.epsilon)?;
        fraction("norm.momentum", self.norm.momentum)?;
        kernel("stem.kernel", self.stem.kernel)?;
        within("stem.stride", self.stem.stride, 1, MAX_STRIDE)?;
        within("stem.channels", self.stem.channels, 1, MAX_CHANNELS)?;
        within("head.channels", self.head.channels, 1, MAX_CHANNELS)?;
        self.validate_stages()?;
        self.validate_size()
    }

    fn validate_stages(&self) -> Result<(), ArchError> {
        within("stages (their number)", self.stages.len(), 1, MAX_LAYERS)?;
        let layers = self.stages.iter().map(Vec::len).sum();
        within("stages (layers in all)", layers, 1, MAX_LAYERS)?;
        let mut channels = self.stem.channels;
        for (s, stage) in self.stages.iter().enumerate() {
            within(format_args!("stages[{s}] (its layers)"), stage.len(), 1, MAX_LAYERS)?;
            for (l, block) in stage.iter().enumerate() {
                block.validate(channels, format_args!("stages[{s}][{l}]"))?;
                channels = block.channels;
            }
        }
        Ok(())
    }

    /// Strides that shrink the image below one pixel, and costs beyond any sense.
    fn validate_size(&self) -> Result<(), ArchError> {
        let strides = self.stages.iter().flatten().map(|block| block.stride);
        let shrink = strides.fold(self.stem.stride, |all, stride| all.saturating_mul(stride));
        if self.image_size < shrink {
            let allowed = format!("at least the product of all strides, {shrink}");
            return Err(ArchError::value("image_size", self.image_size, allowed));
        }
        let macs = self.approximate_macs();
        if macs > MAX_MACS {
            let found = format!("a network of about {macs:.2e} multiply-accumulates");
            return Err(ArchError::value(
                "stages",
                found,
                "at most 1e15; reduce sizes or channels",
            ));
        }
        Ok(())
    }

    /// Multiply-accumulates of the convolutions in floating point, which cannot overflow.
    fn approximate_macs(&self) -> f64 {
        let square = |kernel: usize| (kernel * kernel) as f64;
        let mut side = self.image_size.div_ceil(self.stem.stride);
        let mut channels = self.stem.channels as f64;
        let mut macs = 3.0 * channels * square(self.stem.kernel) * square(side);
        for block in self.stages.iter().flatten() {
            let out = side.div_ceil(block.stride);
            let expanded = block.expanded(channels as usize) as f64;
            let next = block.channels as f64;
            macs += match block.operator {
                Operator::Convolution => channels * next * square(block.kernel) * square(out),
                _ => {
                    channels * expanded * square(side)
                        + expanded * (square(block.kernel) + next) * square(out)
                }
            };
            (side, channels) = (out, next);
        }
        let head = self.head.channels as f64;
        macs + channels * head * square(side) + head * self.num_classes as f64
    }
}

impl Block {
    /// `at` is made a text only for an error: networks of many blocks are checked by the thousand.
    fn validate(&self, in_channels: usize, at: fmt::Arguments<'_>) -> Result<(), ArchError> {
        kernel(format_args!("{at}.kernel"), self.kernel)?;
        within(format_args!("{at}.stride"), self.stride, 1, MAX_STRIDE)?;
        within(format_args!("{at}.channels"), self.channels, 1, MAX_CHANNELS)?;
        self.validate_expansion(in_channels, format_args!("{at}.expansion"))?;
        match self.squeeze_excite {
            Some(_) if self.operator == Operator::Convolution => {
                let at = format!("{at}.squeeze_excite");
                Err(ArchError::value(at, "an object", "null for the operator convolution"))
            }
            Some(squeeze) => {
                within(format_args!("{at}.squeeze_excite.width"), squeeze.width, 1, MAX_CHANNELS)
            }
            None => Ok(()),
        }
    }

    fn validate_expansion(
        &self,
        in_channels: usize,
        at: fmt::Arguments<'_>,
    ) -> Result<(), ArchError> {
        match (self.operator, self.expansion) {
            (Operator::InvertedResidual, Some(expansion)) => {
                if !(expansion > 0.0 && expansion <= MAX_EXPANSION) {
                    let allowed = format!("above 0, at most {MAX_EXPANSION}");
                    return Err(ArchError::number(at.to_string(), expansion, &allowed));
                }
                let expanded = self.expanded(in_channels);
                if expanded > MAX_EXPANDED {
                    let found = format!("{expansion}, which makes {expanded} channels,");
                    let allowed = format!("at most {MAX_EXPANDED} channels");
                    return Err(ArchError::value(at.to_string(), found, allowed));
                }
                Ok(())
            }
            (Operator::InvertedResidual, None) => Err(ArchError::value(
                at.to_string(),
                "null",
                "a number for the operator inverted-residual",
            )),
            (_, Some(expansion)) => {
                let allowed = "null unless the operator is inverted-residual";
                Err(ArchError::number(at.to_string(), expansion, allowed))
            }
            (_, None) => Ok(()),
        }
    }
}

impl Input {
    /// `at` is the prefix of the location that errors name.
    pub(crate) fn validate(&self, at: &str) -> Result<(), ArchError> {
        for channel in 0..3 {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            if !(-10.0..=10.0).contains(&mean) {
                return Err(ArchError::number(format!("{at}mean[{channel}]"), mean, "-10 to 10"));
            }
            if !(1e-6..=1e6).contains(&std) {
                return Err(ArchError::number(format!("{at}std[{channel}]"), std, "1e-6 to 1e6"));
            }
        }
        match self.evaluation {
            EvaluationTransform::ResizeCrop { crop, .. } if !(0.1..=1.0).contains(&crop) => {
                Err(ArchError::number(format!("{at}evaluation.crop"), crop, "0.1 to 1"))
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn within(
    at: impl fmt::Display,
    value: usize,
    min: usize,
    max: usize,
) -> Result<(), ArchError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let allowed = if min == max { min.to_string() } else { format!("{min} to {max}") };
    Err(ArchError::value(at.to_string(), value, allowed))
}

pub(crate) fn fraction(at: impl fmt::Display, value: f64) -> Result<(), ArchError> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(ArchError::number(at.to_string(), value, "above 0, at most 1"))
}

pub(crate) fn kernel(at: impl fmt::Display, value: usize) -> Result<(), ArchError> {
    if value % 2 == 1 && value <= MAX_KERNEL {
        return Ok(());
    }
    Err(ArchError::value(at.to_string(), value, format!("odd numbers from 1 to {MAX_KERNEL}")))
}
