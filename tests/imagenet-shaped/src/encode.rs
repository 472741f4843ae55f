//! Pixels to the bytes of a file, awkward ones among them.

use anyhow::Result;
use cream_data::RgbImage;
use cream_data::keyed::{ChaCha8Rng, below, between};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

/// Every so many images of a split have one of each kind of hazard.
const PERIOD: usize = 2_000;

/// How an image is awkward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hazard {
    PngNamedJpeg,
    Cmyk,
    Grey,
    Progressive,
    Truncated,
    OnePixelWide,
    BrokenExif,
    RotatedByExif,
}

impl Hazard {
    /// The hazard of the image with this number, if any.
    pub fn of(index: usize) -> Option<Self> {
        match index % PERIOD {
            1 => Some(Self::PngNamedJpeg),
            3 => Some(Self::Cmyk),
            5 => Some(Self::Grey),
            7 => Some(Self::Progressive),
            9 => Some(Self::Truncated),
            11 => Some(Self::OnePixelWide),
            13 => Some(Self::BrokenExif),
            15 => Some(Self::RotatedByExif),
            _ => None,
        }
    }
}

/// Little-endian TIFF of one entry: orientation 6, a quarter turn.
const ROTATED: &[u8] = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
/// The same, but of 65,535 entries the first of which lies far outside.
const BROKEN: &[u8] = b"Exif\0\0II*\0\xf0\xff\xff\xff\xff\xff\x12\x01\x03\0\xff\xff\xff\xff\x06";

/// The file's bytes.
pub fn encode(image: &RgbImage, hazard: Option<Hazard>, rng: &mut ChaCha8Rng) -> Result<Vec<u8>> {
    let quality = 75 + below(rng, 22) as u8;
    let subsampling = match between(rng, 0.0, 1.0) {
        ..0.9 => Subsampling::S420,
        ..0.93 => Subsampling::S422,
        _ => Subsampling::S444,
    };
    let (width, height) = (image.width, image.height);
    let rgb = Encoder::new(&image.pixels, width, height, PixelFormat::Rgb)
        .quality(quality)
        .subsampling(subsampling)
        .optimize_huffman(below(rng, 4) == 0);
    Ok(match hazard {
        None | Some(Hazard::OnePixelWide) => rgb.encode()?,
        Some(Hazard::PngNamedJpeg) => png(image)?,
        Some(Hazard::Cmyk) => {
            let inks = cmyk(image);
            Encoder::new(&inks, width, height, PixelFormat::Cmyk)
                .quality(quality)
                .subsampling(Subsampling::S444)
                .encode()?
        }
        Some(Hazard::Grey) => rgb.grayscale_from_color(true).encode()?,
        Some(Hazard::Progressive) => rgb.progressive(true).encode()?,
        Some(Hazard::Truncated) => {
            let mut bytes = rgb.encode()?;
            bytes.truncate(bytes.len() * 3 / 5);
            bytes
        }
        Some(Hazard::BrokenExif) => with_exif(&rgb.encode()?, BROKEN),
        Some(Hazard::RotatedByExif) => with_exif(&rgb.encode()?, ROTATED),
    })
}

fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Inks without black, stored inverted as Adobe's programs do: what is left of the light.
fn cmyk(image: &RgbImage) -> Vec<u8> {
    image.pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect()
}

/// A segment APP1 directly after the start marker.
fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let (start, rest) = jpeg.split_at(2);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [start, &[0xff, 0xe1], &length, exif, rest].concat()
}
