//! Mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018) and cutmix (Yun et al.,
//! "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019):
//! pairs of images are blended, or exchange a rectangle, and their labels with them.
//!
//! One draw serves a whole batch. Images 2i and 2i + 1 of it are a pair, which in a shuffled epoch is
//! as good as any other choice, and is the same however a global batch is cut into even slices.

use rand_core::Rng;
use rand_distr::{Beta, Distribution};

use crate::error::DataError;
use crate::keyed::{self, Key, Purpose};
use crate::transform::require;

/// How batches are mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixing {
    /// Mixup's alpha: shares are drawn from Beta(alpha, alpha). 0 turns mixup off.
    pub mixup: f64,
    /// Cutmix's alpha. 0 turns cutmix off.
    pub cutmix: f64,
    /// Probability that a batch is mixed.
    pub probability: f64,
    /// Probability of cutmix where both are on.
    pub switch: f64,
}

impl Default for Mixing {
    /// Mixup at its authors' alpha for ImageNet, no cutmix.
    fn default() -> Self {
        Self { mixup: 0.2, cutmix: 0.0, probability: 1.0, switch: 0.5 }
    }
}

/// Largest alpha; already at 10 nearly all shares are a half.
const MAX_ALPHA: f64 = 100.0;

impl Mixing {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`DataError::Setting`].
    pub fn check(&self) -> Result<(), DataError> {
        // Below this, shares of exactly 0 and 1 are all that 64 bits can tell apart.
        let alpha = |value: f64| value == 0.0 || (0.01..=MAX_ALPHA).contains(&value);
        let share = |value: f64| (0.0..=1.0).contains(&value);
        require(alpha(self.mixup), "mixup", self.mixup, "0, or 0.01 to 100")?;
        require(alpha(self.cutmix), "cutmix", self.cutmix, "0, or 0.01 to 100")?;
        let Self { probability, switch, .. } = *self;
        require(share(probability), "mixing probability", probability, "a probability, 0 to 1")?;
        require(share(switch), "mixing switch", switch, "a probability, 0 to 1")
    }

    /// What happens to a batch: a function of (seed, epoch, number of the batch).
    #[must_use]
    pub fn draw(&self, (seed, epoch, batch): (u64, u64, u64), image_size: usize) -> Option<Mix> {
        let rng = &mut Key::new(seed, Purpose::Mix).rng(&[epoch, batch]);
        if !keyed::chance(rng, self.probability) {
            return None;
        }
        let cut = self.cutmix > 0.0 && (self.mixup == 0.0 || keyed::chance(rng, self.switch));
        let alpha = if cut { self.cutmix } else { self.mixup };
        // No distribution has an alpha of 0: then both are off.
        let share = Beta::new(alpha, alpha).ok()?.sample(rng);
        Some(if cut { cut_out(share, image_size, rng) } else { Mix::Blend { share: share as f32 } })
    }
}

/// What is done to the pairs of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Mixup: an image becomes `share` of itself and the rest of its partner.
    Blend {
        /// Between 0 and 1.
        share: f32,
    },
    /// Cutmix: partners exchange a rectangle.
    Exchange {
        /// First row.
        y: usize,
        /// First column.
        x: usize,
        /// Rows; 0 when the rectangle is too small to hold a pixel.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl Mix {
    /// Which share of a mixed image's label is its own.
    #[must_use]
    pub fn own_share(&self, image_size: usize) -> f32 {
        match *self {
            Self::Blend { share } => share,
            Self::Exchange { height, width, .. } => {
                1.0 - (height * width) as f32 / (image_size * image_size).max(1) as f32
            }
        }
    }

    /// Mixes two normalised images `[image_size, image_size, 3]`.
    pub(crate) fn apply(&self, first: &mut [f32], second: &mut [f32], image_size: usize) {
        match *self {
            Self::Blend { share } => {
                let rest = 1.0 - share;
                for (a, b) in first.iter_mut().zip(second) {
                    (*a, *b) = (share * *a + rest * *b, share * *b + rest * *a);
                }
            }
            Self::Exchange { y, x, height, width } => {
                for row in y..y + height {
                    let start = (row * image_size + x) * 3;
                    let line = start..start + width * 3;
                    first[line.clone()].swap_with_slice(&mut second[line]);
                }
            }
        }
    }
}

/// A square whose area is the partner's share, its centre anywhere, cut off at the image's edge.
fn cut_out(share: f64, image_size: usize, rng: &mut impl Rng) -> Mix {
    let side = (image_size as f64 * (1.0 - share).sqrt()) as usize;
    let mut along = || {
        let centre = keyed::below(rng, image_size as u64) as usize;
        let start = centre.saturating_sub(side / 2);
        (start, (centre + side / 2).min(image_size) - start)
    };
    let ((y, height), (x, width)) = (along(), along());
    Mix::Exchange { y, x, height, width }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(mixing: Mixing) -> Vec<(bool, f64)> {
        let drawn = (0..4000).filter_map(|batch| mixing.draw((1, 2, batch), 32));
        drawn
            .map(|mix| (matches!(mix, Mix::Exchange { .. }), f64::from(mix.own_share(32))))
            .collect()
    }

    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        for alpha in [0.2, 1.0] {
            let all = shares(Mixing { mixup: alpha, ..Mixing::default() });
            assert_eq!(all.len(), 4000);
            let mean = all.iter().map(|(_, share)| share).sum::<f64>() / 4000.0;
            let variance = all.iter().map(|(_, s)| (s - mean).powi(2)).sum::<f64>() / 4000.0;
            assert!((mean - 0.5).abs() < 0.03, "{mean}");
            // Of Beta(a, a): 1 / (4 (2 a + 1)).
            assert!((variance - 0.25 / (2.0 * alpha + 1.0)).abs() < 0.01, "{variance}");
        }
    }

    #[test]
    fn probabilities_choose_between_both_and_neither() {
        let mixing = Mixing { mixup: 0.8, cutmix: 1.0, probability: 0.5, switch: 0.25 };
        let all = shares(mixing);
        assert!((1850..2150).contains(&all.len()), "{}", all.len());
        let cut = all.iter().filter(|(cut, _)| *cut).count();
        assert!((400..600).contains(&cut), "{cut}");
        assert!(shares(Mixing { mixup: 0.0, ..Mixing::default() }).is_empty());
        assert!(shares(Mixing { mixup: 0.0, cutmix: 1.0, ..mixing }).iter().all(|(cut, _)| *cut));
    }

    #[test]
    fn rectangles_lie_inside_and_their_area_is_the_share() {
        let mixing = Mixing { mixup: 0.0, cutmix: 1.0, ..Mixing::default() };
        let mut whole = 0;
        for batch in 0..2000 {
            let Some(mix) = mixing.draw((3, 0, batch), 20) else { panic!("not mixed") };
            let Mix::Exchange { y, x, height, width } = mix else { panic!("{mix:?}") };
            assert!(y + height <= 20 && x + width <= 20, "{mix:?}");
            let (mut first, mut second) = (vec![0.0; 1200], vec![1.0; 1200]);
            mix.apply(&mut first, &mut second, 20);
            let partner = first.iter().sum::<f32>() / 1200.0;
            assert!((1.0 - partner - mix.own_share(20)).abs() < 1e-5);
            assert!(first.iter().zip(&second).all(|(a, b)| a + b == 1.0));
            whole += usize::from(height * width > 200);
        }
        assert!(whole > 100, "{whole}");
    }

    #[test]
    fn an_alpha_that_is_none_is_named() {
        let error = Mixing { cutmix: -1.0, ..Mixing::default() }.check().unwrap_err().to_string();
        assert_eq!(error, "cutmix is -1, but must be 0, or 0.01 to 100");
    }
}
