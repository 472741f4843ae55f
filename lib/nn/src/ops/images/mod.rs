//! Images in 8 bits as a network's input: normalised, mirrored, erased and mixed, as plans of a batch say.
//!
//! Pixels are `[N, S, S, 3]`. With n the image, m its column S - 1 - x where it is mirrored and x where not, and k the
//! channel, first
//!
//! ```text
//! v[n,y,x,k] = noise(key[n], y * S + x)[k]                        inside the erased rectangle,
//!              (pixels[n,y,m,k] / 255 - mean[k]) / std[k]         outside it,
//! ```
//!
//! so that the rectangle is one of the result, after mirroring; then images 2i and 2i + 1 are mixed:
//!
//! ```text
//! values[n,y,x,k] = share * v[n,y,x,k] + (1 - share) * v[n^1,y,x,k],
//! ```
//!
//! where a blend has its share everywhere, and an exchange 0 inside its rectangle and 1 outside it. An image that has no
//! partner at the end stays. The noise is standard normal, a function of a key and a pixel's place: [`noise`].
//!
//! There is no gradient: images are where a network begins.

#[cfg(feature = "cuda")]
mod cuda;
pub mod noise;
#[cfg(test)]
mod tests;

use super::element::{Element, contiguous, dispatch};
use super::threads::fill_rows;
use candle_core::{CpuStorage, DType, Result, Storage, Tensor};

const NAME: &str = "images";

/// Pixels of a square image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rectangle {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Rectangle {
    fn holds(&self, y: usize, x: usize) -> bool {
        (self.y..self.y + self.height).contains(&y) && (self.x..self.x + self.width).contains(&x)
    }

    fn fits(&self, size: usize) -> bool {
        let inside = |first: usize, len| first.checked_add(len).is_some_and(|end| end <= size);
        inside(self.y, self.height) && inside(self.x, self.width)
    }
}

/// Noise in a rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Where, after mirroring.
    pub rectangle: Rectangle,
    /// The noise's key.
    pub key: [u32; 2],
}

/// What is done to one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// Whether left and right are exchanged.
    pub mirrored: bool,
    /// What is filled with noise.
    pub erased: Option<Erased>,
}

/// What is done to pairs of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixed {
    /// An image becomes this share of itself and the rest of its partner.
    Blend {
        /// Between 0 and 1.
        share: f32,
    },
    /// Partners exchange a rectangle.
    Exchange(Rectangle),
}

impl Mixed {
    /// How much of an image is its own at a pixel.
    fn share(&self, y: usize, x: usize) -> f64 {
        match self {
            Self::Blend { share } => f64::from(*share),
            Self::Exchange(rectangle) => f64::from(u8::from(!rectangle.holds(y, x))),
        }
    }
}

/// What is done to the images of a batch.
#[derive(Clone, Copy, Debug)]
pub struct ImagePlan<'a> {
    /// Of the channels, of values between 0 and 1.
    pub mean: [f64; 3],
    /// The same.
    pub std: [f64; 3],
    /// One for each image, or none at all where nothing is done to any.
    pub treatments: &'a [Treatment],
    /// After that.
    pub mixed: Option<Mixed>,
}

impl ImagePlan<'_> {
    fn treatment(&self, image: usize) -> Treatment {
        self.treatments.get(image).copied().unwrap_or_default()
    }

    /// Holds the plan against images, and returns their number and side.
    fn check(&self, pixels: &Tensor) -> Result<(usize, usize)> {
        let (n, size) = match *pixels.dims() {
            [n, height, width, 3] if height == width => (n, height),
            ref dims => candle_core::bail!("{NAME}: pixels {dims:?}, not [N, S, S, 3]"),
        };
        if pixels.dtype() != DType::U8 {
            candle_core::bail!("{NAME}: pixels of {:?}, not U8", pixels.dtype());
        }
        if !self.treatments.is_empty() && self.treatments.len() != n {
            candle_core::bail!("{NAME}: {} treatments of {n} images", self.treatments.len());
        }
        let erased = self.treatments.iter().filter_map(|treatment| treatment.erased);
        let exchanged = match self.mixed {
            Some(Mixed::Exchange(rectangle)) => Some(rectangle),
            _ => None,
        };
        let mut rectangles = erased.map(|erased| erased.rectangle).chain(exchanged);
        if let Some(outside) = rectangles.find(|rectangle| !rectangle.fits(size)) {
            candle_core::bail!("{NAME}: {outside:?} in images of side {size}");
        }
        Ok((n, size))
    }
}

/// The images `pixels` `[N, S, S, 3]` in U8 as a network's input of this type, on their device: f32 or f64 on the CPU, f32
/// or bf16 on CUDA. What the plan says goes along with the device's other work, which nothing waits for.
///
/// # Errors
/// When shapes, types or rectangles do not fit, or the pixels are not contiguous.
pub fn normalise(pixels: &Tensor, plan: &ImagePlan<'_>, dtype: DType) -> Result<Tensor> {
    let (_, size) = plan.check(pixels)?;
    #[cfg(feature = "cuda")]
    if pixels.device().is_cuda() {
        return cuda::normalise(pixels, plan, dtype);
    }
    let (storage, layout) = pixels.storage_and_layout();
    let (start, end) = contiguous(layout, NAME)?;
    let Storage::Cpu(CpuStorage::U8(bytes)) = &*storage else {
        candle_core::bail!("{NAME}: no kernel for the device of the pixels")
    };
    dispatch!(dtype, NAME, T => {
        let values = values::<T>(&bytes[start..end], size, plan);
        Tensor::from_vec(values, pixels.shape(), pixels.device())
    })
}

/// Images of side `size`, one pixel after the other.
fn values<T: Element>(pixels: &[u8], size: usize, plan: &ImagePlan<'_>) -> Vec<T> {
    let mut values = vec![T::zero(); pixels.len()];
    if pixels.is_empty() {
        return values;
    }
    let (len, images) = (size * size * 3, Images { pixels, size, plan });
    fill_rows(&mut values, len, 1, |n, image| {
        let partner = if (n ^ 1) * len < pixels.len() { n ^ 1 } else { n };
        let (image, _) = image.as_chunks_mut::<3>();
        for (place, pixel) in image.iter_mut().enumerate() {
            let (y, x) = (place / size, place % size);
            let own = images.at::<T>(n, y, x);
            let share = plan.mixed.map_or(1.0, |mixed| mixed.share(y, x));
            *pixel = if share < 1.0 && partner != n {
                let other = images.at::<T>(partner, y, x);
                let (share, rest) = (T::from_f64(share), T::from_f64(1.0 - share));
                std::array::from_fn(|k| own[k] * share + other[k] * rest)
            } else {
                own
            };
        }
    });
    values
}

/// Images with their plan.
struct Images<'a> {
    pixels: &'a [u8],
    size: usize,
    plan: &'a ImagePlan<'a>,
}

impl Images<'_> {
    /// A pixel before mixing.
    fn at<T: Element>(&self, image: usize, y: usize, x: usize) -> [T; 3] {
        let (size, treatment) = (self.size, self.plan.treatment(image));
        if let Some(erased) = treatment.erased
            && erased.rectangle.holds(y, x)
        {
            return noise::normals(erased.key, (y * size + x) as u32).map(T::from_f64);
        }
        let column = if treatment.mirrored { size - 1 - x } else { x };
        let first = ((image * size + y) * size + column) * 3;
        std::array::from_fn(|k| {
            let value = f64::from(self.pixels[first + k]) / 255.0;
            T::from_f64((value - self.plan.mean[k]) / self.plan.std[k])
        })
    }
}
