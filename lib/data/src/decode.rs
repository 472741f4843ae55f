//! JPEG and PNG to RGB pixels, by what the bytes are and whatever the file is called.
//!
//! As the published pipelines do: grey and CMYK become RGB, alpha is dropped, orientation tags are
//! ignored. Sizes are checked before pixels are allocated, so a small file cannot claim much memory.

use std::io::Cursor;
use std::panic::catch_unwind;

use libjpeg_turbo_rs::{
    ComponentInfo, DecodeLimits, DecodeWarning, Decoder, JpegError, PixelFormat,
};

use crate::error::{DataError, ImageError};

/// Most pixels of an image that is decoded: 64 Mi, 192 MiB of RGB.
pub const MAX_PIXELS: usize = 1 << 26;
/// Most scans of a progressive JPEG; encoders write about ten.
const MAX_SCANS: usize = 256;
/// Most bytes of an encoded image.
pub const MAX_BYTES: u64 = 1 << 28;

/// An image of 8-bit RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`, row by row.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// A black image.
    #[must_use]
    pub fn black(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height * 3] }
    }
}

/// The two encodings that shards hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG.
    Png,
}

impl ImageKind {
    /// What the first bytes say.
    ///
    /// # Errors
    /// [`ImageError::UnknownFormat`] when they are of neither kind.
    pub fn of(bytes: &[u8]) -> Result<Self, ImageError> {
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Ok(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if bytes.is_empty() {
            Err(ImageError::UnknownFormat { start: "nothing: the file is empty".into() })
        } else {
            let start = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Err(ImageError::UnknownFormat { start })
        }
    }

    /// The file name extension of samples of this kind, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// Decodes a JPEG or PNG.
///
/// # Errors
/// [`DataError::Image`] for bytes that are neither, are broken, or exceed the limits.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, DataError> {
    Ok(decode_image(bytes)?)
}

/// Decodes fully and also requires the end marker, which a decoder does not need to see: what is
/// cut in its last rows still decodes, with grey in place of what is missing.
///
/// # Errors
/// Those of [`decode`], and [`ImageError::Truncated`].
pub fn validate(bytes: &[u8]) -> Result<(ImageKind, RgbImage), ImageError> {
    let kind = ImageKind::of(bytes)?;
    if kind == ImageKind::Jpeg && !jpeg_has_end(bytes) {
        return Err(ImageError::Truncated);
    }
    Ok((kind, decode_image(bytes)?))
}

pub(crate) fn decode_image(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let size = bytes.len() as u64;
    if size > MAX_BYTES {
        return Err(ImageError::TooManyBytes { bytes: size, limit: MAX_BYTES });
    }
    let kind = ImageKind::of(bytes)?;
    // Images come from anywhere and a decoder may have defects: one of them must cost an image,
    // not a day of training.
    let decoded = catch_unwind(|| match kind {
        ImageKind::Jpeg => decode_jpeg(bytes),
        ImageKind::Png => decode_png(bytes),
    });
    decoded.unwrap_or_else(|_| Err(broken("image", "the decoder failed on it")))
}

fn check_pixels(width: usize, height: usize) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(broken("image", "it has no pixels"));
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(()),
        _ => Err(ImageError::TooManyPixels { width, height, limit: MAX_PIXELS }),
    }
}

fn broken(kind: &'static str, reason: impl std::fmt::Display) -> ImageError {
    // Decoders write several lines; errors here are one.
    let reason = reason.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    ImageError::Broken { kind, reason }
}

/// Chroma is interpolated and transformed back as libjpeg-turbo does it, which the published
/// pipelines decode with.
fn decode_jpeg(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let limits = DecodeLimits {
        max_pixels: MAX_PIXELS as u64,
        max_scans: MAX_SCANS,
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(jpeg_error)?;
    let header = decoder.header();
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    check_pixels(width, height)?;
    check_sampling(&header.components)?;
    decoder.set_output_format(PixelFormat::Rgb);
    let image = decoder.decode_image().map_err(jpeg_error)?;
    let faults = |warning: &DecodeWarning| !matches!(warning, DecodeWarning::ExtraneousData { .. });
    if let Some(fault) = image.warnings.iter().find(|warning| faults(warning)) {
        return Err(match fault {
            DecodeWarning::TruncatedData { .. } => ImageError::Truncated,
            other => broken("JPEG", format!("{other:?}")),
        });
    }
    if (image.width, image.height) != (width, height) || image.data.len() != width * height * 3 {
        let reason = format!("{} bytes decoded for {width} x {height} pixels", image.data.len());
        return Err(broken("JPEG", reason));
    }
    Ok(RgbImage { width, height, pixels: image.data })
}

/// Four components (CMYK, YCCK): the first and last, which are never subsampled, alike, and the two
/// between them too. The decoder panics on other combinations, which no encoder writes.
fn check_sampling(components: &[ComponentInfo]) -> Result<(), ImageError> {
    let factors = |part: &ComponentInfo| (part.horizontal_sampling, part.vertical_sampling);
    let [c, m, y, k] = components else { return Ok(()) };
    let ((width, height), (small_width, small_height)) = (factors(c), factors(m));
    let divides = small_width != 0
        && small_height != 0
        && width.is_multiple_of(small_width)
        && height.is_multiple_of(small_height);
    if factors(c) == factors(k) && factors(m) == factors(y) && divides {
        return Ok(());
    }
    let all = [c, m, y, k].map(factors);
    Err(broken("JPEG", format!("sampling factors {all:?} of four components")))
}

fn jpeg_error(error: JpegError) -> ImageError {
    match error {
        JpegError::UnexpectedEof => ImageError::Truncated,
        other => broken("JPEG", other),
    }
}

/// Whether the end-of-image marker follows the scans, found by walking the segments: an embedded
/// preview has end markers of its own.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(offset) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) {
        at += offset + 1;
        match bytes.get(at) {
            Some(0xd9) => return true,
            // Stuffed zeros, fill bytes, restart markers and TEM have no length.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(0xff) => {}
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(length) => at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
            None => return false,
        }
    }
    false
}

fn decode_png(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    // Twice the pixel limit at 16-bit RGBA.
    let limits = png::Limits { bytes: MAX_PIXELS * 16 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let header = decoder.read_header_info().map_err(png_error)?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_pixels(width, height)?;
    let mut reader = decoder.read_info().map_err(png_error)?;
    let size = reader.output_buffer_size().ok_or_else(|| broken("PNG", "its size overflows"))?;
    let mut raw = vec![0; size];
    let frame = reader.next_frame(&mut raw).map_err(png_error)?;
    raw.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        png::ColorType::Rgb => raw,
        png::ColorType::Grayscale => spread(&raw, 1),
        png::ColorType::GrayscaleAlpha => spread(&raw, 2),
        png::ColorType::Rgba => raw.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Indexed => return Err(broken("PNG", "its palette is missing")),
    };
    if pixels.len() != width * height * 3 {
        return Err(broken("PNG", "the frame does not cover the image"));
    }
    Ok(RgbImage { width, height, pixels })
}

/// The first of every `channels` values, three times.
fn spread(raw: &[u8], channels: usize) -> Vec<u8> {
    let mut pixels = vec![0; raw.len() / channels * 3];
    for (to, from) in pixels.chunks_exact_mut(3).zip(raw.chunks_exact(channels)) {
        to.fill(from[0]);
    }
    pixels
}

fn png_error(error: png::DecodingError) -> ImageError {
    match error {
        png::DecodingError::IoError(source)
            if source.kind() == std::io::ErrorKind::UnexpectedEof =>
        {
            ImageError::Truncated
        }
        other => broken("PNG", other),
    }
}
