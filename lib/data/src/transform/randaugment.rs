//! RandAugment (Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced
//! Search Space", 2020) as the published networks were retrained with it.

use rand_core::Rng;

use super::resize::Filter;
use super::train::TrainInterpolation;
use super::{colour, geometry, require, tone};
use crate::error::DataError;
use crate::keyed;

/// Magnitudes are 0 to this.
const MAX_MAGNITUDE: f64 = 10.0;

/// What a larger magnitude does to the operations that are not symmetric about no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MagnitudeForm {
    /// As published: posterize and solarize grow weaker, and enhancements go from 0.1 to 1.9 times.
    Published,
    /// All grow stronger; enhancements go away from 1 in either direction.
    Increasing,
}

/// The policy: some operations drawn from the list, each applied or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandAugment {
    /// How many are drawn, with replacement; 2 as published.
    pub operations: usize,
    /// Mean of the magnitude, 0 to 10; 9 as published.
    pub magnitude: f64,
    /// Standard deviation of the magnitude, which is drawn for each operation and clipped to 0 to
    /// 10; 0.5 as published.
    pub deviation: f64,
    /// Probability that a drawn operation is applied; 0.5 as published.
    pub probability: f64,
    /// What the magnitude means.
    pub form: MagnitudeForm,
    /// How rotation, shear and translation sample; either at random, as published.
    pub interpolation: TrainInterpolation,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            operations: 2,
            magnitude: 9.0,
            deviation: 0.5,
            probability: 0.5,
            form: MagnitudeForm::Published,
            interpolation: TrainInterpolation::Random,
        }
    }
}

impl RandAugment {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`DataError::Setting`].
    pub fn check(&self) -> Result<(), DataError> {
        let magnitude = |value: f64| (0.0..=MAX_MAGNITUDE).contains(&value);
        let Self { operations, probability, .. } = *self;
        require(operations <= 16, "RandAugment operations", operations, "at most 16")?;
        let name = "RandAugment magnitude";
        require(magnitude(self.magnitude), name, self.magnitude, "0 to 10")?;
        let name = "RandAugment deviation";
        require(magnitude(self.deviation), name, self.deviation, "0 to 10")?;
        let name = "RandAugment probability";
        require((0.0..=1.0).contains(&probability), name, probability, "a probability, 0 to 1")
    }

    /// Applies the policy to `pixels`, `[size, size, 3]`; `copy` is memory to use again.
    pub(super) fn apply(
        &self,
        pixels: &mut [u8],
        size: usize,
        copy: &mut Vec<u8>,
        rng: &mut impl Rng,
    ) {
        for _ in 0..self.operations {
            let kind = Operation::ALL[keyed::below(rng, Operation::ALL.len() as u64) as usize];
            if !keyed::chance(rng, self.probability) {
                continue;
            }
            let magnitude = self.magnitude + self.deviation * keyed::normal(rng);
            let share = magnitude.clamp(0.0, MAX_MAGNITUDE) / MAX_MAGNITUDE;
            let sign = if keyed::chance(rng, 0.5) { -1.0 } else { 1.0 };
            let filter = self.interpolation.draw(rng);
            kind.apply(pixels, size, Strength { share, sign, form: self.form, filter }, copy);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Colour,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

/// How strongly an operation is applied.
#[derive(Debug, Clone, Copy)]
struct Strength {
    /// Magnitude as a share of the largest.
    share: f64,
    /// 1 or -1.
    sign: f64,
    form: MagnitudeForm,
    filter: Filter,
}

impl Strength {
    fn signed(&self, largest: f64) -> f64 {
        self.sign * largest * self.share
    }

    /// A whole number up to `largest`, the fraction dropped.
    fn level(&self, largest: f64) -> u32 {
        (largest * self.share) as u32
    }

    /// Factor of colour, contrast, brightness and sharpness.
    fn enhancement(&self) -> f32 {
        match self.form {
            MagnitudeForm::Published => (0.1 + 1.8 * self.share) as f32,
            MagnitudeForm::Increasing => (1.0 + self.signed(0.9)) as f32,
        }
    }

    fn posterize_bits(&self) -> u32 {
        match self.form {
            MagnitudeForm::Published => self.level(4.0),
            MagnitudeForm::Increasing => 4 - self.level(4.0),
        }
    }

    fn solarize_threshold(&self) -> u32 {
        match self.form {
            MagnitudeForm::Published => self.level(256.0),
            MagnitudeForm::Increasing => 256 - self.level(256.0),
        }
    }
}

impl Operation {
    const ALL: [Self; 15] = [
        Self::AutoContrast,
        Self::Equalize,
        Self::Invert,
        Self::Rotate,
        Self::Posterize,
        Self::Solarize,
        Self::SolarizeAdd,
        Self::Colour,
        Self::Contrast,
        Self::Brightness,
        Self::Sharpness,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
    ];

    fn apply(self, pixels: &mut [u8], size: usize, strength: Strength, copy: &mut Vec<u8>) {
        let side = size as f64;
        let mut map = |map| {
            geometry::transform(pixels, (size, size), map, strength.filter, copy);
        };
        match self {
            Self::Rotate => map(geometry::rotation(strength.signed(30.0), (size, size))),
            Self::ShearX => map(geometry::shear_x(strength.signed(0.3))),
            Self::ShearY => map(geometry::shear_y(strength.signed(0.3))),
            Self::TranslateX => map(geometry::translation(strength.signed(0.45) * side, 0.0)),
            Self::TranslateY => map(geometry::translation(0.0, strength.signed(0.45) * side)),
            Self::AutoContrast => tone::auto_contrast(pixels),
            Self::Equalize => tone::equalize(pixels),
            Self::Invert => tone::invert(pixels),
            Self::Posterize => tone::posterize(pixels, strength.posterize_bits()),
            Self::Solarize => tone::solarize(pixels, strength.solarize_threshold()),
            Self::SolarizeAdd => tone::solarize_add(pixels, strength.level(110.0) as u8),
            Self::Colour => colour::saturation(pixels, strength.enhancement()),
            Self::Contrast => colour::contrast(pixels, strength.enhancement()),
            Self::Brightness => colour::brightness(pixels, strength.enhancement()),
            Self::Sharpness => tone::sharpness(pixels, size, strength.enhancement(), copy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::{Key, Purpose};

    fn strength(magnitude: f64, sign: f64, form: MagnitudeForm) -> Strength {
        Strength { share: magnitude / 10.0, sign, form, filter: Filter::Bilinear }
    }

    #[test]
    fn magnitudes_mean_what_was_published() {
        let nine = strength(9.0, -1.0, MagnitudeForm::Published);
        assert_eq!((nine.posterize_bits(), nine.solarize_threshold()), (3, 230));
        assert_eq!(nine.level(110.0), 99);
        assert!((nine.enhancement() - 1.72).abs() < 1e-6);
        assert!((nine.signed(30.0) + 27.0).abs() < 1e-9);
        let nine = strength(9.0, -1.0, MagnitudeForm::Increasing);
        assert_eq!((nine.posterize_bits(), nine.solarize_threshold()), (1, 26));
        assert!((nine.enhancement() - 0.19).abs() < 1e-6);
        let all = strength(10.0, 1.0, MagnitudeForm::Increasing);
        assert_eq!((all.posterize_bits(), all.solarize_threshold()), (0, 0));
    }

    #[test]
    fn each_of_two_operations_is_applied_half_the_time() {
        let policy = RandAugment::default();
        let image: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 91 % 199) as u8 + 20).collect();
        let mut unchanged = 0;
        for sample in 0..4000 {
            let mut pixels = image.clone();
            let rng = &mut Key::new(1, Purpose::Augment).rng(&[0, sample]);
            policy.apply(&mut pixels, 8, &mut Vec::new(), rng);
            unchanged += i32::from(pixels == image);
        }
        // (1 - 0.5 x 13/15)^2 = 0.321: here are too few pixels to equalize, and none to solarize
        // from 230 up. Five standard deviations are 148.
        assert!((1136..1432).contains(&unchanged), "{unchanged}");
        let mut pixels = image.clone();
        let never = RandAugment { probability: 0.0, ..policy };
        never.apply(
            &mut pixels,
            8,
            &mut Vec::new(),
            &mut Key::new(1, Purpose::Augment).rng(&[0, 0]),
        );
        assert_eq!(pixels, image);
    }

    #[test]
    fn every_operation_survives_every_size_and_magnitude() {
        for (operation, size) in Operation::ALL.into_iter().flat_map(|o| [1, 2, 5].map(|s| (o, s)))
        {
            for (magnitude, sign) in [(0.0, 1.0), (10.0, 1.0), (10.0, -1.0)] {
                for form in [MagnitudeForm::Published, MagnitudeForm::Increasing] {
                    let mut pixels: Vec<u8> = (0..size * size * 3).map(|i| i as u8).collect();
                    let strength = strength(magnitude, sign, form);
                    operation.apply(&mut pixels, size, strength, &mut Vec::new());
                    assert_eq!(pixels.len(), size * size * 3);
                }
            }
        }
    }
}
