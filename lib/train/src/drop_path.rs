//! Draws of stochastic depth.

use cream_data::keyed::{Key, Purpose, chance};
use cream_nn::layers::DropPath;
use std::ops::Range;

/// The rate of each of `blocks` blocks: it grows linearly with the block's index, counted through all stages, from 0
/// towards `rate`, as in timm's EfficientNets.
pub fn rates(rate: f64, blocks: usize) -> impl Iterator<Item = f64> {
    (0..blocks).map(move |block| rate * block as f64 / blocks as f64)
}

/// The factors of one step for `images` of its global batch: a function of (seed, step, block, image), so that they are
/// the same however the global batch is cut.
pub fn draw(rate: f64, blocks: usize, (seed, step): (u64, u64), images: &Range<usize>) -> DropPath {
    let key = Key::new(seed, Purpose::DropPath);
    let factors = rates(rate, blocks).enumerate().map(|(block, rate)| {
        let mut rng = key.rng(&[step, block as u64]);
        let kept = 1.0 / (1.0 - rate);
        let factors = (0..images.end).map(|_| if chance(&mut rng, rate) { 0.0 } else { kept });
        factors.skip(images.start).collect()
    });
    DropPath::new(factors.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_drop_at_their_rates_and_keep_the_mean() {
        let drop_path = draw(0.5, 4, (1, 7), &(0..20_000));
        for (block, rate) in [0.0, 0.125, 0.25, 0.375].into_iter().enumerate() {
            let factors = drop_path.of_block(block).unwrap();
            let dropped = factors.iter().filter(|&&f| f == 0.0).count() as f64 / 20_000.0;
            assert!((dropped - rate).abs() < 0.015, "{block}: {dropped}");
            let mean = factors.iter().sum::<f64>() / 20_000.0;
            assert!((mean - 1.0).abs() < 0.02, "{block}: {mean}");
        }
        assert!(drop_path.of_block(4).is_none());
    }

    #[test]
    fn draws_depend_on_step_and_place_alone() {
        let factors = |step, images| draw(0.5, 6, (3, step), &images).of_block(5).unwrap().to_vec();
        let whole = factors(4, 0..64);
        assert_eq!([factors(4, 0..16), factors(4, 16..64)].concat(), whole);
        assert_ne!(factors(5, 0..64), whole);
    }
}
