//! The evaluation crop: the same for every run.

use super::crop::{centre_offset, paste_centred};
use super::resize::{Area, Filter, ResizeScratch, Window, resize};
use super::{check_image_size, require};
use crate::decode::{Encoded, MAX_PIXELS, RgbImage};
use crate::error::DataError;

/// How an image becomes a square for evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EvalTransform {
    /// The short side is resized to floor(image_size / crop), the long side with it, and the
    /// centre is cut out.
    ResizeCrop {
        /// Side of the output in pixels.
        image_size: usize,
        /// Share of the resized short side that is kept; 0.875 as published.
        crop: f64,
        /// Bicubic for retrained networks, bilinear for the supernet.
        filter: Filter,
    },
    /// For small images: placed at the centre of a black square, not resized.
    PadCrop {
        /// Side of the output in pixels.
        image_size: usize,
    },
}

impl EvalTransform {
    /// Side of the square output in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match *self {
            Self::ResizeCrop { image_size, .. } | Self::PadCrop { image_size } => image_size,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`DataError::Setting`].
    pub fn check(&self) -> Result<(), DataError> {
        check_image_size(self.image_size())?;
        if let Self::ResizeCrop { crop, .. } = *self {
            require((0.1..=1.0).contains(&crop), "crop share", crop, "0.1 to 1")?;
        }
        Ok(())
    }

    /// The same from an encoded image, which is decoded whole and at full size.
    ///
    /// # Errors
    /// [`DataError::Image`] for an image that does not decode.
    pub fn apply_encoded(
        &self,
        image: Encoded<'_>,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let mut decoded = std::mem::take(&mut scratch.decoded);
        let done = image.decode(&mut decoded).map_err(DataError::from);
        let done = done.and_then(|()| self.apply(&decoded, scratch, out));
        scratch.decoded = decoded;
        done
    }

    /// Writes the crop of `image` to `out`, `[image_size, image_size, 3]`.
    ///
    /// # Errors
    /// [`DataError::Image`] when resizing fails.
    pub fn apply(
        &self,
        image: &RgbImage,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        match *self {
            Self::PadCrop { image_size } => paste_centred(image, image_size, (0, 0), out),
            Self::ResizeCrop { image_size, crop, filter } => {
                let (height, width) = resized(image, image_size, crop);
                let (top, left) =
                    (centre_offset(height, image_size), centre_offset(width, image_size));
                if height * width > MAX_PIXELS {
                    return strip(image, (height, width), image_size, filter, scratch, out);
                }
                let mut whole = RgbImage::black(width, height);
                let area = Area::of(Window::whole(image));
                resize(image, area, filter, (height, width), scratch, &mut whole.pixels)?;
                let row_bytes = image_size * 3;
                for (row, to) in out.chunks_exact_mut(row_bytes).enumerate() {
                    let from = ((row + top as usize) * width + left as usize) * 3;
                    to.copy_from_slice(&whole.pixels[from..from + row_bytes]);
                }
            }
        }
        Ok(())
    }
}

/// The crop of an image so long and narrow that the resized whole would not fit in memory: only
/// the pixels under the crop are resized, rounded outwards to whole source pixels.
fn strip(
    image: &RgbImage,
    (height, width): (usize, usize),
    image_size: usize,
    filter: Filter,
    scratch: &mut ResizeScratch,
    out: &mut [u8],
) -> Result<(), DataError> {
    let along = |side: usize, resized: usize| {
        let offset = centre_offset(resized, image_size) as usize;
        let start = offset * side / resized;
        let end = ((offset + image_size) * side).div_ceil(resized).min(side);
        (start, end - start)
    };
    let (top, rows) = along(image.height, height);
    let (left, columns) = along(image.width, width);
    let window = Window { top, left, height: rows, width: columns };
    resize(image, Area::of(window), filter, (image_size, image_size), scratch, out)
}

/// (height, width) after the short side became floor(image_size / crop) and the long side
/// int(short * long / other).
fn resized(image: &RgbImage, image_size: usize, crop: f64) -> (usize, usize) {
    let short = (image_size as f64 / crop).floor() as usize;
    let (height, width) = (image.height, image.width);
    if width <= height { (short * height / width, short) } else { (short, short * width / height) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_floored() {
        let image = RgbImage::black(500, 333);
        // 224 / 0.875 = 256; 256 * 500 / 333 = 384.38
        assert_eq!(resized(&image, 224, 0.875), (256, 384));
        // 64 / 0.875 = 73.14
        assert_eq!(resized(&RgbImage::black(333, 500), 64, 0.875), (109, 73));
        assert_eq!(resized(&RgbImage::black(7, 7), 7, 1.0), (7, 7));
    }

    #[test]
    fn the_narrowest_image_does_not_ask_for_gigabytes() {
        let mut image = RgbImage::black(65_535, 1);
        image.pixels.fill(9);
        let transform =
            EvalTransform::ResizeCrop { image_size: 224, crop: 0.875, filter: Filter::Bilinear };
        let mut out = vec![0; 224 * 224 * 3];
        transform.apply(&image, &mut ResizeScratch::default(), &mut out).unwrap();
        assert!(out.iter().all(|&value| value == 9));
    }

    #[test]
    fn a_single_pixel_fills_the_crop() {
        let image = RgbImage { width: 1, height: 1, pixels: vec![10, 20, 30] };
        let transform =
            EvalTransform::ResizeCrop { image_size: 8, crop: 0.875, filter: Filter::Bicubic };
        let mut out = vec![0; 8 * 8 * 3];
        transform.apply(&image, &mut ResizeScratch::default(), &mut out).unwrap();
        assert!(out.chunks(3).all(|pixel| pixel == [10, 20, 30]));
    }
}
