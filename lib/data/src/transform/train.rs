//! Augmentation for training, a pure function of (seed, epoch, sample).

use rand_core::Rng;

use super::crop::paste_centred;
use super::randaugment::RandAugment;
use super::resize::{Area, Filter, ResizeScratch, Window, resize};
use super::{check_image_size, colour, erase, require};
use crate::batch::Erasure;
use crate::decode::{Encoded, Reduction, RgbImage};
use crate::error::DataError;
use crate::keyed::{self, ChaCha8Rng, Key, Purpose};
use crate::mix::Mixing;

/// How an image becomes a square for training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrainCrop {
    /// Random-resized crop (Szegedy et al., "Going Deeper with Convolutions", 2015): a rectangle
    /// of random area and shape, resized to the square.
    ResizedCrop {
        /// Side of the output in pixels.
        image_size: usize,
        /// Smallest and largest share of the image's area; (0.08, 1) as published.
        scale: (f64, f64),
        /// Smallest and largest width / height, drawn uniformly in its logarithm; (3/4, 4/3) as
        /// published.
        ratio: (f64, f64),
        /// Filter of the resizing.
        interpolation: TrainInterpolation,
    },
    /// For small images: placed at the centre of a black square, then moved by whole pixels; not
    /// resized.
    PadCrop {
        /// Side of the output in pixels.
        image_size: usize,
        /// Largest move in each direction, in pixels.
        shift: usize,
    },
}

impl TrainCrop {
    /// Side of the square output in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        match *self {
            Self::ResizedCrop { image_size, .. } | Self::PadCrop { image_size, .. } => image_size,
        }
    }
}

/// Filter of a random-resized crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainInterpolation {
    /// Always bilinear.
    Bilinear,
    /// Always bicubic.
    Bicubic,
    /// Either, with equal chance; as published.
    Random,
}

/// What is done to a training image, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainTransform {
    /// Crop and size.
    pub crop: TrainCrop,
    /// Probability of a mirror image; 0.5 as published.
    pub flip: f64,
    /// Random operations of tone and shape; none in the search.
    pub rand_augment: Option<RandAugment>,
    /// Brightness, contrast and saturation change by factors in [1 - jitter, 1 + jitter], in
    /// random order; 0.4 in the search, 0 turns it off.
    pub colour_jitter: f64,
    /// Probability of erasing a rectangle, filled with noise after normalisation; 0.2 as
    /// published.
    pub erasing: f64,
    /// Mixing of images with one another, after erasing: done to whole batches by the loader and
    /// [`Batch::normalise`](crate::Batch::normalise).
    pub mixing: Option<Mixing>,
}

impl TrainTransform {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`DataError::Setting`].
    pub fn check(&self) -> Result<(), DataError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        check_image_size(self.crop.image_size())?;
        require(share(self.flip), "flip", self.flip, "a probability, 0 to 1")?;
        self.rand_augment.iter().try_for_each(RandAugment::check)?;
        self.mixing.iter().try_for_each(Mixing::check)?;
        require(share(self.colour_jitter), "colour jitter", self.colour_jitter, "0 to 1")?;
        require(share(self.erasing), "erasing", self.erasing, "a probability, 0 to 1")?;
        match self.crop {
            TrainCrop::PadCrop { image_size, shift } => {
                require(shift <= image_size, "shift", shift, "at most the image size")
            }
            TrainCrop::ResizedCrop { scale, ratio, .. } => {
                let good = 0.0 < scale.0 && scale.0 <= scale.1 && scale.1 <= 1.0;
                let pair = |(low, high): (f64, f64)| format!("({low}, {high})");
                require(
                    good,
                    "crop scale",
                    pair(scale),
                    "two shares in (0, 1], the smaller first",
                )?;
                let good = 0.01 <= ratio.0 && ratio.0 <= ratio.1 && ratio.1 <= 100.0;
                require(good, "crop ratio", pair(ratio), "0.01 to 100, the smaller first")
            }
        }
    }

    /// Writes the augmented `image` to `out`, `[image_size, image_size, 3]`, and returns the
    /// rectangle that normalising will fill with noise, if any.
    ///
    /// # Errors
    /// [`DataError::Image`] when resizing fails.
    pub fn apply(
        &self,
        image: &RgbImage,
        (seed, epoch, sample): (u64, u64, u64),
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<Option<Erasure>, DataError> {
        let key = &mut Draws::new(seed, epoch, sample);
        let size = self.crop.image_size();
        match self.crop.draw((image.height, image.width), &mut key.rng) {
            Placement::Shift(by) => paste_centred(image, size, by, out),
            Placement::Resize(window, filter) => {
                resize(image, Area::of(window), filter, (size, size), scratch, out)?;
            }
        }
        Ok(self.finish(key, scratch, out))
    }

    /// The same from an encoded image, of which no more is decoded than the crop needs: its rows and
    /// columns, at half the size where the crop's sides are at least twice the output's, and so on.
    /// The result is that of [`apply`](Self::apply) where nothing was decoded smaller.
    ///
    /// # Errors
    /// [`DataError::Image`] for an image that does not decode.
    pub fn apply_encoded(
        &self,
        image: Encoded<'_>,
        (seed, epoch, sample): (u64, u64, u64),
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Result<Option<Erasure>, DataError> {
        let key = &mut Draws::new(seed, epoch, sample);
        let size = self.crop.image_size();
        let placement = self.crop.draw((image.height(), image.width()), &mut key.rng);
        let mut decoded = std::mem::take(&mut scratch.decoded);
        let placed = match placement {
            Placement::Shift(by) => image.decode(&mut decoded).map_err(DataError::from).map(|()| {
                paste_centred(&decoded, size, by, out);
            }),
            Placement::Resize(window, filter) => {
                let part = image.decode_window(window, reduction(window, size), &mut decoded);
                part.map_err(DataError::from)
                    .and_then(|area| resize(&decoded, area, filter, (size, size), scratch, out))
            }
        };
        scratch.decoded = decoded;
        placed.map(|()| self.finish(key, scratch, out))
    }

    /// All that follows the crop.
    fn finish(
        &self,
        draws: &mut Draws,
        scratch: &mut ResizeScratch,
        out: &mut [u8],
    ) -> Option<Erasure> {
        let size = self.crop.image_size();
        let rng = &mut draws.rng;
        if keyed::chance(rng, self.flip) {
            mirror(out, size);
        }
        if let Some(policy) = &self.rand_augment {
            policy.apply(out, size, &mut scratch.copy, rng);
        }
        if self.colour_jitter > 0.0 {
            colour::jitter(out, self.colour_jitter, rng);
        }
        if !keyed::chance(rng, self.erasing) {
            return None;
        }
        erase::rectangle(size, &mut draws.noise, rng)
    }
}

/// The random numbers of one sample in one epoch.
struct Draws {
    rng: ChaCha8Rng,
    noise: ChaCha8Rng,
}

impl Draws {
    fn new(seed: u64, epoch: u64, sample: u64) -> Self {
        Self {
            rng: Key::new(seed, Purpose::Augment).rng(&[epoch, sample]),
            noise: Key::new(seed, Purpose::ErasingNoise).rng(&[epoch, sample]),
        }
    }
}

/// Where an image's pixels go.
enum Placement {
    /// Centred, then moved (down, right).
    Shift((i64, i64)),
    /// The window fills the output.
    Resize(Window, Filter),
}

impl TrainCrop {
    /// Draws the crop of an image of (height, width).
    fn draw(&self, shape: (usize, usize), rng: &mut impl Rng) -> Placement {
        match *self {
            Self::PadCrop { shift, .. } => {
                let mut draw = || keyed::below(rng, 2 * shift as u64 + 1) as i64 - shift as i64;
                Placement::Shift((draw(), draw()))
            }
            Self::ResizedCrop { scale, ratio, interpolation, .. } => {
                let window = random_window(shape, scale, ratio, rng);
                Placement::Resize(window, interpolation.draw(rng))
            }
        }
    }
}

impl TrainInterpolation {
    /// The filter, drawn if it is random.
    pub(super) fn draw(self, rng: &mut impl Rng) -> Filter {
        match self {
            Self::Bilinear => Filter::Bilinear,
            Self::Bicubic => Filter::Bicubic,
            Self::Random if keyed::chance(rng, 0.5) => Filter::Bicubic,
            Self::Random => Filter::Bilinear,
        }
    }
}

/// The largest reduction after which the window still has the output's size.
fn reduction(window: Window, size: usize) -> Reduction {
    let side = window.height.min(window.width);
    let known = [Reduction::Eighth, Reduction::Quarter, Reduction::Half];
    let fits = |reduction: &Reduction| side >= size * reduction.factor();
    known.into_iter().find(fits).unwrap_or(Reduction::Full)
}

/// Reverses every row of a `[size, size, 3]` image.
pub(super) fn mirror(pixels: &mut [u8], size: usize) {
    for row in pixels.chunks_exact_mut(size * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

/// A rectangle of random area and shape inside the image. After ten that did not fit, the largest
/// central one whose shape is allowed.
fn random_window(
    (full_height, full_width): (usize, usize),
    scale: (f64, f64),
    ratio: (f64, f64),
    rng: &mut impl Rng,
) -> Window {
    for _ in 0..10 {
        let area = keyed::between(rng, scale.0, scale.1) * (full_height * full_width) as f64;
        let shape = keyed::between(rng, ratio.0.ln(), ratio.1.ln()).exp();
        let width = (area * shape).sqrt().round_ties_even() as usize;
        let height = (area / shape).sqrt().round_ties_even() as usize;
        if (1..=full_width).contains(&width) && (1..=full_height).contains(&height) {
            let top = keyed::below(rng, (full_height - height + 1) as u64) as usize;
            let left = keyed::below(rng, (full_width - width + 1) as u64) as usize;
            return Window { top, left, height, width };
        }
    }
    let shape = full_width as f64 / full_height as f64;
    let (mut height, mut width) = (full_height, full_width);
    if shape < ratio.0 {
        height = (full_width as f64 / ratio.0).round_ties_even() as usize;
    } else if shape > ratio.1 {
        width = (full_height as f64 * ratio.1).round_ties_even() as usize;
    }
    let (height, width) = (height.clamp(1, full_height), width.clamp(1, full_width));
    Window { top: (full_height - height) / 2, left: (full_width - width) / 2, height, width }
}
