//! The planes of a JPEG as it keeps them: brightness, and colour mostly at half its size.

use libjpeg_turbo_rs::{ColorSpace, ComponentInfo, Decoder, RawImage};

use super::broken;
use super::jpeg::{check_warnings, fault};
use crate::error::ImageError;

/// An image as brightness and two colour differences, before it is turned into RGB.
pub(crate) struct Planes {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Y, Cb and Cr.
    pub parts: [Plane; 3],
    /// By how much Cb and Cr are smaller than the image, (across, down), each 1 or 2. Their samples
    /// lie in the middle of the pixels that they stand for.
    pub chroma_step: (usize, usize),
}

/// One of the three.
pub(crate) struct Plane {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// From the beginning of a row to that of the next.
    pub stride: usize,
    /// Row by row. What does not belong to the image, at the right and at the bottom, may be anything.
    pub values: Vec<u8>,
}

/// [`Planes::chroma_step`] of an image that is kept as planes; nothing for grey, RGB, CMYK, other
/// than eight bits, and rare ways of keeping them.
pub(super) fn chroma_step(decoder: &Decoder<'_>) -> Option<(usize, usize)> {
    let header = decoder.header();
    let simple = header.precision == 8 && !header.is_lossless && !decoder.is_arithmetic();
    // RGB has three components as well: markers or the components' names tell them apart.
    if !simple || decoder.jpeg_color_space() != ColorSpace::YCbCr {
        return None;
    }
    let factors = |part: &ComponentInfo| (part.horizontal_sampling, part.vertical_sampling);
    let [luma, blue, red] = &header.components[..] else { return None };
    match (factors(luma), factors(blue), factors(red)) {
        ((across @ 1..=2, down @ 1..=2), (1, 1), (1, 1)) => Some((across.into(), down.into())),
        _ => None,
    }
}

/// Decodes the planes. All data is read, and what is refused is what decoding to RGB refuses.
pub(super) fn decode(
    decoder: Decoder<'_>,
    chroma_step: (usize, usize),
) -> Result<Planes, ImageError> {
    let (raw, warnings) = decoder.decode_raw_with_warnings().map_err(fault)?;
    check_warnings(&warnings)?;
    let RawImage { planes, plane_widths, plane_heights, width, height, .. } = raw;
    let sides = |step: (usize, usize)| (width.div_ceil(step.0), height.div_ceil(step.1));
    let parts = planes.into_iter().zip(plane_widths.into_iter().zip(plane_heights)).enumerate();
    let parts = parts.map(|(number, (values, (stride, rows)))| {
        let (width, height) = sides(if number == 0 { (1, 1) } else { chroma_step });
        let fits = width <= stride && height <= rows && values.len() == stride * rows;
        fits.then_some(Plane { width, height, stride, values })
    });
    let parts: Option<Vec<Plane>> = parts.collect();
    match parts.map(<[Plane; 3]>::try_from) {
        Some(Ok(parts)) => Ok(Planes { width, height, parts, chroma_step }),
        _ => Err(broken("JPEG", format!("no planes for {width} x {height} pixels"))),
    }
}
