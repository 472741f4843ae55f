//! Decoding, resizing, cropping and colour against what Pillow makes of the same photographs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::{Path, PathBuf};

use cream_data::transform::geometry::{self, Affine};
use cream_data::transform::{ResizeScratch, colour, tone};
use cream_data::{EvalTransform, Filter, RgbImage, decode};
use safetensors::SafeTensors;

const PHOTOS: [&str; 4] =
    ["chelsea.jpg", "chelsea_progressive_444.jpg", "coffee.jpg", "rocket.jpg"];

/// Side of the golden images of single operations.
const SMALL: usize = 96;

type Operation = (&'static str, fn(&mut [u8]));

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn photo(name: &str) -> RgbImage {
    decode(&std::fs::read(golden_folder().join("photos").join(name)).unwrap()).unwrap()
}

/// (share of values more than 1 level off, largest difference)
fn compare(ours: &[u8], golden: &[u8]) -> (f64, u8) {
    assert_eq!(ours.len(), golden.len());
    let differences = ours.iter().zip(golden).map(|(a, b)| a.abs_diff(*b));
    let off = differences.clone().filter(|&d| d > 1).count();
    (off as f64 / ours.len() as f64, differences.max().unwrap_or(0))
}

#[test]
fn evaluation_crops_agree_with_pillow() {
    let bytes = std::fs::read(golden_folder().join("images.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut scratch = ResizeScratch::default();
    let mut failures = Vec::new();
    for name in PHOTOS {
        let image = photo(name);
        for (filter, filter_name) in [(Filter::Bilinear, "bilinear"), (Filter::Bicubic, "bicubic")]
        {
            for image_size in [64, 224] {
                let transform = EvalTransform::ResizeCrop { image_size, crop: 0.875, filter };
                let mut out = vec![0; image_size * image_size * 3];
                transform.apply(&image, &mut scratch, &mut out).unwrap();
                let key = format!("{name}/eval_{filter_name}_{image_size}");
                let (off, largest) = compare(&out, golden.tensor(&key).unwrap().data());
                println!("{key}: {:.3} % more than 1 level off, largest {largest}", off * 100.0);
                if off > 0.01 || largest > 4 {
                    failures.push(key);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn tone_operations_agree_with_pillow_exactly() {
    let bytes = std::fs::read(golden_folder().join("images.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let operations: [Operation; 10] = [
        ("auto_contrast", tone::auto_contrast),
        ("equalize", tone::equalize),
        ("invert", tone::invert),
        ("posterize_3", |pixels| tone::posterize(pixels, 3)),
        ("solarize_100", |pixels| tone::solarize(pixels, 100)),
        ("solarize_add_60", |pixels| tone::solarize_add(pixels, 60)),
        ("color_1.5", |pixels| colour::saturation(pixels, 1.5)),
        ("contrast_0.6", |pixels| colour::contrast(pixels, 0.6)),
        ("brightness_1.4", |pixels| colour::brightness(pixels, 1.4)),
        ("sharpness_1.7", |pixels| tone::sharpness(pixels, SMALL, 1.7, &mut Vec::new())),
    ];
    for name in PHOTOS {
        let small = golden.tensor(&format!("{name}/small")).unwrap();
        for (operation_name, operation) in operations {
            let mut pixels = small.data().to_vec();
            operation(&mut pixels);
            let wanted = golden.tensor(&format!("{name}/aug/{operation_name}")).unwrap();
            let (off, largest) = compare(&pixels, wanted.data());
            assert!(pixels == wanted.data(), "{name}: {operation_name}: {off}, {largest}");
        }
    }
}

#[test]
fn geometric_operations_agree_with_pillow() {
    let bytes = std::fs::read(golden_folder().join("images.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let fifth = 0.2 * SMALL as f64;
    let maps: [(&str, Affine); 5] = [
        ("rotate_20", geometry::rotation(20.0, (SMALL, SMALL))),
        ("shear_x_0.2", geometry::shear_x(0.2)),
        ("shear_y_0.2", geometry::shear_y(0.2)),
        ("translate_x_0.2", geometry::translation(fifth, 0.0)),
        ("translate_y_0.2", geometry::translation(0.0, fifth)),
    ];
    for name in PHOTOS {
        let small = golden.tensor(&format!("{name}/small")).unwrap();
        for (map_name, map) in maps {
            let mut pixels = small.data().to_vec();
            let size = (SMALL, SMALL);
            geometry::transform(&mut pixels, size, map, Filter::Bilinear, &mut Vec::new());
            let wanted = golden.tensor(&format!("{name}/aug/{map_name}")).unwrap();
            let pairs = pixels.iter().zip(wanted.data());
            let sum: f64 = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
            let (mean, (_, largest)) = (sum / pixels.len() as f64, compare(&pixels, wanted.data()));
            println!("{name}/{map_name}: off by {mean:.3} levels on average, {largest} at most");
            // The specified tolerance is 0.5; a filter rounded instead of truncated is off by that.
            assert!(mean < 0.1, "{name}: {map_name}: {mean}");
        }
    }
}
