//! JPEGs made smaller plane by plane, beside the same through RGB.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::{Path, PathBuf};

use cream_data::encode::{Shrink, encode, store};
use cream_data::transform::{Area, Filter, ResizeScratch, Window, resize};
use cream_data::{ImageKind, RgbImage, decode};
use libjpeg_turbo_rs::{ColorSpace, Decoder, Encoder, PixelFormat, Subsampling, compress};

const KEPT: [Subsampling; 4] =
    [Subsampling::S420, Subsampling::S444, Subsampling::S422, Subsampling::S440];

fn photo(name: &str) -> Vec<u8> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/photos");
    std::fs::read(folder.join(name)).unwrap()
}

fn jpeg(image: &RgbImage, quality: u8, sampling: Subsampling) -> Vec<u8> {
    let (pixels, format) = (&image.pixels, PixelFormat::Rgb);
    compress(pixels, image.width, image.height, format, quality, sampling).unwrap()
}

/// The bytes that a shard gets.
fn stored(bytes: &[u8], short_side: usize) -> Vec<u8> {
    let shrink = Some(Shrink { short_side, quality: 90 });
    store(bytes, shrink, &mut ResizeScratch::default()).unwrap().remade.unwrap()
}

/// The image resized as RGB.
fn resized(image: &RgbImage, (width, height): (usize, usize)) -> RgbImage {
    let mut small = RgbImage::black(width, height);
    let (area, scratch) = (Area::of(Window::whole(image)), &mut ResizeScratch::default());
    resize(image, area, Filter::Bicubic, (height, width), scratch, &mut small.pixels).unwrap();
    small
}

/// What comes out through RGB: resized, written, and read again.
fn through_rgb(small: &RgbImage) -> RgbImage {
    decode(&encode(small, ImageKind::Jpeg, 90).unwrap()).unwrap()
}

/// Mean and largest difference.
fn off(one: &RgbImage, other: &RgbImage) -> (f64, u8) {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let differences = one.pixels.iter().zip(&other.pixels).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = differences.clone().map(u64::from).sum();
    (sum as f64 / one.pixels.len() as f64, differences.max().unwrap())
}

#[test]
fn photos_come_no_further_from_the_resized_image_than_through_rgb() {
    for name in ["chelsea.jpg", "chelsea_progressive_444.jpg", "coffee.jpg", "rocket.jpg"] {
        let bytes = photo(name);
        let image = decode(&bytes).unwrap();
        for short in [200, 251, 292] {
            // Smaller ones are kept, and those of twice the size are decoded smaller through RGB.
            let side = image.width.min(image.height);
            if side <= short || side >= 2 * short {
                continue;
            }
            let planes = decode(&stored(&bytes, short)).unwrap();
            let ideal = resized(&image, (planes.width, planes.height));
            let rgb = through_rgb(&ideal);
            let (by_planes, by_rgb) = (off(&planes, &ideal), off(&rgb, &ideal));
            let apart = off(&planes, &rgb);
            println!("{name} to {short}: planes {by_planes:?}, RGB {by_rgb:?}, apart {apart:?}");
            assert!(by_planes.0 <= by_rgb.0 * 1.02, "{name} to {short}");
            assert!(apart.0 < 1.5 && apart.1 < 100, "{name} to {short}");
        }
    }
}

/// Two colours of about one brightness, which meet at columns and rows that are told.
fn edges(width: usize, height: usize) -> RgbImage {
    let mut image = RgbImage::black(width, height);
    for (place, pixel) in image.pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = (place % width, place / width);
        let red = (x * 5 / width + y * 3 / height).is_multiple_of(2);
        pixel.copy_from_slice(if red { &[200, 60, 90] } else { &[40, 130, 60] });
    }
    image
}

/// The image moved by so many pixels, its edges going on.
fn moved(image: &RgbImage, (right, down): (isize, isize)) -> RgbImage {
    let mut out = RgbImage::black(image.width, image.height);
    for (place, pixel) in out.pixels.chunks_exact_mut(3).enumerate() {
        let from = |at: usize, by: isize, side: usize| {
            (at as isize - by).clamp(0, side as isize - 1) as usize
        };
        let x = from(place % image.width, right, image.width);
        let y = from(place / image.width, down, image.height);
        pixel.copy_from_slice(&image.pixels[(y * image.width + x) * 3..][..3]);
    }
    out
}

/// Where colours meet, a shift of chroma by a part of a pixel shows: one side of it is nearer then.
#[test]
fn colours_stay_where_they_are() {
    for (width, height) in [(500, 375), (499, 333), (375, 500), (401, 401), (512, 384)] {
        let image = edges(width, height);
        for sampling in KEPT {
            let bytes = jpeg(&image, 95, sampling);
            let planes = decode(&stored(&bytes, 292)).unwrap();
            let ideal = resized(&decode(&bytes).unwrap(), (planes.width, planes.height));
            let rgb = through_rgb(&ideal);
            let name = format!("{width} x {height} {sampling:?}");
            let (mean, _) = off(&planes, &ideal);
            let (mean_rgb, _) = off(&rgb, &ideal);
            println!("{name}: planes {mean}, RGB {mean_rgb}");
            assert!(mean <= mean_rgb * 1.1, "{name}: {mean} and {mean_rgb}");
            // To both sides the same distance, as far as the image itself has none.
            for (one, other) in [((1, 0), (-1, 0)), ((0, 1), (0, -1))] {
                let lean = |image: &RgbImage| {
                    let to = |by| off(image, &moved(&ideal, by)).0;
                    (to(one) - to(other)) / (to(one) + to(other))
                };
                let (planes, rgb) = (lean(&planes), lean(&rgb));
                println!("  leaning {planes}, RGB {rgb}");
                assert!((planes - rgb).abs() < 0.05, "{name}: {planes} and {rgb}");
            }
        }
    }
}

#[test]
fn sides_of_any_length_are_written() {
    for (width, height) in
        [(499, 333), (333, 499), (65, 64), (64, 65), (49, 48), (47, 1999), (1999, 47), (97, 4001)]
    {
        let short = 1.max(width.min(height) * 3 / 4);
        let image = edges(width, height);
        for sampling in KEPT {
            let bytes = jpeg(&image, 95, sampling);
            let planes = decode(&stored(&bytes, short)).unwrap();
            let sides = match width <= height {
                true => (short, short * height / width),
                false => (short * width / height, short),
            };
            assert_eq!((planes.width, planes.height), sides);
            let rgb = through_rgb(&resized(&decode(&bytes).unwrap(), sides));
            let (mean, _) = off(&planes, &rgb);
            assert!(mean < 4.0, "{width} x {height} {sampling:?}: {mean}");
        }
    }
    for (width, height) in [(2, 2), (2, 3), (3, 2), (2, 40), (40, 2), (3, 300)] {
        for sampling in KEPT {
            let planes = decode(&stored(&jpeg(&edges(width, height), 95, sampling), 1)).unwrap();
            assert_eq!(planes.width.min(planes.height), 1, "{width} x {height}");
        }
    }
}

#[test]
fn images_without_colour_get_one_component() {
    let mut image = edges(300, 200);
    for pixel in image.pixels.chunks_exact_mut(3) {
        pixel[1] = pixel[0];
        pixel[2] = pixel[0];
    }
    for sampling in KEPT {
        let bytes = jpeg(&image, 95, sampling);
        assert_eq!(Decoder::new(&bytes).unwrap().header().components.len(), 3);
        let small = stored(&bytes, 150);
        assert_eq!(Decoder::new(&small).unwrap().header().components.len(), 1);
        let ideal = resized(&decode(&bytes).unwrap(), (225, 150));
        let (mean, largest) = off(&decode(&small).unwrap(), &ideal);
        assert!(mean < 1.0 && largest < 40, "{sampling:?}: {mean}, {largest}");
    }
}

#[test]
fn what_is_not_kept_as_planes_goes_through_rgb() {
    let image = decode(&photo("coffee.jpg")).unwrap();
    let (pixels, width, height) = (&image.pixels, image.width, image.height);
    let encoder = || Encoder::new(pixels, width, height, PixelFormat::Rgb).quality(92);
    let grey: Vec<u8> = pixels.iter().step_by(3).copied().collect();
    let four: Vec<u8> = pixels.chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let cases = [
        ("RGB", encoder().colorspace(ColorSpace::Rgb).encode()),
        ("4:1:1", encoder().subsampling(Subsampling::S411).encode()),
        ("arithmetic", encoder().arithmetic(true).encode()),
        ("grey", Encoder::new(&grey, width, height, PixelFormat::Grayscale).quality(92).encode()),
        ("CMYK", Encoder::new(&four, width, height, PixelFormat::Cmyk).quality(92).encode()),
    ];
    for (name, bytes) in cases {
        let bytes = bytes.unwrap();
        let small = resized(&decode(&bytes).unwrap(), (width * 292 / height, 292));
        let expected = encode(&small, ImageKind::Jpeg, 90).unwrap();
        assert!(stored(&bytes, 292) == expected, "{name}");
    }
}

/// What is found broken must not depend on whether it is to become smaller.
#[test]
fn damage_is_found_as_by_decoding_to_rgb() {
    let (mut refused, mut taken) = (0, 0);
    for name in ["chelsea.jpg", "chelsea_progressive_444.jpg"] {
        let whole = photo(name);
        for step in 0..120 {
            let mut bytes = whole.clone();
            let place = bytes.len() * (step + 1) / 122;
            match step % 3 {
                0 => bytes[place] ^= 0x5a,
                1 => drop(bytes.drain(place..place + 40)),
                _ => bytes[place..place + 2].copy_from_slice(&[0xff, 0xd9]),
            }
            let shrink = Some(Shrink { short_side: 120, quality: 90 });
            let small = Some(Shrink { short_side: 200, quality: 90 });
            let scratch = &mut ResizeScratch::default();
            let kept = store(&bytes, None, scratch).is_ok();
            for shrink in [shrink, small] {
                let made = store(&bytes, shrink, scratch).is_ok();
                assert_eq!(made, kept, "{name}, step {step}");
            }
            if kept { taken += 1 } else { refused += 1 }
        }
    }
    assert!(refused > 20 && taken > 20, "{refused} refused, {taken} taken");
}
