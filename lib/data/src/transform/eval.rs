//! The evaluation crop: the same for every run.

use super::crop::{centre_offset, paste_centred};
use super::resize::{Area, Filter, ResizeScratch, Window, resize};
use super::train::mirror;
use super::views::Views;
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

    /// The same as [`apply_views`](Self::apply_views) from an encoded image, which is decoded whole and at full size.
    ///
    /// # Errors
    /// [`DataError::Image`] for an image that does not decode.
    pub fn apply_encoded(
        &self,
        image: Encoded<'_>,
        views: Views,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let mut decoded = std::mem::take(&mut scratch.decoded);
        let done = image.decode(&mut decoded).map_err(DataError::from);
        let done = done.and_then(|()| self.apply_views(&decoded, views, scratch, out));
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
        self.apply_views(image, Views::default(), scratch, out)
    }

    /// Writes the crops of `image` that `views` names to `out`, `[views, image_size, image_size, 3]`. They are cut from
    /// the image as it is resized for the crop in its middle.
    ///
    /// # Errors
    /// [`DataError::Image`] when resizing fails.
    pub fn apply_views(
        &self,
        image: &RgbImage,
        views: Views,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let size = self.image_size();
        let bytes = size * size * 3;
        let (plain, mirrored) = out.split_at_mut(views.places().len() * bytes);
        match *self {
            Self::PadCrop { .. } => {
                let sides = (image.height, image.width);
                let middle = |side| centre_offset(size, side);
                for (place, out) in views.places().iter().zip(plain.chunks_exact_mut(bytes)) {
                    let (top, left) = place.corner(sides, size);
                    let shift = (-top - middle(sides.0), -left - middle(sides.1));
                    paste_centred(image, size, shift, out);
                }
            }
            Self::ResizeCrop { crop, filter, .. } => {
                let sides = resized(image, size, crop);
                let corners = views.places().iter().map(|place| place.corner(sides, size));
                let corners = corners.map(|(top, left)| (top as usize, left as usize));
                let resized = Resized { image, sides, filter };
                resized.cut(corners.zip(plain.chunks_exact_mut(bytes)), size, scratch)?;
            }
        }
        for (from, to) in plain.chunks_exact(bytes).zip(mirrored.chunks_exact_mut(bytes)) {
            to.copy_from_slice(from);
            mirror(to, size);
        }
        Ok(())
    }
}

/// An image that is to be resized to these sides (height, width).
struct Resized<'a> {
    image: &'a RgbImage,
    sides: (usize, usize),
    filter: Filter,
}

impl Resized<'_> {
    /// Cuts out squares of side `size`, whose first (row, column) stand with where each goes.
    fn cut<'a>(
        &self,
        crops: impl Iterator<Item = ((usize, usize), &'a mut [u8])>,
        size: usize,
        scratch: &mut ResizeScratch,
    ) -> Result<(), DataError> {
        let (height, width) = self.sides;
        if height * width > MAX_PIXELS {
            for (corner, out) in crops {
                self.strip(corner, size, scratch, out)?;
            }
            return Ok(());
        }
        let mut whole = RgbImage::black(width, height);
        let area = Area::of(Window::whole(self.image));
        resize(self.image, area, self.filter, self.sides, scratch, &mut whole.pixels)?;
        for ((top, left), out) in crops {
            for (row, to) in out.chunks_exact_mut(size * 3).enumerate() {
                let from = ((row + top) * width + left) * 3;
                to.copy_from_slice(&whole.pixels[from..from + size * 3]);
            }
        }
        Ok(())
    }

    /// The crop of an image so long and narrow that the resized whole would not fit in memory: only
    /// the pixels under the crop are resized, rounded outwards to whole source pixels.
    fn strip(
        &self,
        (top, left): (usize, usize),
        size: usize,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<(), DataError> {
        let along = |side: usize, resized: usize, offset: usize| {
            let start = offset * side / resized;
            let end = ((offset + size) * side).div_ceil(resized).min(side);
            (start, end - start)
        };
        let image = self.image;
        let (top, rows) = along(image.height, self.sides.0, top);
        let (left, columns) = along(image.width, self.sides.1, left);
        let window = Window { top, left, height: rows, width: columns };
        resize(image, Area::of(window), self.filter, (size, size), scratch, out)
    }
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
    use crate::transform::Crops;

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

    /// An image whose pixel at (row, column) is (row, column, 7).
    fn numbered(width: usize, height: usize) -> RgbImage {
        let pixels = (0..height * width).flat_map(|i| [(i / width) as u8, (i % width) as u8, 7]);
        RgbImage { width, height, pixels: pixels.collect() }
    }

    fn views(transform: EvalTransform, image: &RgbImage, views: Views) -> Vec<Vec<u8>> {
        let bytes = transform.image_size() * transform.image_size() * 3;
        let mut out = vec![1; views.count() * bytes];
        transform.apply_views(image, views, &mut ResizeScratch::default(), &mut out).unwrap();
        out.chunks(bytes).map(<[u8]>::to_vec).collect()
    }

    /// Nothing is scaled here, so that every crop can be written down.
    #[test]
    fn ten_crops_are_corners_and_middle_and_their_mirror_images() {
        let image = numbered(9, 6);
        let transform =
            EvalTransform::ResizeCrop { image_size: 4, crop: 4.0 / 6.0, filter: Filter::Bicubic };
        let cut = |top: u8, left: u8, mirrored: bool| -> Vec<u8> {
            let column = |c: u8| left + if mirrored { 3 - c } else { c };
            (0..16).flat_map(|i| [top + i / 4, column(i % 4), 7]).collect()
        };
        // The middle across: (9 - 4) / 2 = 2.5, to even 2.
        let corners = [(0, 0), (0, 5), (2, 0), (2, 5), (1, 2)];
        let five: Vec<_> = corners.iter().map(|&(t, l)| cut(t, l, false)).collect();
        let mirrored = corners.iter().map(|&(t, l)| cut(t, l, true));
        let ten: Vec<_> = five.iter().cloned().chain(mirrored).collect();
        let of = |crops, mirrored| views(transform, &image, Views { crops, mirrored });
        assert_eq!(of(Crops::Five, false), five);
        assert_eq!(of(Crops::Five, true), ten);
        assert_eq!(of(Crops::Centre, true), [ten[4].clone(), ten[9].clone()]);
        assert_eq!(of(Crops::Centre, false), five[4..]);
    }

    #[test]
    fn a_small_image_stands_in_the_corners_of_its_frame() {
        let image = RgbImage { width: 1, height: 2, pixels: vec![9; 6] };
        let transform = EvalTransform::PadCrop { image_size: 4 };
        let filled = |crop: &Vec<u8>| -> Vec<usize> {
            (0..16).filter(|pixel| crop[pixel * 3] == 9).collect()
        };
        let crops = views(transform, &image, Views { crops: Crops::Five, mirrored: true });
        let places: Vec<Vec<usize>> = crops.iter().map(filled).collect();
        let plain = [[0, 4], [3, 7], [8, 12], [11, 15], [6, 10]];
        let mirrored = [[3, 7], [0, 4], [11, 15], [8, 12], [5, 9]];
        assert_eq!(places, [plain, mirrored].concat());
        // One that is larger than the frame is cut there.
        let large = numbered(6, 5);
        let firsts: Vec<[u8; 2]> =
            views(transform, &large, Views { crops: Crops::Five, mirrored: false })
                .iter()
                .map(|crop| [crop[0], crop[1]])
                .collect();
        assert_eq!(firsts, [[0, 0], [0, 2], [1, 0], [1, 2], [0, 1]]);
    }

    #[test]
    fn an_image_too_narrow_to_be_resized_whole_has_five_crops_too() {
        let mut image = RgbImage::black(65_535, 1);
        image.pixels[..3 * 100].fill(50);
        image.pixels[3 * 65_400..].fill(200);
        let transform =
            EvalTransform::ResizeCrop { image_size: 224, crop: 0.875, filter: Filter::Bilinear };
        let crops = views(transform, &image, Views { crops: Crops::Five, mirrored: false });
        let values: Vec<u8> = crops.iter().map(|crop| crop[224 * 100 * 3]).collect();
        assert_eq!(values, [50, 200, 50, 200, 0]);
    }
}
