//! Sums over pixels, in whole numbers: equal whatever they are added up by.

use cream_data::{ImageKind, RgbImage};

use super::counts::Spread;

/// Pixels whose squares add up to less than 2^32.
const BLOCK: usize = 1 << 14;

/// What is added up of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSums {
    width: u64,
    height: u64,
    /// Whether all three channels are equal throughout.
    grey: bool,
    sums: [u64; 3],
    squares: [u64; 3],
}

impl ImageSums {
    /// Adds up an image's values, 0 to 255, and their squares.
    pub fn of(image: &RgbImage) -> Self {
        let (pixels, _) = image.pixels.as_chunks::<3>();
        let (mut sums, mut squares) = ([0; 3], [0; 3]);
        for block in pixels.chunks(BLOCK) {
            let (mut sum, mut square) = ([0_u32; 3], [0_u32; 3]);
            for pixel in block {
                for channel in 0..3 {
                    let value = u32::from(pixel[channel]);
                    sum[channel] += value;
                    square[channel] += value * value;
                }
            }
            for channel in 0..3 {
                sums[channel] += u64::from(sum[channel]);
                squares[channel] += u64::from(square[channel]);
            }
        }
        // Most photos say no in their first pixels.
        let grey = pixels.iter().all(|&[red, green, blue]| red == green && green == blue);
        Self { width: image.width as u64, height: image.height as u64, grey, sums, squares }
    }
}

/// What is known of the images that were decoded.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    widths: Vec<u64>,
    heights: Vec<u64>,
    /// How many are JPEGs; the others are PNGs.
    pub jpeg: usize,
    /// How many have no colour.
    pub grey: usize,
    pixels: u128,
    sums: [u128; 3],
    squares: [u128; 3],
}

impl Measured {
    /// Adds an image.
    pub fn add(&mut self, kind: ImageKind, image: ImageSums) {
        self.widths.push(image.width);
        self.heights.push(image.height);
        self.jpeg += usize::from(kind == ImageKind::Jpeg);
        self.grey += usize::from(image.grey);
        self.pixels += u128::from(image.width * image.height);
        for channel in 0..3 {
            self.sums[channel] += u128::from(image.sums[channel]);
            self.squares[channel] += u128::from(image.squares[channel]);
        }
    }

    /// How many images these are.
    pub fn images(&self) -> usize {
        self.widths.len()
    }

    /// How many pixels they have.
    pub fn pixels(&self) -> u128 {
        self.pixels
    }

    /// Of width and height; nothing without images.
    pub fn sides(&self) -> Option<(Spread, Spread)> {
        Some((Spread::of(self.widths.clone())?, Spread::of(self.heights.clone())?))
    }

    /// Mean and standard deviation of the pixels of each channel, from 0 to 1; nothing without images.
    pub fn moments(&self) -> Option<([f64; 3], [f64; 3])> {
        if self.pixels == 0 {
            return None;
        }
        let both: [(f64, f64); 3] = std::array::from_fn(|channel| {
            moments(self.pixels, self.sums[channel], self.squares[channel])
        });
        Some((both.map(|(mean, _)| mean / 255.0), both.map(|(_, std)| std / 255.0)))
    }
}

/// Mean and standard deviation of `n` values. The squares are taken about the mean's whole part, still
/// in whole numbers, so that nothing is lost where the two sides of the usual difference are close.
fn moments(n: u128, sum: u128, squares: u128) -> (f64, f64) {
    let (whole, rest) = (sum / n, sum % n);
    let rest = rest as f64 / n as f64;
    // Sum of (value - whole)^2.
    let about = squares + whole * whole * n - 2 * whole * sum;
    let variance = about as f64 / n as f64 - rest * rest;
    (whole as f64 + rest, variance.max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: usize, pixels: Vec<u8>) -> RgbImage {
        RgbImage { width, height: pixels.len() / 3 / width, pixels }
    }

    #[test]
    fn moments_are_those_of_the_plain_formula() {
        // More than one block, and the largest values there are.
        let bright = image(200, vec![255; 200 * 100 * 3]);
        let ramp: Vec<u8> = (0..200 * 150 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let ramp = image(200, ramp);
        let mut measured = Measured::default();
        for image in [&bright, &ramp] {
            measured.add(ImageKind::Png, ImageSums::of(image));
        }
        let (mean, std) = measured.moments().unwrap();
        for channel in 0..3 {
            let all = bright.pixels.iter().chain(&ramp.pixels).skip(channel).step_by(3);
            let all: Vec<f64> = all.map(|&value| f64::from(value) / 255.0).collect();
            let wanted = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|v| (v - wanted).powi(2)).sum::<f64>() / all.len() as f64;
            assert!((mean[channel] - wanted).abs() < 1e-12, "{mean:?} {wanted}");
            assert!((std[channel] - variance.sqrt()).abs() < 1e-12, "{std:?} {variance}");
        }
        assert_eq!((measured.images(), measured.pixels(), measured.grey), (2, 50_000, 1));
    }

    #[test]
    fn equal_pixels_have_no_deviation_however_many_they_are() {
        // As of a million large images; a difference of means of squares would leave 1e-8 or so.
        let n = 1_000_000 * (1 << 26);
        assert_eq!(moments(n, n * 254, n * 254 * 254), (254.0, 0.0));
        assert_eq!(moments(4, 2, 2), (0.5, 0.5));
        assert!(Measured::default().moments().is_none());
    }
}
