//! The kernel of a batch's images against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use candle_core::{DType, Device, Tensor};
use check::{Number, assert_close, launch, room, run, values};
use cream_emulation::Field;
use cream_nn::ops::grid::Grid;
use cream_nn::ops::images::{Erased, ImagePlan, Mixed, Rectangle, Treatment, normalise};
use half::bf16;

/// What arithmetic in f32 may cost.
const ARITHMETIC: f64 = 1e-6;

const PLAIN: ImagePlan<'_> =
    ImagePlan { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.25], treatments: &[], mixed: None };

fn pixels(count: usize, size: usize) -> Vec<u8> {
    (0..count * size * size * 3).map(|i| (i * 29 % 251) as u8).collect()
}

fn sides(Rectangle { y, x, height, width }: Rectangle) -> [i32; 4] {
    [y, x, height, width].map(|side| side as i32)
}

fn emulated<T: Number>(size: usize, pixels: &[u8], plan: &ImagePlan<'_>) -> Vec<T> {
    let numbers = |treatment: &Treatment| {
        let none = Erased { rectangle: Rectangle::default(), key: [0, 0] };
        let Erased { rectangle, key } = treatment.erased.unwrap_or(none);
        let [y, x, height, width] = sides(rectangle);
        let [first, second] = key.map(u32::cast_signed);
        [i32::from(treatment.mirrored), y, x, height, width, first, second]
    };
    let treatments: Vec<i32> = plan.treatments.iter().flat_map(numbers).collect();
    let scale = plan.std.map(|std| Field::Float((1.0 / (255.0 * std)) as f32));
    let shift = [0, 1, 2].map(|k| Field::Float((-plan.mean[k] / plan.std[k]) as f32));
    let whole = Rectangle { y: 0, x: 0, height: size, width: size };
    let (rectangle, share) = match plan.mixed {
        Some(Mixed::Blend { share }) => (whole, share),
        Some(Mixed::Exchange(rectangle)) => (rectangle, 0.0),
        None => (Rectangle::default(), 1.0),
    };
    let mut values = room::<T>(pixels.len());
    let launch = launch::<T>("images_normalise").input(pixels);
    let launch = if treatments.is_empty() { launch.none() } else { launch.input(&treatments) };
    let launch = launch.output(&mut values).int(pixels.len() / (size * size * 3)).int(size);
    let launch = launch.structure(scale.into_iter().chain(shift));
    let mix = sides(rectangle).map(Field::Int).into_iter().chain([Field::Float(share)]);
    run(launch.structure(mix), Grid::of_threads((pixels.len() / 3).div_ceil(4)));
    values
}

fn assert_agrees<T: Number>(size: usize, pixels: &[u8], plan: &ImagePlan<'_>) {
    let shape = (pixels.len() / (size * size * 3), size, size, 3);
    let tensor = Tensor::from_slice(pixels, shape, &Device::Cpu).unwrap();
    let exact = values(&normalise(&tensor, plan, DType::F64).unwrap());
    assert_close(&emulated::<T>(size, pixels, plan), &exact, ARITHMETIC, "values");
}

fn agrees<T: Number>() {
    let rectangle = Rectangle { y: 1, x: 2, height: 3, width: 1 };
    let erased =
        Treatment { mirrored: true, erased: Some(Erased { rectangle, key: [7, u32::MAX] }) };
    let mirrored = Treatment { mirrored: true, erased: None };
    let treatments = [Treatment::default(), erased, mirrored];
    let part = Rectangle { y: 0, x: 1, height: 3, width: 2 };
    for size in [5, 8] {
        for mixed in [None, Some(Mixed::Blend { share: 0.3 }), Some(Mixed::Exchange(part))] {
            for treatments in [&treatments[..], &[]] {
                let plan = ImagePlan { treatments, mixed, ..PLAIN };
                assert_agrees::<T>(size, &pixels(3, size), &plan);
            }
        }
    }
}

#[test]
fn kernel_agrees_in_f32() {
    agrees::<f32>();
}

#[test]
fn kernel_agrees_in_bf16() {
    agrees::<bf16>();
}

#[test]
fn one_pixel() {
    assert_agrees::<f32>(1, &[10, 20, 30], &PLAIN);
}

/// Many places and keys, so that no part of the noise's range is left out.
#[test]
fn noise_agrees() {
    let size = 64;
    let rectangle = Rectangle { y: 0, x: 0, height: size, width: size };
    for key in [[1, 2], [u32::MAX, 0], [0x1234_5678, 0x9ABC_DEF0]] {
        let erased = Some(Erased { rectangle, key });
        let treatments = [Treatment { mirrored: false, erased }];
        assert_agrees::<f32>(
            size,
            &pixels(1, size),
            &ImagePlan { treatments: &treatments, ..PLAIN },
        );
    }
}
