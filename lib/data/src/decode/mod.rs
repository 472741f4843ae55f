//! JPEG and PNG to RGB pixels, by what the bytes are and whatever the file is called.
//!
//! As the published pipelines do: grey and CMYK become RGB, alpha is dropped, orientation tags are
//! ignored. Sizes are checked before pixels are allocated, so a small file cannot claim much memory.

mod jpeg;
mod planes;
mod png;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{DataError, ImageError};
use crate::transform::{Area, Window};

pub(crate) use planes::{Plane, Planes};

/// Most pixels of an image that is decoded: 64 Mi, 192 MiB of RGB.
pub const MAX_PIXELS: usize = 1 << 26;
/// Most bytes of an encoded image.
pub const MAX_BYTES: u64 = 1 << 28;

/// An image of 8-bit RGB pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    let (kind, encoded) = open_whole(bytes)?;
    let mut image = RgbImage::default();
    encoded.decode(&mut image)?;
    Ok((kind, image))
}

/// Opens an image whose end marker is there.
pub(crate) fn open_whole(bytes: &[u8]) -> Result<(ImageKind, Encoded<'_>), ImageError> {
    let kind = ImageKind::of(bytes)?;
    if kind == ImageKind::Jpeg && !jpeg::has_end(bytes) {
        return Err(ImageError::Truncated);
    }
    Ok((kind, Encoded::open(bytes)?))
}

fn decode_image(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut image = RgbImage::default();
    Encoded::open(bytes)?.decode(&mut image)?;
    Ok(image)
}

/// By how much the sides of an image are divided when it is decoded: of each 8 x 8 block of a JPEG
/// only the low frequencies are transformed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Not at all.
    Full,
    /// By 2.
    Half,
    /// By 4.
    Quarter,
    /// By 8.
    Eighth,
}

impl Reduction {
    /// The divisor: 1, 2, 4 or 8.
    #[must_use]
    pub fn factor(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }
}

/// An image whose headers have been read and whose pixels have not.
pub struct Encoded<'a> {
    width: usize,
    height: usize,
    content: Content<'a>,
}

enum Content<'a> {
    Jpeg(Box<libjpeg_turbo_rs::Decoder<'a>>),
    Png(&'a [u8]),
}

impl<'a> Encoded<'a> {
    /// Reads the headers and checks the size.
    ///
    /// # Errors
    /// For bytes that are neither JPEG nor PNG, are broken, or exceed the limits.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let size = bytes.len() as u64;
        if size > MAX_BYTES {
            return Err(ImageError::TooManyBytes { bytes: size, limit: MAX_BYTES });
        }
        let kind = ImageKind::of(bytes)?;
        contained(|| match kind {
            ImageKind::Jpeg => {
                let decoder = Box::new(jpeg::open(bytes)?);
                let header = decoder.header();
                let (width, height) = (usize::from(header.width), usize::from(header.height));
                Ok(Self { width, height, content: Content::Jpeg(decoder) })
            }
            ImageKind::Png => {
                let (width, height) = png::size(bytes)?;
                Ok(Self { width, height, content: Content::Png(bytes) })
            }
        })
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Decodes all pixels into `image`, whose memory is used again.
    ///
    /// # Errors
    /// When the data is broken or cut.
    pub fn decode(self, image: &mut RgbImage) -> Result<(), ImageError> {
        contained(|| match self.content {
            Content::Jpeg(decoder) => jpeg::decode(&decoder, image),
            Content::Png(bytes) => png::decode(bytes, image),
        })
    }

    /// Whether [`decode_planes`](Self::decode_planes) can be used.
    pub(crate) fn is_planes(&self) -> bool {
        match &self.content {
            Content::Jpeg(decoder) => planes::chroma_step(decoder).is_some(),
            Content::Png(_) => false,
        }
    }

    /// Decodes all pixels as the planes that the image is kept as.
    ///
    /// # Errors
    /// When the data is broken or cut, as in [`decode`](Self::decode); for an image that is not
    /// [kept so](Self::is_planes).
    pub(crate) fn decode_planes(self) -> Result<Planes, ImageError> {
        contained(|| match self.content {
            Content::Jpeg(decoder) => match planes::chroma_step(&decoder) {
                Some(step) => planes::decode(*decoder, step),
                None => Err(broken("JPEG", "it is not kept as planes")),
            },
            Content::Png(_) => Err(broken("PNG", "it is not kept as planes")),
        })
    }

    /// Decodes at least the pixels of `window`, which lies inside the image, into `image`, and
    /// returns where in it they are. At [`Reduction::Full`] they are the very pixels that
    /// [`decode`](Self::decode) gives. What has to be decoded whole is, whatever the reduction.
    ///
    /// # Errors
    /// When the data is broken or cut, inside the window or outside it.
    pub fn decode_window(
        self,
        window: Window,
        reduction: Reduction,
        image: &mut RgbImage,
    ) -> Result<Area, ImageError> {
        let (origin, reduction) = contained(|| match self.content {
            Content::Jpeg(mut decoder) => {
                jpeg::decode_window(&mut decoder, window, reduction, image)
            }
            Content::Png(bytes) => png::decode(bytes, image).map(|()| ((0, 0), Reduction::Full)),
        })?;
        Ok(Area::of(window).reduced(reduction.factor()).seen_from(origin))
    }
}

/// Images come from anywhere and a decoder may have defects: one of them must cost an image, not a
/// day of training.
fn contained<T>(decode: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    // What a panic leaves half-written is pixels, and nobody looks at them after an error.
    let result = catch_unwind(AssertUnwindSafe(decode));
    result.unwrap_or_else(|_| Err(broken("image", "the decoder failed on it")))
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
