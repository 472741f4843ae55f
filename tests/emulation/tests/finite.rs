//! The kernel that looks for what is not finite against the CPU's operator.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use candle_core::{Device, Tensor};
use check::run;
use cream_emulation::{Field, Launch};
use cream_nn::ops::finite::first_non_finite;
use cream_nn::ops::grid::Grid;

/// The most tensors of one launch.
const MOST: usize = 64;

/// The place of the first tensor that is not finite, by launches of at most 64.
fn first(tensors: &[Vec<f32>]) -> Option<usize> {
    let mut first = [i32::MAX];
    for (number, tensors) in tensors.chunks(MOST).enumerate() {
        let rest = MOST - tensors.len();
        let addresses = tensors.iter().map(|t| Field::Input(t));
        let addresses = addresses.chain((0..rest).map(|_| Field::Null));
        let lengths = tensors.iter().map(|t| Field::Long(t.len() as i64));
        let lengths = lengths.chain((0..rest).map(|_| Field::Long(0)));
        let longest = tensors.iter().map(Vec::len).max().unwrap();
        let launch = Launch::new("finite_first_f32").structure(addresses.chain(lengths));
        let launch = launch.int(number * MOST).changed(&mut first);
        run(launch, Grid::of_many(tensors.len(), longest));
    }
    usize::try_from(first[0]).ok().filter(|&place| place < tensors.len())
}

fn assert_agrees(tensors: &[Vec<f32>]) {
    let on_cpu: Vec<Tensor> =
        tensors.iter().map(|v| Tensor::new(v.as_slice(), &Device::Cpu).unwrap()).collect();
    let expected = first_non_finite(&on_cpu.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(first(tensors), expected);
}

#[test]
fn one_element_anywhere_decides() {
    for n in [1, 7, 2048, 5000] {
        assert_agrees(&[vec![1e30; n], vec![f32::MIN_POSITIVE; 3]]);
        for at in [0, n / 2, n - 1] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut tensors = [vec![1e30; 3], vec![1e30; n], vec![1.0; 1], vec![bad; 2]];
                tensors[1][at] = bad;
                assert_agrees(&tensors);
            }
        }
    }
}

#[test]
fn more_tensors_than_a_launch_takes() {
    for at in [0, 63, 64, 129] {
        let mut tensors = vec![vec![0.0; 5]; 130];
        tensors[at][4] = f32::NAN;
        assert_agrees(&tensors);
    }
    assert_agrees(&vec![vec![0.0; 5]; 130]);
}
