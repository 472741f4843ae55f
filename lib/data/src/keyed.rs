//! Randomness as a function of (seed, purpose, indices), never of what was drawn before.
//!
//! The four numbers are the four words of a ChaCha8 key, so different ones give independent
//! streams without hashing: no two purposes and no two samples can collide. Results are therefore
//! the same for any number of threads, and a resumed run needs no generator state.

pub use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// What a stream of random numbers is for. The numbers are part of what makes runs reproducible
/// and never change; new purposes are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; indices: (tensor, 0).
    Initialisation = 1,
    /// The order of an epoch's samples; indices: (epoch, 0).
    Shuffle = 2,
    /// A sample's crop, flip, jitter and erased rectangle; indices: (epoch, sample).
    Augment = 3,
    /// Dropout masks; indices: (step, batch of the step).
    Dropout = 4,
    /// Paths through the supernet; indices: (step, 0).
    Path = 5,
    /// Which training images are set aside to rank paths; indices: (class, 0).
    SearchValidation = 6,
    /// Batches for re-estimating batch-norm statistics; indices chosen by the caller.
    Recalibration = 7,
    /// Mixup and cutmix; indices: (epoch, batch).
    Mix = 8,
    /// Keys of the noise that fills erased rectangles; indices: (epoch, sample).
    ErasingNoise = 9,
    /// Which images of a class become validation images; indices: (class, 0).
    Validation = 10,
    /// Which images of a class are taken when fewer are asked for; indices: (class, split).
    Subset = 11,
    /// Which classes are taken when fewer are asked for; indices: (0, 0).
    Classes = 12,
    /// Data made up by tests and benchmarks; indices chosen by the caller.
    Synthetic = 13,
    /// Which images of a split its statistics are taken from; indices: (0, 0).
    Statistics = 14,
    /// Stochastic depth; indices: (step, block).
    DropPath = 15,
    /// Resampling with replacement; indices: (resample, 0).
    Bootstrap = 16,
}

/// A seed with a purpose: the first half of a generator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    seed: u64,
    purpose: Purpose,
}

impl Key {
    /// The key of `seed` for `purpose`.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { seed, purpose }
    }

    /// The generator for two indices, such as (epoch, sample).
    #[must_use]
    pub fn rng(&self, indices: &[u64; 2]) -> ChaCha8Rng {
        let mut bytes = [0; 32];
        let words = [self.seed, self.purpose as u64, indices[0], indices[1]];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(bytes)
    }
}

/// Uniform in [0, 1), with all 53 bits of an `f64`'s fraction drawn.
pub fn uniform(rng: &mut impl Rng) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * SCALE
}

/// Uniform in [low, high).
pub fn between(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * uniform(rng)
}

/// Uniform in 0..n without bias, by rejecting the few products that would favour small numbers
/// (Lemire, "Fast Random Integer Generation in an Interval", 2019). 0 for n = 0.
pub fn below(rng: &mut impl Rng, n: u64) -> u64 {
    let mut wide = u128::from(rng.next_u64()) * u128::from(n);
    if (wide as u64) < n {
        let threshold = n.wrapping_neg() % n;
        while (wide as u64) < threshold {
            wide = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    (wide >> 64) as u64
}

/// Standard normal.
pub fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// True with the given probability.
pub fn chance(rng: &mut impl Rng, probability: f64) -> bool {
    uniform(rng) < probability
}

/// Shuffles in place (Fisher-Yates).
pub fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first =
            |seed, purpose, indices: [u64; 2]| Key::new(seed, purpose).rng(&indices).next_u64();
        let drawn = [
            first(1, Purpose::Shuffle, [2, 3]),
            first(2, Purpose::Shuffle, [2, 3]),
            first(1, Purpose::Augment, [2, 3]),
            first(1, Purpose::Shuffle, [3, 2]),
            first(1, Purpose::Shuffle, [2, 0]),
        ];
        for (i, a) in drawn.iter().enumerate() {
            assert!(drawn[..i].iter().all(|b| a != b));
        }
        assert_eq!(drawn[0], first(1, Purpose::Shuffle, [2, 3]));
    }

    #[test]
    fn below_is_unbiased_and_in_range() {
        let mut rng = Key::new(0, Purpose::Synthetic).rng(&[0, 0]);
        let mut counts = [0_i64; 6];
        for _ in 0..60_000 {
            counts[below(&mut rng, 6) as usize] += 1;
        }
        // Five standard deviations of a binomial count of mean 10,000.
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 460), "{counts:?}");
        assert_eq!(below(&mut rng, 0), 0);
        assert_eq!(below(&mut rng, 1), 0);
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let mut rng = Key::new(0, Purpose::Synthetic).rng(&[1, 0]);
        let n = 50_000;
        let (mut mean, mut square, mut sum) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let u = uniform(&mut rng);
            assert!((0.0..1.0).contains(&u));
            sum += u;
            let z = normal(&mut rng);
            mean += z;
            square += z * z;
        }
        let n = f64::from(n);
        assert!((sum / n - 0.5).abs() < 0.01);
        assert!((mean / n).abs() < 0.03 && (square / n - 1.0).abs() < 0.05);
    }

    #[test]
    fn shuffling_reaches_every_order() {
        let mut seen = std::collections::HashSet::new();
        for epoch in 0..200 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut Key::new(7, Purpose::Shuffle).rng(&[epoch, 0]), &mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 24);
    }
}
