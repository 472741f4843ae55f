//! Images made smaller on their way into a shard: decoded, resized, encoded again.
//!
//! A JPEG stays a JPEG and a PNG a PNG, so a lossless source stays lossless. Images that are small
//! enough already are checked and keep their bytes. `lib/data/PERFORMANCE.md` has what each part
//! costs, and what the encoders were that this one was chosen from.

mod planes;

use std::panic::catch_unwind;

use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

use crate::decode::{Encoded, ImageKind, MAX_BYTES, Reduction, RgbImage, open_whole};
use crate::error::{DataError, ImageError};
use crate::transform::{Filter, ResizeScratch, Window, resize};

/// How large images become, and how JPEGs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrink {
    /// Largest short side in pixels; larger images are resized to it.
    pub short_side: usize,
    /// Quality of JPEGs, 1 to 100, on the scale that libjpeg made common.
    pub quality: u8,
}

/// A checked image as a shard will hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What its bytes are.
    pub kind: ImageKind,
    /// Bytes in place of those that came; nothing where those are kept.
    pub remade: Option<Vec<u8>>,
}

/// Decodes `bytes`, as [`validate`](crate::decode::validate) does, and makes the image smaller where
/// `shrink` asks for it. A JPEG that is at least twice as large is decoded smaller in the first place.
///
/// # Errors
/// Those of [`validate`](crate::decode::validate); [`ImageError::Broken`] when resizing or encoding
/// fails.
pub fn store(
    bytes: &[u8],
    shrink: Option<Shrink>,
    scratch: &mut ResizeScratch,
) -> Result<Stored, ImageError> {
    let (kind, encoded) = open_whole(bytes)?;
    let sides = (encoded.width(), encoded.height());
    let target = shrink.and_then(|shrink| Some((shrink, smaller(sides, shrink.short_side)?)));
    let mut decoded = std::mem::take(&mut scratch.decoded);
    let remade = match target {
        None => encoded.decode(&mut decoded).map(|()| None),
        Some((shrink, sides)) => {
            let reduction = reduction(&encoded, sides);
            if reduction == Reduction::Full && encoded.is_planes() {
                encoded.decode_planes().and_then(|planes| {
                    planes::encode_smaller(&planes, sides, shrink.quality, scratch)
                })
            } else {
                resized(encoded, reduction, sides, &mut decoded, scratch)
                    .and_then(|small| encode(&small, kind, shrink.quality))
            }
            .map(Some)
        }
    };
    scratch.decoded = decoded;
    Ok(Stored { kind, remade: remade? })
}

/// By how much an image may be decoded smaller that is to have these sides, (width, height).
fn reduction(encoded: &Encoded<'_>, (width, height): (usize, usize)) -> Reduction {
    let reductions = [Reduction::Eighth, Reduction::Quarter, Reduction::Half];
    let large_enough = |reduction: &Reduction| {
        let factor = reduction.factor();
        encoded.width() / factor >= width && encoded.height() / factor >= height
    };
    reductions.into_iter().find(large_enough).unwrap_or(Reduction::Full)
}

/// The image with these sides, (width, height); both are shorter than its own.
fn resized(
    encoded: Encoded<'_>,
    reduction: Reduction,
    (width, height): (usize, usize),
    decoded: &mut RgbImage,
    scratch: &mut ResizeScratch,
) -> Result<RgbImage, ImageError> {
    let window = Window { top: 0, left: 0, height: encoded.height(), width: encoded.width() };
    let area = encoded.decode_window(window, reduction, decoded)?;
    let mut small = RgbImage::black(width, height);
    resize(decoded, area, Filter::Bicubic, (height, width), scratch, &mut small.pixels)
        .map_err(as_image_error)?;
    Ok(small)
}

/// (width, height) with this short side, the long side floored; nothing for an image whose short
/// side is not larger.
fn smaller((width, height): (usize, usize), short_side: usize) -> Option<(usize, usize)> {
    if width.min(height) <= short_side {
        None
    } else if width <= height {
        Some((short_side, short_side * height / width))
    } else {
        Some((short_side * width / height, short_side))
    }
}

/// Encodes an image; one without colour is written with a single channel.
///
/// # Errors
/// [`ImageError::Broken`] with what the encoder says.
pub fn encode(image: &RgbImage, kind: ImageKind, quality: u8) -> Result<Vec<u8>, ImageError> {
    let grey = grey(&image.pixels);
    let bytes = match kind {
        ImageKind::Jpeg => encode_jpeg(image, grey.as_deref(), quality)?,
        ImageKind::Png => encode_png(image, grey.as_deref())
            .map_err(|error| fault(ImageKind::Png, error.to_string()))?,
    };
    fitting(bytes)
}

fn fitting(bytes: Vec<u8>) -> Result<Vec<u8>, ImageError> {
    match bytes.len() as u64 {
        bytes if bytes > MAX_BYTES => Err(ImageError::TooManyBytes { bytes, limit: MAX_BYTES }),
        _ => Ok(bytes),
    }
}

/// One channel of pixels whose three are equal throughout. Most photos say no in their first pixels.
fn grey(pixels: &[u8]) -> Option<Vec<u8>> {
    let (pixels, _) = pixels.as_chunks::<3>();
    let is_grey = pixels.iter().all(|&[red, green, blue]| red == green && green == blue);
    is_grey.then(|| pixels.iter().map(|pixel| pixel[0]).collect())
}

/// Chroma at half size, as photos are usually kept, and the standard's Huffman tables: fitted ones
/// would save 2 % of the bytes for twice the time.
fn encode_jpeg(image: &RgbImage, grey: Option<&[u8]>, quality: u8) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (image.width, image.height);
    // As in decoding: a defect of the codec must cost an image, not the run.
    let encoded = catch_unwind(|| match grey {
        Some(values) => {
            compress(values, width, height, PixelFormat::Grayscale, quality, Subsampling::S444)
        }
        None => {
            let pixels = &image.pixels;
            compress(pixels, width, height, PixelFormat::Rgb, quality, Subsampling::S420)
        }
    });
    match encoded {
        Ok(result) => result.map_err(|error| fault(ImageKind::Jpeg, error.to_string())),
        Err(_) => Err(fault(ImageKind::Jpeg, "the encoder failed on it".to_owned())),
    }
}

fn encode_png(image: &RgbImage, grey: Option<&[u8]>) -> Result<Vec<u8>, png::EncodingError> {
    match grey {
        Some(values) => png_of(values, image.width, image.height, png::ColorType::Grayscale),
        None => png_of(&image.pixels, image.width, image.height, png::ColorType::Rgb),
    }
}

/// An image of one channel, `[height, width]`, as PNG: lossless, and quick to decode.
///
/// # Errors
/// [`ImageError::Broken`] for sides that a PNG cannot have or that do not fit the values.
pub fn grey_png(values: &[u8], width: usize, height: usize) -> Result<Vec<u8>, ImageError> {
    png_of(values, width, height, png::ColorType::Grayscale)
        .map_err(|error| fault(ImageKind::Png, error.to_string()))
}

/// An image of three channels, `[height, width, 3]`, as PNG.
///
/// # Errors
/// [`ImageError::Broken`] for sides that a PNG cannot have.
pub fn rgb_png(image: &RgbImage) -> Result<Vec<u8>, ImageError> {
    png_of(&image.pixels, image.width, image.height, png::ColorType::Rgb)
        .map_err(|error| fault(ImageKind::Png, error.to_string()))
}

fn png_of(
    values: &[u8],
    width: usize,
    height: usize,
    color: png::ColorType,
) -> Result<Vec<u8>, png::EncodingError> {
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(width), side(height));
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header()?.write_image_data(values)?;
    Ok(bytes)
}

fn fault(kind: ImageKind, reason: String) -> ImageError {
    let kind = if kind == ImageKind::Jpeg { "JPEG" } else { "PNG" };
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    ImageError::Broken { kind, reason: format!("it cannot be written: {reason}") }
}

fn as_image_error(error: DataError) -> ImageError {
    match error {
        DataError::Image(error) => error,
        other => ImageError::Broken { kind: "image", reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;
    use crate::transform::Area;

    /// A soft pattern, in colour or grey.
    fn pattern(width: usize, height: usize, colour: bool) -> RgbImage {
        let mut image = RgbImage::black(width, height);
        for (place, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = (place % width, place / width);
            let wave = |step: usize| 128.0 + 90.0 * ((x * step + y * 2) as f64 / 40.0).sin();
            pixel.copy_from_slice(&match colour {
                true => [wave(1) as u8, wave(2) as u8, wave(3) as u8],
                false => [wave(1) as u8; 3],
            });
        }
        image
    }

    /// The mean difference of two images of one size.
    fn off(one: &RgbImage, other: &RgbImage) -> f64 {
        let pairs = one.pixels.iter().zip(&other.pixels);
        let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / one.pixels.len() as f64
    }

    fn stored(image: &RgbImage, kind: ImageKind, short_side: usize) -> Option<RgbImage> {
        let bytes = encode(image, kind, 95).unwrap();
        let shrink = Some(Shrink { short_side, quality: 90 });
        let stored = store(&bytes, shrink, &mut ResizeScratch::default()).unwrap();
        assert_eq!(stored.kind, kind);
        let remade = stored.remade?;
        assert_eq!(ImageKind::of(&remade).unwrap(), kind);
        Some(decode(&remade).unwrap())
    }

    #[test]
    fn sides_are_floored_and_small_images_keep_their_bytes() {
        for (width, height, expected) in [
            (500, 375, Some((389, 292))),
            (375, 500, Some((292, 389))),
            (293, 293, Some((292, 292))),
        ] {
            let small = stored(&pattern(width, height, true), ImageKind::Jpeg, 292);
            assert_eq!(small.map(|small| (small.width, small.height)), expected);
        }
        for (width, height) in [(292, 900), (900, 292), (1, 1), (1, 500), (64, 48)] {
            for kind in [ImageKind::Jpeg, ImageKind::Png] {
                assert_eq!(stored(&pattern(width, height, true), kind, 292), None);
            }
        }
    }

    #[test]
    fn a_jpeg_looks_like_the_resized_image_and_a_png_is_it() {
        for colour in [true, false] {
            let image = pattern(400, 300, colour);
            let mut expected = RgbImage::black(160, 120);
            let (area, scratch) = (Area::of(Window::whole(&image)), &mut ResizeScratch::default());
            resize(&image, area, Filter::Bicubic, (120, 160), scratch, &mut expected.pixels)
                .unwrap();
            assert_eq!(stored(&image, ImageKind::Png, 120).as_ref(), Some(&expected));
            let jpeg = stored(&image, ImageKind::Jpeg, 120).unwrap();
            let off = off(&jpeg, &expected);
            assert!(off < if colour { 4.0 } else { 1.0 }, "colour {colour}: {off} levels off");
        }
    }

    #[test]
    fn large_jpegs_are_decoded_smaller_and_look_the_same() {
        // A quarter and an eighth, of sides that these do not divide.
        for (width, height) in [(1003, 751), (1999, 1203)] {
            // Without colour, whose halved resolution would be most of the difference.
            let image = pattern(width, height, false);
            let small = stored(&image, ImageKind::Jpeg, 140).unwrap();
            let expected = stored(&image, ImageKind::Png, 140).unwrap();
            assert_eq!((small.width, small.height), (expected.width, expected.height));
            let off = off(&small, &expected);
            assert!(off < 1.5, "{width} x {height}: {off} levels off");
        }
    }

    #[test]
    fn grey_is_written_with_one_channel() {
        let (grey, colour) = (pattern(64, 64, false), pattern(64, 64, true));
        let components = |image| {
            let bytes = encode(image, ImageKind::Jpeg, 90).unwrap();
            let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
            bytes[frame + 9]
        };
        assert_eq!((components(&grey), components(&colour)), (1, 3));
        // Colour type 0 is grey, 2 is RGB.
        let colour_type = |image| encode(image, ImageKind::Png, 90).unwrap()[25];
        assert_eq!((colour_type(&grey), colour_type(&colour)), (0, 2));
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let error = encode(&RgbImage::black(70_000, 1), ImageKind::Jpeg, 90).unwrap_err();
        assert!(error.to_string().starts_with("broken JPEG: it cannot be written"), "{error}");
        assert!(grey_png(&[0; 5], 2, 3).is_err());
    }
}
