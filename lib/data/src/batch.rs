//! A batch as a trainer takes it.

use crate::keyed::{self, Stream};
use crate::shards::SampleId;

/// A rectangle to be filled with noise after normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Where its noise comes from: a function of (seed, epoch, sample).
    pub noise: Stream,
}

/// Samples cropped and augmented in 8 bits; normalising is the trainer's first step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Which batch of the epoch, from 0.
    pub index: usize,
    /// The samples, in the order of the pixels.
    pub samples: Vec<SampleId>,
    /// Class numbers.
    pub labels: Vec<u32>,
    /// Side of the square images in pixels.
    pub image_size: usize,
    /// `[len, image_size, image_size, 3]`, RGB.
    pub pixels: Vec<u8>,
    /// Per sample, what is to be erased.
    pub erasures: Vec<Option<Erasure>>,
}

impl Batch {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples; loaders never hand out such a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// `(value / 255 - mean) / std` per channel, then standard normal noise in erased rectangles.
    /// `[len, image_size, image_size, 3]`.
    #[must_use]
    pub fn normalise(&self, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / std[channel])
        });
        let mut values = Vec::with_capacity(self.pixels.len());
        let (pixels, _) = self.pixels.as_chunks::<3>();
        values.extend(pixels.iter().flat_map(|pixel| {
            let value = |channel: usize| tables[channel][usize::from(pixel[channel])];
            [value(0), value(1), value(2)]
        }));
        let image = self.image_size * self.image_size * 3;
        for (pixels, erasure) in values.chunks_exact_mut(image.max(1)).zip(&self.erasures) {
            if let Some(erasure) = erasure {
                fill_with_noise(pixels, self.image_size, erasure);
            }
        }
        values
    }
}

fn fill_with_noise(pixels: &mut [f32], size: usize, erasure: &Erasure) {
    let mut rng = erasure.noise.rng();
    for row in erasure.y..erasure.y + erasure.height {
        let start = (row * size + erasure.x) * 3;
        for value in &mut pixels[start..start + erasure.width * 3] {
            *value = keyed::normal(&mut rng) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::{Key, Purpose};

    #[test]
    fn noise_fills_the_rectangle_and_nothing_else() {
        let noise = Key::new(1, Purpose::ErasingNoise).stream(&[0, 0]);
        let erasure = Erasure { y: 1, x: 2, height: 2, width: 1, noise };
        let batch = Batch {
            index: 0,
            samples: vec![SampleId::from_index(0), SampleId::from_index(1)],
            labels: vec![0, 1],
            image_size: 4,
            pixels: [51, 102, 255].repeat(2 * 16),
            erasures: vec![None, Some(erasure)],
        };
        let values = batch.normalise([0.2, 0.2, 0.5], [0.1, 0.2, 0.5]);
        let expected = [0.0, 1.0, 1.0];
        for (place, pixel) in values.chunks(3).enumerate() {
            let erased = [16 + 4 + 2, 16 + 8 + 2].contains(&place);
            let plain = pixel.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert_eq!(plain, !erased, "pixel {place}: {pixel:?}");
        }
        assert_eq!(values, batch.normalise([0.2, 0.2, 0.5], [0.1, 0.2, 0.5]));
    }
}
