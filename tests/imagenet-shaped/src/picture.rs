//! The pixels of an image: a crop of a photo, resized, flipped, recoloured and grained.

use anyhow::Result;
use cream_data::keyed::{ChaCha8Rng, Key, Purpose, below, between, chance, normal};
use cream_data::transform::{Area, Filter, ResizeScratch, Window, resize};
use cream_data::{DataError, RgbImage};

use crate::photos::Photos;
use crate::plan::Draw;

/// Grain values; a power of two.
const GRAINS: usize = 1 << 16;

/// Standard normal values that all images take their grain from.
#[derive(Debug)]
pub struct Grain(Vec<f32>);

impl Grain {
    /// The same for every set.
    pub fn new() -> Self {
        let mut rng = Key::new(0, Purpose::Synthetic).rng(&[Draw::Grain as u64, 0]);
        Self((0..GRAINS).map(|_| normal(&mut rng) as f32).collect())
    }
}

/// Width and height as ImageNet's vary: most 500 pixels on the long side, some smaller, few larger.
pub fn size(rng: &mut ChaCha8Rng) -> (usize, usize) {
    let share = between(rng, 0.0, 1.0);
    let (long, short) = match share {
        ..0.62 => (500, 375),
        ..0.76 => (500, 333),
        ..0.84 => (500, between(rng, 250.0, 500.0) as usize),
        ..0.97 => {
            let long = between(rng, 90.0, 500.0);
            (long as usize, (long * between(rng, 0.55, 1.0)) as usize)
        }
        _ => {
            let long = between(rng, 600.0, 2_600.0);
            (long as usize, (long * between(rng, 0.6, 0.8)) as usize)
        }
    };
    if chance(rng, 0.25) { (short, long) } else { (long, short) }
}

/// Draws pixels of the given size.
pub fn paint(
    photos: &Photos,
    grain: &Grain,
    (width, height): (usize, usize),
    rng: &mut ChaCha8Rng,
) -> Result<RgbImage, DataError> {
    let photo = photos.pick(rng);
    let window = crop(photo, (width, height), rng);
    let filter = if chance(rng, 0.5) { Filter::Bilinear } else { Filter::Bicubic };
    let mut image = RgbImage::black(width, height);
    let mut scratch = ResizeScratch::default();
    let area = Area::of(window);
    resize(photo, area, filter, (height, width), &mut scratch, &mut image.pixels)?;
    if chance(rng, 0.5) {
        for row in image.pixels.chunks_exact_mut(width * 3) {
            row.as_chunks_mut::<3>().0.reverse();
        }
    }
    recolour(&mut image, grain, rng);
    Ok(image)
}

/// A random rectangle of a photo with about the ratio of the sides asked for.
fn crop(photo: &RgbImage, (width, height): (usize, usize), rng: &mut ChaCha8Rng) -> Window {
    let fit = (photo.width as f64 / width as f64).min(photo.height as f64 / height as f64);
    let scale = fit * between(rng, 0.35, 1.0).sqrt();
    let side = |wanted: usize, most: usize| ((wanted as f64 * scale) as usize).clamp(1, most);
    let (wide, high) = (side(width, photo.width), side(height, photo.height));
    let mut place = |room: usize| below(rng, room as u64 + 1) as usize;
    let (left, top) = (place(photo.width - wide), place(photo.height - high));
    Window { top, left, height: high, width: wide }
}

/// Another gain and offset for each channel, and grain, which all channels have in common as film's.
fn recolour(image: &mut RgbImage, grain: &Grain, rng: &mut ChaCha8Rng) {
    let contrast = between(rng, 0.75, 1.25);
    let brightness = between(rng, -20.0, 20.0);
    let tables: [[i16; 256]; 3] = std::array::from_fn(|_| {
        let gain = contrast * between(rng, 0.88, 1.12);
        std::array::from_fn(|value| ((value as f64 - 128.0) * gain + 128.0 + brightness) as i16)
    });
    let strength = between(rng, 2.0, 16.0) as f32;
    let grain: Vec<i16> = grain.0.iter().map(|value| (value * strength).round() as i16).collect();
    for row in image.pixels.chunks_exact_mut(image.width * 3) {
        let start = below(rng, GRAINS as u64) as usize;
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let noise = grain[(start + x) % GRAINS];
            for (value, table) in pixel.iter_mut().zip(&tables) {
                *value = (table[usize::from(*value)] + noise).clamp(0, 255) as u8;
            }
        }
    }
}
