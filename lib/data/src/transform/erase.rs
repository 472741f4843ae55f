//! Random erasing (Zhong et al., "Random Erasing Data Augmentation", 2020), which rectangle.
//!
//! The rectangle is drawn here and filled by [`crate::Batch::normalise`], because its noise is
//! normal in normalised units.

use rand_core::Rng;

use crate::batch::Erasure;
use crate::keyed;

/// Smallest and largest share of the image that is erased.
const AREA: (f64, f64) = (0.02, 1.0 / 3.0);
/// Narrowest height / width; the widest is its inverse within 1 %, as published.
const RATIO: (f64, f64) = (0.3, 3.3);
/// Draws before giving up: a wide rectangle may not fit.
const ATTEMPTS: usize = 10;

/// A rectangle inside a square of side `size`, or none when none fits. Its noise gets a key from `noise`.
pub(super) fn rectangle(size: usize, noise: &mut impl Rng, rng: &mut impl Rng) -> Option<Erasure> {
    let whole = (size * size) as f64;
    for _ in 0..ATTEMPTS {
        let area = keyed::between(rng, AREA.0, AREA.1) * whole;
        let ratio = keyed::between(rng, RATIO.0.ln(), RATIO.1.ln()).exp();
        let height = (area * ratio).sqrt().round_ties_even() as usize;
        let width = (area / ratio).sqrt().round_ties_even() as usize;
        if (1..size).contains(&height) && (1..size).contains(&width) {
            let y = keyed::below(rng, (size - height + 1) as u64) as usize;
            let x = keyed::below(rng, (size - width + 1) as u64) as usize;
            let noise = [noise.next_u32(), noise.next_u32()];
            return Some(Erasure { y, x, height, width, noise });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::{Key, Purpose};

    #[test]
    fn rectangles_lie_inside_and_cover_the_published_range() {
        let key = Key::new(3, Purpose::Augment);
        let (mut smallest, mut largest) = (f64::MAX, 0.0_f64);
        for sample in 0..2000 {
            let found = rectangle(64, &mut key.rng(&[1, 1]), &mut key.rng(&[0, sample]));
            let Some(e) = found else { continue };
            assert!(e.y + e.height <= 64 && e.x + e.width <= 64);
            let share = (e.height * e.width) as f64 / 4096.0;
            (smallest, largest) = (smallest.min(share), largest.max(share));
        }
        // Rounding the sides moves the area a little past the bounds.
        assert!((0.015..0.03).contains(&smallest) && (0.3..0.35).contains(&largest));
    }

    #[test]
    fn an_image_of_one_pixel_has_no_rectangle() {
        let key = Key::new(3, Purpose::Augment);
        assert!(rectangle(1, &mut key.rng(&[1, 1]), &mut key.rng(&[0, 0])).is_none());
    }
}
