//! Antialiased resizing, as Pillow's: the filter's support grows with the reduction.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::decode::RgbImage;
use crate::error::{DataError, ImageError};

/// The two filters of the published pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Triangle; the supernet's.
    Bilinear,
    /// Keys' cubic with a = -0.5; the retrained networks'.
    Bicubic,
}

/// A rectangle of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Window {
    /// The whole of an image.
    #[must_use]
    pub fn whole(image: &RgbImage) -> Self {
        Self { top: 0, left: 0, height: image.height, width: image.width }
    }
}

/// Buffers that resizing reuses from call to call; one per thread.
#[derive(Default)]
pub struct ResizeScratch {
    resizer: Resizer,
    rows: Vec<u8>,
}

/// Resizes `window` of `image` to `[height, width, 3]` in `out`. The filter does not look outside
/// the window.
///
/// Rows first, then columns, rounding in between, as Pillow does: the other order, though faster,
/// differs by up to six levels where a bicubic filter overshoots and is clipped.
///
/// # Errors
/// [`DataError::Image`] for an empty window or one outside the image.
pub fn resize(
    image: &RgbImage,
    window: Window,
    filter: Filter,
    (height, width): (usize, usize),
    scratch: &mut ResizeScratch,
    out: &mut [u8],
) -> Result<(), DataError> {
    let ResizeScratch { resizer, rows } = scratch;
    if window.height == height || window.width == width {
        let source = (&image.pixels[..], image.height, image.width);
        return pass(resizer, source, window, filter, (out, height, width));
    }
    rows.resize(window.height * width * 3, 0);
    let source = (&image.pixels[..], image.height, image.width);
    pass(resizer, source, window, filter, (rows, window.height, width))?;
    let window = Window { top: 0, left: 0, height: window.height, width };
    pass(resizer, (rows, window.height, width), window, filter, (out, height, width))
}

/// Resizes along one axis, or neither. Images are (pixels, height, width).
fn pass(
    resizer: &mut Resizer,
    (source, source_height, source_width): (&[u8], usize, usize),
    window: Window,
    filter: Filter,
    (target, height, width): (&mut [u8], usize, usize),
) -> Result<(), DataError> {
    let source =
        TypedImageRef::<U8x3>::from_buffer(source_width as u32, source_height as u32, source)
            .map_err(fault)?;
    let mut target =
        TypedImage::<U8x3>::from_buffer(width as u32, height as u32, target).map_err(fault)?;
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(window.left as f64, window.top as f64, window.width as f64, window.height as f64)
        .use_alpha(false);
    resizer.resize_typed(&source, &mut target, &options).map_err(fault)
}

fn fault(error: impl std::fmt::Display) -> DataError {
    ImageError::Broken { kind: "image", reason: format!("resizing: {error}") }.into()
}
