//! The kernels of updates against the CPU's operators in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use candle_core::{Result, Tensor};
use check::{assert_close, largest, numbers, rounding, run, tensor, values};
use cream_emulation::{Field, Launch};
use cream_nn::ops::grid::Grid;
use cream_nn::ops::update::{
    AdamWStep, Item, RmspropStep, SgdStep, adamw_each, average_each, rmsprop_each, sgd_each,
};

/// The most tensors of one launch.
const MOST: usize = 64;
/// Of one launch, short and long ones.
const LENGTHS: [usize; 5] = [1, 31, 256, 2049, 5000];
/// What every tensor has of its own.
const OWN: [f64; 5] = [0.0, 0.01, 0.98, 0.5, 1.0];

/// The tensors of an update, first those that change, and last what they change by.
type Set<const N: usize> = ([Vec<f32>; N], Vec<f32>);

fn sets<const N: usize>() -> Vec<Set<N>> {
    // The last is a mean square where there is one.
    let start = |len, seed| numbers::<f32>(len, seed, 1.0).iter().map(|v| v + 1.5).collect();
    let set = |(i, &len)| {
        let targets = std::array::from_fn(|n| start(len, (10 * i + n) as u64));
        (targets, numbers(len, 7, 1.0))
    };
    LENGTHS.iter().enumerate().map(set).collect()
}

/// One launch of a rule on all sets.
fn emulated<const N: usize>(kernel: &str, sets: &mut [Set<N>], constants: &[f64]) {
    let (count, longest) = (sets.len(), *LENGTHS.iter().max().unwrap());
    let mut fields = Vec::new();
    for ((targets, source), own) in sets.iter_mut().zip(OWN) {
        let len = source.len() as i64;
        fields.extend(targets.iter_mut().map(|target| Field::Changed(target)));
        fields.extend((N..3).map(|_| Field::Null));
        fields.extend([Field::Input(source), Field::Long(len), Field::Float(own as f32)]);
        // The struct ends at a multiple of eight bytes.
        fields.push(Field::Int(0));
    }
    for _ in count..MOST {
        fields.extend([Field::Null, Field::Null, Field::Null, Field::Null]);
        fields.extend([Field::Long(0), Field::Long(0)]);
    }
    let launch = Launch::new(kernel).structure(fields);
    run(constants.iter().fold(launch, |launch, &c| launch.float(c)), Grid::of_many(count, longest));
}

fn agrees<const N: usize>(
    kernel: &str,
    constants: &[f64],
    update: impl Fn(&[Item<'_, N>]) -> Result<()>,
) {
    let mut sets = sets::<N>();
    let exact: Vec<([Tensor; N], Tensor)> = sets
        .iter()
        .map(|(targets, source)| {
            let len = source.len();
            (std::array::from_fn(|n| tensor(&targets[n], &[len])), tensor(source, &[len]))
        })
        .collect();
    let items: Vec<Item<'_, N>> = exact
        .iter()
        .zip(OWN)
        .map(|((targets, source), own)| Item { targets: targets.each_ref(), source, own })
        .collect();
    update(&items).unwrap();
    emulated(kernel, &mut sets, constants);
    for ((targets, _), (exact, _)) in sets.iter().zip(&exact) {
        for (target, exact) in targets.iter().zip(exact) {
            let exact = values(exact);
            assert!(largest(&exact).is_finite());
            assert_close(target, &exact, rounding(0), kernel);
        }
    }
}

#[test]
fn sgd_with_nesterov_momentum() {
    let step = SgdStep { rate: 0.1, momentum: 0.9, decay: 0.0 };
    agrees::<2>("update_sgd_f32", &[0.1, 0.9], |items| sgd_each(items, step));
}

#[test]
fn rmsprop_of_tensorflow() {
    let step = RmspropStep { rate: 0.1, momentum: 0.9, alpha: 0.9, epsilon: 1e-3, decay: 0.0 };
    let constants = [0.1, 0.9, 1.0 - 0.9, 1e-3];
    agrees::<3>("update_rmsprop_f32", &constants, |items| rmsprop_each(items, step));
}

#[test]
fn adamw_of_its_paper() {
    let (beta1, beta2) = (0.9, 0.99);
    let step = AdamWStep { beta1, beta2, rate: 0.1, correction: 1.3, epsilon: 1e-8, keep: 0.0 };
    let constants = [0.1, beta1, 1.0 - beta1, beta2, 1.0 - beta2, 1.3, 1e-8];
    agrees::<3>("update_adamw_f32", &constants, |items| adamw_each(items, step));
}

#[test]
fn averages() {
    agrees::<1>("update_blend_f32", &[0.9, 1.0 - 0.9], |items| average_each(items, 0.9));
}
