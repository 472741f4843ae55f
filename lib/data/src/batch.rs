//! A batch as a trainer takes it.

use crate::mix::Mix;
use crate::noise::normals;
use crate::pool::Pixels;
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
    /// The key of its noise, which [`normals`] makes: a function of (seed, epoch, sample).
    pub noise: [u32; 2],
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
    pub pixels: Pixels,
    /// Per sample, what is to be erased.
    pub erasures: Vec<Option<Erasure>>,
    /// What pairs of images are mixed by, after erasing; their labels are
    /// [`mixed_labels`](Batch::mixed_labels).
    pub mix: Option<Mix>,
}

impl Batch {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples: of an epoch's last batch, when it is not full, some ranks may
    /// have none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Where the image is that this one is mixed with; itself when it is alone at the end.
    #[must_use]
    pub fn partner(&self, place: usize) -> usize {
        if place ^ 1 < self.len() { place ^ 1 } else { place }
    }

    /// Per image its label, its partner's, and the share of the label that is its own: 1 when
    /// nothing is mixed.
    pub fn mixed_labels(&self) -> impl Iterator<Item = (u32, u32, f32)> {
        let own = self.mix.map_or(1.0, |mix| mix.own_share(self.image_size));
        self.labels.iter().enumerate().map(move |(place, &label)| {
            let partner = self.labels.get(self.partner(place)).copied().unwrap_or(label);
            (label, partner, own)
        })
    }

    /// `(value / 255 - mean) / std` per channel, then standard normal noise in erased rectangles,
    /// then mixing. `[len, image_size, image_size, 3]`.
    #[must_use]
    pub fn normalise(&self, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
        let mut values = Vec::new();
        self.normalise_into(mean, std, &mut values);
        values
    }

    /// The same into memory to use again; its content is replaced.
    pub fn normalise_into(&self, mean: [f32; 3], std: [f32; 3], values: &mut Vec<f32>) {
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / std[channel])
        });
        values.resize(self.pixels.len(), 0.0);
        let (pixels, _) = self.pixels.as_chunks::<3>();
        let (normal, _) = values.as_chunks_mut::<3>();
        for (normal, pixel) in normal.iter_mut().zip(pixels) {
            *normal = std::array::from_fn(|channel| tables[channel][usize::from(pixel[channel])]);
        }
        let image = (self.image_size * self.image_size * 3).max(1);
        for (pixels, erasure) in values.chunks_exact_mut(image).zip(&self.erasures) {
            if let Some(erasure) = erasure {
                fill_with_noise(pixels, self.image_size, erasure);
            }
        }
        let Some(mix) = self.mix else { return };
        for pair in values.chunks_exact_mut(2 * image) {
            let (first, second) = pair.split_at_mut(image);
            mix.apply(first, second, self.image_size);
        }
    }
}

fn fill_with_noise(pixels: &mut [f32], size: usize, erasure: &Erasure) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for row in erasure.y..erasure.y + erasure.height {
        let first = row * size + erasure.x;
        for (place, pixel) in (first..).zip(&mut pixels[first..first + erasure.width]) {
            *pixel = normals(erasure.noise, place as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_fills_the_rectangle_and_nothing_else() {
        let erasure = Erasure { y: 1, x: 2, height: 2, width: 1, noise: [1, 2] };
        let batch = Batch {
            index: 0,
            samples: vec![SampleId::from_index(0), SampleId::from_index(1)],
            labels: vec![0, 1],
            image_size: 4,
            pixels: [51, 102, 255].repeat(2 * 16).into(),
            erasures: vec![None, Some(erasure)],
            mix: None,
        };
        let values = batch.normalise([0.2, 0.2, 0.5], [0.1, 0.2, 0.5]);
        let expected = [0.0, 1.0, 1.0];
        for (place, pixel) in values.chunks(3).enumerate() {
            let erased = [16 + 4 + 2, 16 + 8 + 2].contains(&place);
            let plain = pixel.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert_eq!(plain, !erased, "pixel {place}: {pixel:?}");
            assert!(!erased || *pixel == normals([1, 2], place as u32 - 16), "pixel {place}");
        }
        assert_eq!(values, batch.normalise([0.2, 0.2, 0.5], [0.1, 0.2, 0.5]));
    }

    /// Three images of 4 x 4 pixels, the second with an erased rectangle.
    fn three(mix: Option<Mix>) -> Batch {
        let erasure = Erasure { y: 1, x: 2, height: 2, width: 1, noise: [1, 2] };
        Batch {
            index: 0,
            samples: (0..3).map(SampleId::from_index).collect(),
            labels: vec![7, 8, 9],
            image_size: 4,
            pixels: (0..3 * 48).map(|i| (i * 29 % 256) as u8).collect::<Vec<u8>>().into(),
            erasures: vec![None, Some(erasure), None],
            mix,
        }
    }

    #[test]
    fn mixing_follows_its_plain_definition() {
        let (mean, std) = ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25]);
        let plain = three(None).normalise(mean, std);
        let mixes = [
            Mix::Blend { share: 0.3 },
            Mix::Exchange { y: 0, x: 1, height: 3, width: 2 },
            Mix::Exchange { y: 2, x: 2, height: 0, width: 2 },
        ];
        for mix in mixes {
            let batch = three(Some(mix));
            // Memory with other content is written over.
            let mut mixed = vec![5.0; 7];
            batch.normalise_into(mean, std, &mut mixed);
            for (place, value) in mixed.iter().enumerate() {
                let (image, pixel) = (place / 48, place % 48 / 3);
                let other = plain[[48, 0, 96][image] + place % 48];
                let own = match mix {
                    Mix::Blend { share } => share,
                    Mix::Exchange { y, x, height, width } => {
                        let inside = (y..y + height).contains(&(pixel / 4))
                            && (x..x + width).contains(&(pixel % 4));
                        f32::from(u8::from(!inside))
                    }
                };
                let wanted = own * plain[place] + (1.0 - own) * other;
                assert!((value - wanted).abs() < 1e-6, "{mix:?}: value {place}");
            }
            let own = mix.own_share(4);
            let labels: Vec<_> = batch.mixed_labels().collect();
            assert_eq!(labels, [(7, 8, own), (8, 7, own), (9, 9, own)]);
        }
        assert_eq!(three(None).mixed_labels().next(), Some((7, 8, 1.0)));
        assert_eq!(Mix::Exchange { y: 0, x: 1, height: 3, width: 2 }.own_share(4), 0.625);
    }
}
