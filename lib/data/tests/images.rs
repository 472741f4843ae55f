//! Images as they occur: every kind that is accepted, and every way to be no usable image.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::{Path, PathBuf};

use cream_data::decode::validate;
use cream_data::error::ImageError;
use cream_data::{DataError, ImageKind, decode};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn png(color: png::ColorType, depth: png::BitDepth, (w, h): (u32, u32), data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w, h);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

fn fault(bytes: &[u8]) -> ImageError {
    match decode(bytes) {
        Err(DataError::Image(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_png_layout_becomes_rgb() {
    use png::{BitDepth, ColorType};
    let pixels = |bytes: &[u8]| decode(bytes).unwrap().pixels;
    let grey = png(ColorType::Grayscale, BitDepth::Eight, (2, 1), &[7, 9]);
    assert_eq!(pixels(&grey), [7, 7, 7, 9, 9, 9]);
    let bits = png(ColorType::Grayscale, BitDepth::One, (2, 1), &[0b0100_0000]);
    assert_eq!(pixels(&bits), [0, 0, 0, 255, 255, 255]);
    let alpha = png(ColorType::Rgba, BitDepth::Eight, (1, 1), &[1, 2, 3, 0]);
    assert_eq!(pixels(&alpha), [1, 2, 3]);
    let grey_alpha = png(ColorType::GrayscaleAlpha, BitDepth::Eight, (1, 1), &[5, 0]);
    assert_eq!(pixels(&grey_alpha), [5, 5, 5]);
    let deep = png(ColorType::Rgb, BitDepth::Sixteen, (1, 1), &[1, 255, 2, 255, 3, 255]);
    assert_eq!(pixels(&deep), [1, 2, 3]);
}

#[test]
fn jpegs_of_one_pixel_side_and_grey_decode() {
    for (w, h) in [(1, 1), (1, 37), (37, 1), (3, 2)] {
        for sampling in [Subsampling::S444, Subsampling::S420] {
            let data = [200, 100, 50].repeat(w * h);
            let bytes = compress(&data, w, h, PixelFormat::Rgb, 95, sampling).unwrap();
            let image = decode(&bytes).unwrap();
            assert_eq!((image.width, image.height), (w, h));
            let near = |p: &[u8]| p.iter().zip([200, 100, 50]).all(|(a, b)| a.abs_diff(b) < 6);
            assert!(image.pixels.chunks(3).all(near), "{w} x {h}: {:?}", &image.pixels[..3]);
        }
    }
    let grey = compress(&[90; 64], 8, 8, PixelFormat::Grayscale, 90, Subsampling::S444).unwrap();
    assert!(decode(&grey).unwrap().pixels.iter().all(|v| v.abs_diff(90) < 2));
}

#[test]
fn cmyk_is_inverted_as_adobe_writes_it() {
    // 255 is no ink in these files: cyan ink only leaves green and blue.
    let cyan = [0, 255, 255, 255].repeat(64);
    let bytes = compress(&cyan, 8, 8, PixelFormat::Cmyk, 95, Subsampling::S444).unwrap();
    let pixels = decode(&bytes).unwrap().pixels;
    assert!(pixels.chunks(3).all(|p| p[0] < 8 && p[1] > 247 && p[2] > 247), "{:?}", &pixels[..3]);
}

#[test]
fn ycck_is_turned_into_cmyk_first() {
    let components = [100, 128, 128, 255].repeat(64);
    let mut bytes = compress(&components, 8, 8, PixelFormat::Cmyk, 95, Subsampling::S444).unwrap();
    let adobe = bytes.windows(5).position(|five| five == b"Adobe").unwrap();
    // Identifier, version and two flags come before the transform: 0 is CMYK, 2 is YCCK.
    assert_eq!(std::mem::replace(&mut bytes[adobe + 11], 2), 0);
    let pixels = decode(&bytes).unwrap().pixels;
    assert!(pixels.iter().all(|value| value.abs_diff(155) < 3), "{:?}", &pixels[..3]);
}

#[test]
fn orientation_tags_are_ignored() {
    let photo = std::fs::read(tests_folder().join("golden/photos/coffee.jpg")).unwrap();
    let plain = decode(&photo).unwrap();
    // A big-endian Exif block with one entry: orientation (0x0112), short, 6.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0; 4]);
    let mut tagged = photo[..2].to_vec();
    tagged.extend([0xff, 0xe1]);
    tagged.extend((exif.len() as u16 + 2).to_be_bytes());
    tagged.extend(&exif);
    tagged.extend(&photo[2..]);
    assert!(decode(&tagged).unwrap() == plain);
    // A tag block that promises what it does not hold.
    exif[13] = 0xff;
    tagged[2 + 4..2 + 4 + exif.len()].copy_from_slice(&exif);
    assert!(decode(&tagged).unwrap() == plain);
}

#[test]
fn no_cut_of_a_file_is_taken_for_whole() {
    for name in ["chelsea.jpg", "chelsea_progressive_444.jpg"] {
        let bytes = std::fs::read(tests_folder().join("golden/photos").join(name)).unwrap();
        assert_eq!(validate(&bytes).unwrap().0, ImageKind::Jpeg);
        for cut in [3, 20, 600, bytes.len() / 2, bytes.len() - 200, bytes.len() - 2] {
            assert!(validate(&bytes[..cut]).is_err(), "{name} cut to {cut} bytes");
        }
    }
    let data: Vec<u8> = (0..=255).cycle().take(64 * 64).collect();
    let bytes = png(png::ColorType::Grayscale, png::BitDepth::Eight, (64, 64), &data);
    assert_eq!(validate(&bytes).unwrap().0, ImageKind::Png);
    for cut in [8, 30, bytes.len() / 2, bytes.len() - 20] {
        assert!(validate(&bytes[..cut]).is_err(), "PNG cut to {cut} bytes");
    }
}

#[test]
fn trailing_bytes_do_no_harm() {
    let mut bytes = std::fs::read(tests_folder().join("golden/photos/chelsea.jpg")).unwrap();
    let plain = decode(&bytes).unwrap();
    bytes.extend([0; 100]);
    assert!(validate(&bytes).unwrap().1 == plain);
}

#[test]
fn what_is_no_image_is_named() {
    let unknown = fault(b"GIF89a...");
    assert_eq!(unknown, ImageError::UnknownFormat { start: "47494638".into() });
    assert!(fault(b"").to_string().contains("empty"));
    assert!(matches!(
        fault(&[0xff, 0xd8, 0xff]),
        ImageError::Truncated | ImageError::Broken { .. }
    ));
}

#[test]
fn bombs_are_refused_by_their_header() {
    let mut jpeg = std::fs::read(tests_folder().join("golden/photos/chelsea.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0x00, 0xff, 0x00]);
    let refused = fault(&jpeg);
    assert!(matches!(refused, ImageError::TooManyPixels { width: 65_280, .. }), "{refused}");

    let mut bytes = png(png::ColorType::Grayscale, png::BitDepth::Eight, (1, 1), &[0]);
    bytes[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
    let sum = png_crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    let refused = fault(&bytes);
    assert!(matches!(refused, ImageError::TooManyPixels { .. }), "{refused}");
}

/// CRC-32 of a PNG chunk, bit by bit.
fn png_crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn odd_sampling_of_four_components_is_refused() {
    // The decoder panicked on these, found by flipping bits of a CMYK image.
    let cyan = [0, 255, 255, 255].repeat(40 * 30);
    let bytes = compress(&cyan, 40, 30, PixelFormat::Cmyk, 70, Subsampling::S444).unwrap();
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (component, factors) in [(3, 0x13), (2, 0x42), (0, 0x22), (1, 0x31)] {
        let mut odd = bytes.clone();
        odd[frame + 10 + component * 3 + 1] = factors;
        let refused = fault(&odd).to_string();
        assert!(refused.contains("sampling factors"), "{refused}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    use cream_data::keyed::{Key, Purpose, below};
    let photo = std::fs::read(tests_folder().join("golden/photos/chelsea.jpg")).unwrap();
    let small =
        compress(&[60; 48 * 48 * 3], 48, 48, PixelFormat::Rgb, 80, Subsampling::S420).unwrap();
    let data: Vec<u8> = (0..=255).cycle().take(32 * 32 * 3).collect();
    let png = png(png::ColorType::Rgb, png::BitDepth::Eight, (32, 32), &data);
    for (number, original) in [&photo[..4000], &small, &png].into_iter().enumerate() {
        let mut rng = Key::new(0, Purpose::Synthetic).rng(&[number as u64, 1]);
        for _ in 0..300 {
            let mut bytes = original.to_vec();
            for _ in 0..1 + below(&mut rng, 8) {
                let at = below(&mut rng, bytes.len() as u64) as usize;
                bytes[at] = below(&mut rng, 256) as u8;
            }
            // Whether it still decodes does not matter here. A panic would be caught, and named so.
            if let Err(error) = validate(&bytes) {
                assert!(!error.to_string().contains("decoder failed"), "{error}");
            }
        }
    }
}
