use super::noise::normals;
use super::{Erased, ImagePlan, Mixed, Rectangle, Treatment, normalise};
use crate::ops::check::{accelerator, assert_close, precisions, values};
use candle_core::{DType, Device, Tensor};

const SIZE: usize = 4;
const PLAIN: ImagePlan<'_> =
    ImagePlan { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.25], treatments: &[], mixed: None };

/// Images of which no two values are alike nearby.
fn pixels(count: usize) -> Tensor {
    let bytes: Vec<u8> = (0..count * SIZE * SIZE * 3).map(|i| (i * 29 % 251) as u8).collect();
    Tensor::from_vec(bytes, (count, SIZE, SIZE, 3), &Device::Cpu).unwrap()
}

/// On the device that such tensors are tested on.
fn found(pixels: &Tensor, plan: &ImagePlan<'_>, dtype: DType) -> Vec<f64> {
    let device = accelerator().filter(|_| dtype != DType::F64).unwrap_or(&Device::Cpu);
    values(&normalise(&pixels.to_device(device).unwrap(), plan, dtype).unwrap())
}

/// The three images' values for a plan, by value, image, row, column and channel.
fn assert_values(plan: &ImagePlan<'_>, at: impl Fn([usize; 4]) -> f64) {
    let side = SIZE * SIZE * 3;
    let place = |i: usize| [i / side, i % side / (SIZE * 3), i / 3 % SIZE, i % 3];
    let exact: Vec<f64> = (0..3 * side).map(|i| at(place(i))).collect();
    for (dtype, tolerance) in precisions(1e-14, 1e-6) {
        assert_close(&found(&pixels(3), plan, dtype), &exact, tolerance, "values");
    }
}

fn plain([n, y, x, k]: [usize; 4]) -> f64 {
    let value = (((n * SIZE + y) * SIZE + x) * 3 + k) * 29 % 251;
    (value as f64 / 255.0 - PLAIN.mean[k]) / PLAIN.std[k]
}

#[test]
fn values_are_normalised() {
    assert_values(&PLAIN, plain);
    assert!(found(&pixels(0), &PLAIN, DType::F64).is_empty());
}

/// The rectangle is one of the mirrored image.
#[test]
fn mirrored_images_are_erased_where_the_plan_says() {
    let rectangle = Rectangle { y: 1, x: 2, height: 2, width: 1 };
    let erased = Some(Erased { rectangle, key: [7, 9] });
    let mirrored = Treatment { mirrored: true, erased: None };
    let treatments = [Treatment { mirrored: true, erased }, Treatment::default(), mirrored];
    let plan = ImagePlan { treatments: &treatments, ..PLAIN };
    assert_values(&plan, |[n, y, x, k]| match n {
        0 if (1..3).contains(&y) && x == 2 => normals([7, 9], (y * SIZE + x) as u32)[k],
        1 => plain([n, y, x, k]),
        _ => plain([n, y, SIZE - 1 - x, k]),
    });
}

#[test]
fn pairs_are_mixed_and_a_last_one_stays() {
    let blend = ImagePlan { mixed: Some(Mixed::Blend { share: 0.25 }), ..PLAIN };
    assert_values(&blend, |[n, y, x, k]| match n {
        2 => plain([n, y, x, k]),
        _ => 0.25 * plain([n, y, x, k]) + 0.75 * plain([n ^ 1, y, x, k]),
    });
    let rectangle = Rectangle { y: 0, x: 1, height: 3, width: 2 };
    let exchange = ImagePlan { mixed: Some(Mixed::Exchange(rectangle)), ..PLAIN };
    assert_values(&exchange, |[n, y, x, k]| match n {
        0 | 1 if y < 3 && (1..3).contains(&x) => plain([n ^ 1, y, x, k]),
        _ => plain([n, y, x, k]),
    });
}

/// Noise takes part in mixing as any pixel does.
#[test]
fn erased_images_are_mixed() {
    let rectangle = Rectangle { y: 0, x: 0, height: SIZE, width: SIZE };
    let erased = Treatment { mirrored: false, erased: Some(Erased { rectangle, key: [1, 2] }) };
    let treatments = [erased, Treatment::default(), Treatment::default()];
    let mixed = Some(Mixed::Blend { share: 0.75 });
    let plan = ImagePlan { treatments: &treatments, mixed, ..PLAIN };
    assert_values(&plan, |[n, y, x, k]| {
        let noise = normals([1, 2], (y * SIZE + x) as u32)[k];
        match n {
            0 => 0.75 * noise + 0.25 * plain([1, y, x, k]),
            1 => 0.75 * plain([1, y, x, k]) + 0.25 * noise,
            _ => plain([n, y, x, k]),
        }
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = |pixels: &Tensor, plan: &ImagePlan<'_>, dtype| {
        normalise(pixels, plan, dtype).unwrap_err().to_string()
    };
    let floats = pixels(1).to_dtype(DType::F32).unwrap();
    assert!(error(&floats, &PLAIN, DType::F32).contains("not U8"));
    let oblong = pixels(2).reshape((1, 2 * SIZE, SIZE, 3)).unwrap();
    assert!(error(&oblong, &PLAIN, DType::F32).contains("[N, S, S, 3]"));
    let plan = ImagePlan { treatments: &[Treatment::default()], ..PLAIN };
    assert!(error(&pixels(2), &plan, DType::F32).contains("1 treatments of 2 images"));
    let rectangle = Rectangle { y: 3, x: 0, height: 2, width: 1 };
    let plan = ImagePlan { mixed: Some(Mixed::Exchange(rectangle)), ..PLAIN };
    assert!(error(&pixels(2), &plan, DType::F32).contains("side 4"));
    let rectangle = Rectangle { x: usize::MAX, ..rectangle };
    let erased = Some(Erased { rectangle, key: [0, 0] });
    let plan = ImagePlan { treatments: &[Treatment { mirrored: false, erased }; 2], ..PLAIN };
    assert!(error(&pixels(2), &plan, DType::F32).contains("side 4"));
    assert!(error(&pixels(2), &PLAIN, DType::F16).contains("not supported"));
}
