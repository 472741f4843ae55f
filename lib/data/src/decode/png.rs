//! PNG of every layout as 8-bit RGB.

use std::io::Cursor;

use super::{MAX_PIXELS, RgbImage, broken, check_pixels};
use crate::error::ImageError;

/// (width, height), by the header alone.
pub(super) fn size(bytes: &[u8]) -> Result<(usize, usize), ImageError> {
    let mut decoder = decoder(bytes);
    let header = decoder.read_header_info().map_err(png_error)?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_pixels(width, height)?;
    Ok((width, height))
}

fn decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    // Twice the pixel limit at 16-bit RGBA.
    let limits = png::Limits { bytes: MAX_PIXELS * 16 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder
}

/// Decodes all pixels.
pub(super) fn decode(bytes: &[u8], image: &mut RgbImage) -> Result<(), ImageError> {
    let (width, height) = size(bytes)?;
    let mut reader = decoder(bytes).read_info().map_err(png_error)?;
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
    *image = RgbImage { width, height, pixels };
    Ok(())
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
