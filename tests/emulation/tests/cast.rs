//! The kernels that convert many tensors at once against the conversion of each number.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{Number, numbers, room, run};
use cream_emulation::{Field, Launch};
use cream_nn::ops::grid::Grid;
use half::bf16;

/// The most tensors of one launch.
const MOST: usize = 64;
/// Of one launch, short and long ones.
const LENGTHS: [usize; 5] = [1, 31, 256, 2049, 5000];

/// A number whose memory a struct can have the address of.
trait InStruct: Number {
    fn input(values: &[Self]) -> Field<'_>;
    fn changed(values: &mut [Self]) -> Field<'_>;
}

impl InStruct for f32 {
    fn input(values: &[Self]) -> Field<'_> {
        Field::Input(values)
    }
    fn changed(values: &mut [Self]) -> Field<'_> {
        Field::Changed(values)
    }
}

impl InStruct for bf16 {
    fn input(values: &[Self]) -> Field<'_> {
        Field::InputBf16(values)
    }
    fn changed(values: &mut [Self]) -> Field<'_> {
        Field::ChangedBf16(values)
    }
}

/// What one launch of a kernel makes of tensors.
fn converted<From: InStruct, To: InStruct>(kernel: &str, tensors: &[Vec<From>]) -> Vec<Vec<To>> {
    let mut made: Vec<Vec<To>> = tensors.iter().map(|tensor| room(tensor.len())).collect();
    let nulls = || (tensors.len()..MOST).map(|_| Field::Null);
    let from = tensors.iter().map(|tensor| From::input(tensor)).chain(nulls());
    let len = tensors.iter().map(|tensor| Field::Long(tensor.len() as i64));
    let len = len.chain((tensors.len()..MOST).map(|_| Field::Long(0)));
    let to = made.iter_mut().map(|tensor| To::changed(tensor)).chain(nulls());
    let longest = tensors.iter().map(Vec::len).max().unwrap();
    let launch = Launch::new(kernel).structure(from.chain(to).chain(len));
    run(launch, Grid::of_many(tensors.len(), longest));
    made
}

#[test]
fn numbers_become_the_nearest_and_come_back() {
    let set = |(seed, &len): (usize, &usize)| numbers::<f32>(len, seed as u64, 100.0);
    let mut tensors: Vec<Vec<f32>> = LENGTHS.iter().enumerate().map(set).collect();
    // Halfway between two, of which the lower and the upper one are even.
    let halves = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0];
    tensors.push([&[f32::NAN, f32::INFINITY, f32::MIN, -0.0], &halves[..]].concat());
    let narrow = converted::<f32, bf16>("cast_narrow_bf16", &tensors);
    let wide = converted::<bf16, f32>("cast_widen_f32", &narrow);
    for ((tensor, narrow), wide) in tensors.iter().zip(&narrow).zip(&wide) {
        for ((value, narrow), wide) in tensor.iter().zip(narrow).zip(wide) {
            let exact = bf16::from_f32(*value);
            assert!(exact == *narrow || exact.is_nan() && narrow.is_nan(), "{value} as {narrow}");
            assert!(wide.to_bits() == f32::from(*narrow).to_bits() || wide.is_nan());
        }
    }
}
