//! Decoding, resizing, cropping and colour against what Pillow makes of the same photographs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::{Path, PathBuf};

use cream_data::transform::{ResizeScratch, colour};
use cream_data::{EvalTransform, Filter, RgbImage, decode};
use safetensors::SafeTensors;

const PHOTOS: [&str; 4] =
    ["chelsea.jpg", "chelsea_progressive_444.jpg", "coffee.jpg", "rocket.jpg"];

type Operation = fn(&mut [u8], f32);

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
fn colour_operations_agree_with_pillow_exactly() {
    let bytes = std::fs::read(golden_folder().join("images.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let operations: [(&str, Operation, f32); 3] = [
        ("color_1.5", colour::saturation, 1.5),
        ("contrast_0.6", colour::contrast, 0.6),
        ("brightness_1.4", colour::brightness, 1.4),
    ];
    for name in PHOTOS {
        let small = golden.tensor(&format!("{name}/small")).unwrap();
        for (operation_name, operation, factor) in operations {
            let mut pixels = small.data().to_vec();
            operation(&mut pixels, factor);
            let wanted = golden.tensor(&format!("{name}/aug/{operation_name}")).unwrap();
            assert!(pixels == wanted.data(), "{name}: {operation_name}");
        }
    }
}
