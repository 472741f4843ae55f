//! The share of a training's time that goes to waiting for its data.

use std::time::{Duration, Instant};

use cream_data::Loader;

/// Sums over the epochs of a sitting.
#[derive(Debug, Default)]
pub(crate) struct DataWait {
    waited: Duration,
    training: Duration,
}

impl DataWait {
    /// Adds an epoch that began then and whose batches came from `batches`.
    pub fn add(&mut self, began: Instant, batches: &Loader) {
        self.training += began.elapsed();
        self.waited += batches.waited();
    }

    /// A line for people; nothing where no epoch was finished.
    pub fn summary(&self) -> Option<String> {
        let (waited, training) = (self.waited.as_secs_f64(), self.training.as_secs_f64());
        let share = waited / training * 100.0;
        share.is_finite().then(|| {
            format!("waited for data {waited:.1} s of {training:.1} s of training, {share:.1} %")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_time_in_training() {
        assert_eq!(DataWait::default().summary(), None);
        let wait =
            DataWait { waited: Duration::from_millis(300), training: Duration::from_secs(12) };
        let text = "waited for data 0.3 s of 12.0 s of training, 2.5 %";
        assert_eq!(wait.summary().as_deref(), Some(text));
    }
}
