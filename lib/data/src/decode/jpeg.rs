//! JPEG by libjpeg-turbo-rs: whole, or no more of it than a crop needs.

use libjpeg_turbo_rs::{
    ComponentInfo, DecodeLimits, DecodeWarning, Decoder, JpegError, PixelFormat, ScalingFactor,
};

use super::{MAX_PIXELS, Reduction, RgbImage, broken, check_pixels};
use crate::error::ImageError;
use crate::transform::Window;

/// Most scans of a progressive JPEG; encoders write about ten.
const MAX_SCANS: usize = 256;

/// Reads the headers.
pub(super) fn open(bytes: &[u8]) -> Result<Decoder<'_>, ImageError> {
    let limits = DecodeLimits {
        max_pixels: MAX_PIXELS as u64,
        max_scans: MAX_SCANS,
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(fault)?;
    let header = decoder.header();
    check_pixels(usize::from(header.width), usize::from(header.height))?;
    check_sampling(&header.components)?;
    decoder.set_output_format(PixelFormat::Rgb);
    Ok(decoder)
}

/// Decodes all pixels. Chroma is interpolated and transformed back as libjpeg-turbo does it, which
/// the published pipelines decode with.
pub(super) fn decode(decoder: &Decoder<'_>, image: &mut RgbImage) -> Result<(), ImageError> {
    let size = (decoder.output_width(), decoder.output_height());
    decode_size(decoder, size, image)
}

/// Decodes at least the pixels of `window` at the given reduction, and returns at which (column,
/// row) of the reduced whole the decoded image begins, with the reduction that it has.
///
/// All data is read whatever the window, so that what is cut or broken outside it is found.
pub(super) fn decode_window(
    decoder: &mut Decoder<'_>,
    window: Window,
    reduction: Reduction,
    image: &mut RgbImage,
) -> Result<((usize, usize), Reduction), ImageError> {
    let header = decoder.header();
    let simple = header.precision == 8 && matches!(header.components.len(), 1 | 3);
    if !simple || header.is_lossless || decoder.is_arithmetic() {
        decode(decoder, image)?;
        return Ok(((0, 0), Reduction::Full));
    }
    let sampling = header.components.iter().map(|part| part.horizontal_sampling).max();
    let sampling = usize::from(sampling.unwrap_or(1)).max(1);
    // Chroma at a quarter of the width (4:1:1), which is rare, comes out coarser than it need.
    let reduction = if sampling > 2 { Reduction::Full } else { reduction };
    let factor = reduction.factor();
    // Columns begin at whole groups of blocks; one more to each side is what interpolating chroma
    // at the window's edge looks at. Rows of such context are the decoder's own care.
    let group = sampling * 8 / factor;
    let scale = ScalingFactor::try_new(1, factor as u32).map_err(fault)?;
    decoder.set_scale(scale);
    let (width, height) = (decoder.output_width(), decoder.output_height());
    let left = (window.left / factor / group).saturating_sub(1) * group;
    let right = ((window.left + window.width).div_ceil(factor) + group).min(width);
    let top = window.top / factor;
    let bottom = (window.top + window.height).div_ceil(factor).min(height);
    if (left, right) != (0, width) {
        decoder.set_crop(left, right - left);
    }
    if (top, bottom) != (0, height) {
        decoder.set_crop_y(top, bottom - top);
    }
    decode_size(decoder, (right - left, bottom - top), image)?;
    Ok(((left, top), reduction))
}

fn decode_size(
    decoder: &Decoder<'_>,
    (width, height): (usize, usize),
    image: &mut RgbImage,
) -> Result<(), ImageError> {
    let bytes = decoder.output_buffer_size().map_err(fault)?;
    image.pixels.resize(bytes, 0);
    let decoded = decoder.decode_image_into(&mut image.pixels).map_err(fault)?;
    check_warnings(&decoded.warnings)?;
    let written = decoded.bytes_written;
    if (decoded.width, decoded.height) != (width, height) || written != width * height * 3 {
        let reason = format!("{written} bytes decoded for {width} x {height} pixels");
        return Err(broken("JPEG", reason));
    }
    image.pixels.truncate(written);
    (image.width, image.height) = (width, height);
    Ok(())
}

/// Bytes between segments are no fault; what was made up in place of data is.
pub(super) fn check_warnings(warnings: &[DecodeWarning]) -> Result<(), ImageError> {
    let faults =
        |warning: &&DecodeWarning| !matches!(warning, DecodeWarning::ExtraneousData { .. });
    match warnings.iter().find(faults) {
        None => Ok(()),
        Some(DecodeWarning::TruncatedData { .. }) => Err(ImageError::Truncated),
        Some(other) => Err(broken("JPEG", format!("{other:?}"))),
    }
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

pub(super) fn fault(error: JpegError) -> ImageError {
    match error {
        JpegError::UnexpectedEof => ImageError::Truncated,
        other => broken("JPEG", other),
    }
}

/// Whether the end-of-image marker follows the scans, found by walking the segments: an embedded
/// preview has end markers of its own.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(offset) = bytes.get(at..).and_then(first_marker) {
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

/// Place of the first 0xff. Most are more than a hundred bytes apart: whole stretches are looked at
/// first, which takes few instructions.
fn first_marker(bytes: &[u8]) -> Option<usize> {
    let stretches = bytes.chunks(32);
    let without = |stretch: &&[u8]| !stretch.iter().fold(false, |any, &b| any | (b == 0xff));
    let start = stretches.take_while(without).count() * 32;
    let place = bytes.get(start..)?.iter().position(|&b| b == 0xff)?;
    Some(start + place)
}
