//! The kernel of a batch's images against its definition, one value at a time in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{Number, assert_close, launch, room, run};
use cream_emulation::Field;
use cream_nn::ops::grid::Grid;
use half::bf16;

/// What is done to one image, and how partners are mixed, as kernel.cu has them.
#[derive(Clone, Copy, Default)]
struct Treatment {
    mirrored: i32,
    y: i32,
    x: i32,
    height: i32,
    width: i32,
    key: [u32; 2],
}

#[derive(Clone, Copy, Default)]
struct Mix {
    y: i32,
    x: i32,
    height: i32,
    width: i32,
    share: f32,
}

/// What arithmetic in f32 and the fast functions of the noise may cost.
const ARITHMETIC: f64 = 1e-5;

const MEAN: [f64; 3] = [0.5, 0.4, 0.3];
const STD: [f64; 3] = [0.2, 0.3, 0.25];

fn pixels(count: usize, size: usize) -> Vec<u8> {
    (0..count * size * size * 3).map(|i| (i * 29 % 251) as u8).collect()
}

fn launched<T: Number>(size: usize, pixels: &[u8], treatments: &[Treatment], mix: Mix) -> Vec<T> {
    let numbers = |t: &Treatment| {
        let [a, b] = t.key.map(|word| word as i32);
        [t.mirrored, t.y, t.x, t.height, t.width, a, b]
    };
    let each: Vec<i32> = treatments.iter().flat_map(numbers).collect();
    let scale = STD.map(|std| Field::Float((1.0 / (255.0 * std)) as f32));
    let shift = [0, 1, 2].map(|k| Field::Float((-MEAN[k] / STD[k]) as f32));
    let rectangle = [mix.y, mix.x, mix.height, mix.width].map(Field::Int);
    let mut values = room::<T>(pixels.len());
    let launch = launch::<T>("images_normalise").input(pixels);
    let launch = if each.is_empty() { launch.none() } else { launch.input(&each) };
    let launch = launch.output(&mut values).int(pixels.len() / (size * size * 3)).int(size);
    let launch = launch.structure(scale.into_iter().chain(shift));
    let mix = rectangle.into_iter().chain([Field::Float(mix.share)]);
    let pixels = pixels.len() / 3;
    run(launch.structure(mix), Grid::of_threads(pixels.div_ceil(4)));
    values
}

/// Philox 4x32-10, word by word as its paper has it, and three normal numbers from it.
fn noise(key: [u32; 2], place: usize) -> [f64; 3] {
    let (mut c, mut k) = ([place as u32, 0, 0, 0], key);
    for _ in 0..10 {
        let wide = |m: u32, v: u32| u64::from(m) * u64::from(v);
        let (a, b) = (wide(0xD251_1F53, c[0]), wide(0xCD9E_8D57, c[2]));
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    let uniform = |bits: u32| (f64::from(bits >> 9) + 0.5) / f64::from(1 << 23);
    let radius = |bits| (-2.0 * f64::ln(uniform(bits))).sqrt();
    let angle = |bits| 2.0 * std::f64::consts::PI * uniform(bits);
    [
        radius(c[0]) * angle(c[1]).cos(),
        radius(c[0]) * angle(c[1]).sin(),
        radius(c[2]) * angle(c[3]).cos(),
    ]
}

/// What the kernel's head says, one value at a time.
fn expected(size: usize, pixels: &[u8], treatments: &[Treatment], mix: Mix) -> Vec<f64> {
    let image = size * size * 3;
    let count = pixels.len() / image;
    let inside = |[top, left, height, width]: [i32; 4], y: usize, x: usize| {
        (top..top + height).contains(&(y as i32)) && (left..left + width).contains(&(x as i32))
    };
    let plain = |n: usize, y: usize, x: usize, k: usize| {
        let t = treatments.get(n).copied().unwrap_or_default();
        if inside([t.y, t.x, t.height, t.width], y, x) {
            return noise(t.key, y * size + x)[k];
        }
        let column = if t.mirrored == 1 { size - 1 - x } else { x };
        let value = f64::from(pixels[n * image + (y * size + column) * 3 + k]);
        (value / 255.0 - MEAN[k]) / STD[k]
    };
    let at = |i: usize| {
        let (n, y, x, k) = (i / image, i % image / (size * 3), i / 3 % size, i % 3);
        let partner = if n ^ 1 < count { n ^ 1 } else { n };
        let own = if inside([mix.y, mix.x, mix.height, mix.width], y, x) {
            f64::from(mix.share)
        } else {
            1.0
        };
        own * plain(n, y, x, k) + (1.0 - own) * plain(partner, y, x, k)
    };
    (0..pixels.len()).map(at).collect()
}

fn agrees<T: Number>() {
    let erased = Treatment { mirrored: 1, y: 1, x: 2, height: 3, width: 1, key: [7, 9] };
    let mirrored = Treatment { mirrored: 1, ..Treatment::default() };
    let treatments = [Treatment::default(), erased, mirrored];
    for size in [5, 8] {
        let pixels = pixels(3, size);
        let whole = Mix { height: size as i32, width: size as i32, share: 0.3, ..Mix::default() };
        let part = Mix { y: 0, x: 1, height: 3, width: 2, share: 0.0 };
        for mix in [Mix::default(), whole, part] {
            for treatments in [&treatments[..], &[]] {
                let exact = expected(size, &pixels, treatments, mix);
                let found = launched::<T>(size, &pixels, treatments, mix);
                assert_close(&found, &exact, ARITHMETIC, "values");
            }
        }
    }
}

#[test]
fn agrees_in_f32() {
    agrees::<f32>();
}

#[test]
fn agrees_in_bf16() {
    agrees::<bf16>();
}

/// One pixel, of one image.
#[test]
fn one_pixel() {
    let found = launched::<f32>(1, &[10, 20, 30], &[], Mix::default());
    assert_close(&found, &expected(1, &[10, 20, 30], &[], Mix::default()), ARITHMETIC, "values");
}

#[test]
fn noise_is_standard_normal() {
    let size = 64;
    let treatment = Treatment { height: 64, width: 64, key: [1, 2], ..Treatment::default() };
    let found = launched::<f32>(size, &pixels(1, size), &[treatment], Mix::default());
    let n = found.len() as f64;
    let moment = |power| found.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / n;
    // Five standard deviations of the moments' estimates.
    assert!(moment(1).abs() < 5.0 / n.sqrt(), "{}", moment(1));
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{}", moment(2));
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{}", moment(4));
    let next = found.iter().zip(&found[1..]).map(|(&a, &b)| f64::from(a * b)).sum::<f64>() / n;
    assert!(next.abs() < 5.0 / n.sqrt(), "{next}");
}
