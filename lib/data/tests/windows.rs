//! Images of which only a window is decoded, at full size and smaller.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::{Path, PathBuf};

use cream_data::decode::Reduction;
use cream_data::keyed::{Key, Purpose, below};
use cream_data::transform::{ResizeScratch, Window};
use cream_data::{Encoded, RgbImage, TrainCrop, TrainInterpolation, TrainTransform, decode};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

fn photos() -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/photos");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut photos: Vec<(String, Vec<u8>)> =
        ["chelsea.jpg", "chelsea_progressive_444.jpg", "coffee.jpg"]
            .map(|name| (name.to_owned(), read(name)))
            .into();
    let image = decode(&photos[2].1).unwrap();
    for sampling in [
        Subsampling::S444,
        Subsampling::S422,
        Subsampling::S420,
        Subsampling::S440,
        Subsampling::S411,
    ] {
        let (pixels, format) = (&image.pixels, PixelFormat::Rgb);
        let bytes = compress(pixels, image.width, image.height, format, 85, sampling).unwrap();
        photos.push((format!("coffee {sampling:?}"), bytes));
    }
    let grey: Vec<u8> = image.pixels.iter().step_by(3).copied().collect();
    let (format, sampling) = (PixelFormat::Grayscale, Subsampling::S444);
    let bytes = compress(&grey, image.width, image.height, format, 85, sampling).unwrap();
    photos.push(("grey".to_owned(), bytes));
    photos
}

fn random_window(image: &Encoded<'_>, number: u64) -> Window {
    let rng = &mut Key::new(3, Purpose::Synthetic).rng(&[number, 7]);
    let mut along = |side: usize| {
        let length = 1 + below(rng, side as u64) as usize;
        (below(rng, (side - length + 1) as u64) as usize, length)
    };
    let ((top, height), (left, width)) = (along(image.height()), along(image.width()));
    Window { top, left, height, width }
}

#[test]
fn a_window_holds_the_pixels_of_the_whole() {
    let mut part = RgbImage::default();
    for (name, bytes) in photos() {
        let whole = decode(&bytes).unwrap();
        for number in 0..40 {
            let image = Encoded::open(&bytes).unwrap();
            let window = random_window(&image, number);
            let area = image.decode_window(window, Reduction::Full, &mut part).unwrap();
            assert_eq!((area.height, area.width), (window.height as f64, window.width as f64));
            let (top, left) = (area.top as usize, area.left as usize);
            for row in 0..window.height {
                let from = ((window.top + row) * whole.width + window.left) * 3;
                let to = ((top + row) * part.width + left) * 3;
                let length = window.width * 3;
                let same = part.pixels[to..to + length] == whole.pixels[from..from + length];
                assert!(same, "{name}: {window:?}: row {row}");
            }
        }
    }
}

/// Mean difference of a reduced window from the means of the pixels that each of its pixels covers.
fn distance(
    part: &RgbImage,
    window: Window,
    (top, left): (f64, f64),
    by: usize,
    whole: &RgbImage,
) -> f64 {
    let (first_row, first_column) = (window.top.div_ceil(by), window.left.div_ceil(by));
    let rows = (window.top + window.height) / by - first_row;
    let columns = (window.left + window.width) / by - first_column;
    // Where the reduced whole's first pixel would lie in the part.
    let shift = |place: usize, start: f64| (place as f64 / by as f64 - start).round() as usize;
    let (down, right) = (shift(window.top, top), shift(window.left, left));
    let mut sum = 0.0;
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let (y, x) = (first_row + row, first_column + column);
        for channel in 0..3 {
            let all = (0..by * by).map(|i| (y * by + i / by, x * by + i % by));
            let total: u32 = all
                .map(|(y, x)| u32::from(whole.pixels[(y * whole.width + x) * 3 + channel]))
                .sum();
            let mean = f64::from(total) / (by * by) as f64;
            let got = part.pixels[((y - down) * part.width + x - right) * 3 + channel];
            sum += (mean - f64::from(got)).abs();
        }
    }
    sum / (rows * columns * 3) as f64
}

#[test]
fn a_reduced_window_shows_the_same_part_smaller() {
    let mut part = RgbImage::default();
    for (name, bytes) in photos() {
        let whole = decode(&bytes).unwrap();
        for number in 0..12 {
            for reduction in [Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
                let image = Encoded::open(&bytes).unwrap();
                let window = random_window(&image, number);
                let by = if name.ends_with("S411") { 1 } else { reduction.factor() };
                if window.height < 4 * by || window.width < 4 * by {
                    continue;
                }
                let area = image.decode_window(window, reduction, &mut part).unwrap();
                assert!(part.height <= window.height / by + 2, "{name}: {window:?}");
                assert_eq!(area.width, window.width as f64 / by as f64);
                assert!(area.left + area.width <= part.width as f64);
                assert!(area.top + area.height <= part.height as f64);
                let mean = distance(&part, window, (area.top, area.left), by, &whole);
                assert!(mean < 5.0, "{name}: {window:?} by {by}: {mean}");
            }
        }
    }
}

fn transform(image_size: usize, interpolation: TrainInterpolation) -> TrainTransform {
    let (scale, ratio) = ((0.08, 1.0), (0.75, 4.0 / 3.0));
    let crop = TrainCrop::ResizedCrop { image_size, scale, ratio, interpolation };
    TrainTransform {
        crop,
        flip: 0.5,
        rand_augment: None,
        colour_jitter: 0.0,
        erasing: 0.2,
        mixing: None,
    }
}

#[test]
fn training_crops_are_those_of_the_whole_image() {
    let mut scratch = ResizeScratch::default();
    for (name, bytes) in photos() {
        let whole = decode(&bytes).unwrap();
        // No window of these images is twice as large as 300; many are than 32.
        for (size, largest) in [(300, 0.0), (32, 4.0)] {
            let transform = transform(size, TrainInterpolation::Random);
            let (mut wanted, mut got) = (vec![0; size * size * 3], vec![0; size * size * 3]);
            for sample in 0..8 {
                let key = (5, 1, sample);
                let erasure = transform.apply(&whole, key, &mut scratch, &mut wanted).unwrap();
                let image = Encoded::open(&bytes).unwrap();
                let same = transform.apply_encoded(image, key, &mut scratch, &mut got).unwrap();
                assert_eq!(same, erasure);
                let pairs = wanted.iter().zip(&got);
                let sum: f64 = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
                let mean = sum / wanted.len() as f64;
                assert!(mean <= largest, "{name}: {size} pixels, sample {sample}: {mean}");
            }
        }
    }
}

#[test]
fn what_is_cut_outside_the_window_is_found() {
    for (name, bytes) in photos() {
        // A progressive image is found to be cut when its scans are looked for.
        let Ok(image) = Encoded::open(&bytes[..bytes.len() * 3 / 4]) else {
            assert!(name.contains("progressive"), "{name}");
            continue;
        };
        let window = Window { top: 0, left: 0, height: 16, width: 16 };
        let result = image.decode_window(window, Reduction::Full, &mut RgbImage::default());
        assert!(result.is_err(), "{name}");
    }
}
