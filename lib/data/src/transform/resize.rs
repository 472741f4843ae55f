//! Antialiased resizing, as Pillow's: the filter's support grows with the reduction.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::plane::PlaneScratch;
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

/// A rectangle whose edges may lie inside pixels: a window of an image that was decoded smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Where the first row begins.
    pub top: f64,
    /// Where the first column begins.
    pub left: f64,
    /// Extent in rows.
    pub height: f64,
    /// Extent in columns.
    pub width: f64,
}

impl From<Window> for Area {
    fn from(window: Window) -> Self {
        Self::of(window)
    }
}

impl Area {
    /// The window itself.
    #[must_use]
    pub fn of(window: Window) -> Self {
        Self {
            top: window.top as f64,
            left: window.left as f64,
            height: window.height as f64,
            width: window.width as f64,
        }
    }

    /// The same in an image whose sides are `factor` times shorter.
    #[must_use]
    pub(crate) fn reduced(self, factor: usize) -> Self {
        let by = factor as f64;
        let Self { top, left, height, width } = self;
        Self { top: top / by, left: left / by, height: height / by, width: width / by }
    }

    /// The same where counting begins at (column, row).
    #[must_use]
    pub(crate) fn seen_from(self, (column, row): (usize, usize)) -> Self {
        Self { top: self.top - row as f64, left: self.left - column as f64, ..self }
    }

    /// The whole pixels that it touches, within an image.
    fn cover(&self, image: &RgbImage) -> Window {
        let along = |start: f64, extent: f64, side: usize| {
            let first = (start.max(0.0).floor() as usize).min(side);
            let end = ((start + extent).ceil() as usize).clamp(first, side);
            (first, end - first)
        };
        let (top, height) = along(self.top, self.height, image.height);
        let (left, width) = along(self.left, self.width, image.width);
        Window { top, left, height, width }
    }
}

/// Buffers that transforms reuse from call to call; one per thread.
#[derive(Default)]
pub struct ResizeScratch {
    pub(super) resizer: Resizer,
    rows: Vec<u8>,
    pub(super) plane: PlaneScratch,
    /// The planes of an image made smaller.
    pub(crate) small: [Vec<u8>; 3],
    /// The decoded image.
    pub(crate) decoded: RgbImage,
    /// A copy of the output, for what cannot be done in place.
    pub(super) copy: Vec<u8>,
}

/// Resizes `area` of `image` to `[height, width, 3]` in `out`. The filter looks at no pixel that
/// the area does not touch, as if the image had been cut out first.
///
/// Rows first, then columns, rounding in between, as Pillow does: the other order, though faster,
/// differs by up to six levels where a bicubic filter overshoots and is clipped.
///
/// # Errors
/// [`DataError::Image`] for an empty area or one outside the image.
pub fn resize(
    image: &RgbImage,
    area: impl Into<Area>,
    filter: Filter,
    (height, width): (usize, usize),
    scratch: &mut ResizeScratch,
    out: &mut [u8],
) -> Result<(), DataError> {
    let area = area.into();
    let cover = area.cover(image);
    let area = area.seen_from((cover.left, cover.top));
    let whole = |extent: f64, pixels: usize| extent == pixels as f64;
    let source = (&image.pixels[..], image.height, image.width);
    let ResizeScratch { resizer, rows, .. } = scratch;
    if whole(area.height, height) && area.top == 0.0 || whole(area.width, width) && area.left == 0.0
    {
        return pass::<U8x3>(resizer, source, cover, area, filter, (out, height, width));
    }
    rows.resize(cover.height * width * 3, 0);
    let across = Area { top: 0.0, height: cover.height as f64, ..area };
    pass::<U8x3>(resizer, source, cover, across, filter, (rows, cover.height, width))?;
    let cover = Window { top: 0, left: 0, height: cover.height, width };
    let down = Area { left: 0.0, width: width as f64, ..area };
    pass::<U8x3>(resizer, (rows, cover.height, width), cover, down, filter, (out, height, width))
}

/// Resizes along one axis, or neither: `area` of what `cover` cuts out. Images are (pixels, height,
/// width).
pub(super) fn pass<P: PixelTrait>(
    resizer: &mut Resizer,
    (source, source_height, source_width): (&[u8], usize, usize),
    cover: Window,
    area: Area,
    filter: Filter,
    (target, height, width): (&mut [u8], usize, usize),
) -> Result<(), DataError> {
    let source = TypedImageRef::<P>::from_buffer(source_width as u32, source_height as u32, source)
        .map_err(fault)?;
    let Window { top, left, height: rows, width: columns } = cover;
    let source =
        TypedCroppedImage::new(source, left as u32, top as u32, columns as u32, rows as u32)
            .map_err(fault)?;
    let mut target =
        TypedImage::<P>::from_buffer(width as u32, height as u32, target).map_err(fault)?;
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(area.left, area.top, area.width, area.height)
        .use_alpha(false);
    resizer.resize_typed(&source, &mut target, &options).map_err(fault)
}

fn fault(error: impl std::fmt::Display) -> DataError {
    ImageError::Broken { kind: "image", reason: format!("resizing: {error}") }.into()
}
