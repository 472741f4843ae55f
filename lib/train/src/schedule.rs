//! Learning-rate schedules.

use serde::{Deserialize, Serialize};

/// The shape of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// base * (1 - step / steps), per step: the search.
    Linear,
    /// Half a cosine from the base to the floor over all epochs, then cool-down epochs at the floor.
    Cosine,
    /// base * decay ^ floor(epoch / period).
    Step,
    /// The base throughout.
    Constant,
}

/// A learning rate as a function of the step.
///
/// Cosine and step count time from 0 with the warm-up included, as the published recipes do, and change
/// once an epoch unless `per_step`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its shape.
    pub shape: Shape,
    /// The highest rate.
    pub base: f64,
    /// Steps of one epoch.
    pub steps_per_epoch: usize,
    /// Epochs of the shape, without cool-down.
    pub epochs: usize,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// Rate at the start of the warm-up.
    pub warmup_rate: f64,
    /// Where the cosine ends.
    pub floor: f64,
    /// Epochs between decays.
    pub decay_epochs: f64,
    /// Factor of each decay.
    pub decay_rate: f64,
    /// Follow the shape within epochs too.
    pub per_step: bool,
}

impl Schedule {
    /// base * (1 - step / steps), the search's.
    pub fn linear(base: f64, steps_per_epoch: usize, epochs: usize) -> Self {
        Self {
            shape: Shape::Linear,
            base,
            steps_per_epoch,
            epochs,
            warmup_epochs: 0,
            warmup_rate: 0.0,
            floor: 0.0,
            decay_epochs: 1.0,
            decay_rate: 1.0,
            per_step: true,
        }
    }

    /// Whether the rate changes within epochs.
    pub fn changes_every_step(&self) -> bool {
        self.per_step || self.shape == Shape::Linear
    }

    /// The rate of step `step`, from 0.
    pub fn rate(&self, step: u64) -> f64 {
        let per_epoch = self.steps_per_epoch.max(1) as u64;
        let epoch =
            if self.per_step { step as f64 / per_epoch as f64 } else { (step / per_epoch) as f64 };
        if epoch < self.warmup_epochs as f64 {
            return self.warmup_rate
                + epoch * (self.base - self.warmup_rate) / self.warmup_epochs as f64;
        }
        let epochs = self.epochs.max(1) as f64;
        match self.shape {
            Shape::Constant => self.base,
            Shape::Linear => {
                let steps = per_epoch as f64 * epochs;
                self.base * (1.0 - step as f64 / steps).max(0.0)
            }
            Shape::Cosine => {
                let angle = std::f64::consts::PI * (epoch / epochs).min(1.0);
                self.floor + 0.5 * (self.base - self.floor) * (1.0 + angle.cos())
            }
            Shape::Step => self.base * self.decay_rate.powf((epoch / self.decay_epochs).floor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_ends_at_the_floor_and_stays() {
        let s = Schedule {
            shape: Shape::Cosine,
            floor: 1e-5,
            per_step: false,
            ..Schedule::linear(0.1, 10, 20)
        };
        assert!((s.rate(0) - 0.1).abs() < 1e-15);
        assert_eq!(s.rate(9), s.rate(0));
        assert!((s.rate(100) - (0.1 + 1e-5) / 2.0).abs() < 1e-9);
        assert!((s.rate(200) - 1e-5).abs() < 1e-15 && (s.rate(250) - 1e-5).abs() < 1e-15);
    }

    #[test]
    fn warm_up_is_linear() {
        let s =
            Schedule { shape: Shape::Cosine, warmup_epochs: 2, ..Schedule::linear(0.1, 10, 20) };
        assert!((s.rate(10) - 0.05).abs() < 1e-15);
    }
}
