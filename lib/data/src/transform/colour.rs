//! Colour jitter in the arithmetic of Pillow's `ImageEnhance`: a blend, in 32-bit floats and
//! truncated, of the image with what it degenerates to at factor 0.

use rand_core::Rng;

use crate::keyed;

/// Red, green and blue as Pillow weighs them for grey: ITU-R 601 luma in 16-bit fixed point.
fn luma(pixel: &[u8]) -> u8 {
    let sum = u32::from(pixel[0]) * 19_595
        + u32::from(pixel[1]) * 38_470
        + u32::from(pixel[2]) * 7_471
        + 0x8000;
    (sum >> 16) as u8
}

/// `from + factor * (to - from)`, truncated towards zero and clipped to 0..=255.
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Scales brightness: 0 is black, 1 the image.
pub fn brightness(pixels: &mut [u8], factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(0, value as u8, factor));
    apply(pixels, &table);
}

/// Scales contrast: 0 is the mean grey, 1 the image.
pub fn contrast(pixels: &mut [u8], factor: f32) {
    let count = (pixels.len() / 3).max(1) as f64;
    let sum: u64 = pixels.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum();
    let mean = (sum as f64 / count + 0.5) as u8;
    let table: [u8; 256] = std::array::from_fn(|value| blend(mean, value as u8, factor));
    apply(pixels, &table);
}

/// Scales saturation (Pillow's `Color`): 0 is grey, 1 the image.
pub fn saturation(pixels: &mut [u8], factor: f32) {
    for pixel in pixels.chunks_exact_mut(3) {
        let grey = luma(pixel);
        for value in pixel {
            *value = blend(grey, *value, factor);
        }
    }
}

fn apply(pixels: &mut [u8], table: &[u8; 256]) {
    for value in pixels {
        *value = table[usize::from(*value)];
    }
}

/// Brightness, contrast and saturation in random order, each by a factor uniform in
/// [1 - strength, 1 + strength] (not below 0).
pub(super) fn jitter(pixels: &mut [u8], strength: f64, rng: &mut impl Rng) {
    let operations: [fn(&mut [u8], f32); 3] = [brightness, contrast, saturation];
    let mut order = [0, 1, 2];
    keyed::shuffle(rng, &mut order);
    for index in order {
        let factor = keyed::between(rng, (1.0 - strength).max(0.0), 1.0 + strength);
        operations[index](pixels, factor as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::{Key, Purpose};

    #[test]
    fn factor_one_changes_nothing_and_zero_degenerates() {
        let image = [10, 200, 30, 250, 0, 128];
        for operation in [brightness, contrast, saturation] {
            let mut pixels = image;
            operation(&mut pixels, 1.0);
            assert_eq!(pixels, image);
        }
        let mut black = image;
        brightness(&mut black, 0.0);
        assert_eq!(black, [0; 6]);
        let mut grey = image;
        saturation(&mut grey, 0.0);
        assert!(grey[0] == grey[1] && grey[1] == grey[2] && grey[3] == grey[5]);
        let mut flat = image;
        contrast(&mut flat, 0.0);
        assert!(flat.iter().all(|&value| value == flat[0]));
    }

    #[test]
    fn jitter_depends_on_its_generator_only_and_clips() {
        let image: Vec<u8> = (0..=255).chain(0..44).collect();
        let run = |sample| {
            let mut pixels = image.clone();
            jitter(&mut pixels, 0.4, &mut Key::new(1, Purpose::Augment).rng(&[0, sample]));
            pixels
        };
        assert_eq!(run(0), run(0));
        assert_ne!(run(0), run(1));
    }
}
