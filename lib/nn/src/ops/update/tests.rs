use super::*;
use crate::ops::check::{assert_close, numbers, tensor, values};
use candle_core::DType;

/// Long enough for several pieces of work, the last one short.
const N: usize = 40_012;

/// Runs an update of `COUNT` tensors in both dtypes and compares with the formula on single float64 elements.
fn check<const COUNT: usize>(
    update: impl Fn(&[Tensor; COUNT], &Tensor) -> Result<()>,
    formula: impl Fn([f64; COUNT], f64) -> [f64; COUNT],
) {
    // The last is a mean square where there is one.
    let start: [Vec<f64>; COUNT] =
        std::array::from_fn(|n| numbers(N, n as u64).iter().map(|v| v + 1.5).collect());
    let grad = numbers(N, 7);
    let exact: Vec<[f64; COUNT]> =
        (0..N).map(|i| formula(std::array::from_fn(|n| start[n][i]), grad[i])).collect();
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 2e-6)] {
        let targets = std::array::from_fn(|n| tensor(&start[n], &[N / 4, 4], dtype));
        let source = tensor(&grad, &[N / 4, 4], dtype);
        update(&targets, &source).unwrap();
        for (n, target) in targets.iter().enumerate() {
            let exact: Vec<f64> = exact.iter().map(|values| values[n]).collect();
            assert_close(&values(target), &exact, tolerance, &format!("tensor {n}"));
        }
        assert_close(&values(&source), &grad, 1e-6, "the source is unchanged");
    }
}

fn item<'a, const N: usize>(targets: &'a [Tensor; N], source: &'a Tensor, own: f64) -> Item<'a, N> {
    Item { targets: targets.each_ref(), source, own }
}

#[test]
fn sgd_with_nesterov_momentum() {
    let step = SgdStep { rate: 0.1, momentum: 0.9, decay: 0.01 };
    check(
        |targets, source| sgd_each(&[item(targets, source, 0.01)], step),
        |[p, m], g| {
            let buffer = 0.9 * m + g + 0.01 * p;
            [p - 0.1 * (g + 0.01 * p + 0.9 * buffer), buffer]
        },
    );
}

#[test]
fn rmsprop_of_tensorflow() {
    let step = RmspropStep { rate: 0.1, momentum: 0.9, alpha: 0.9, epsilon: 1e-3, decay: 0.01 };
    check(
        |targets, source| rmsprop_each(&[item(targets, source, 0.01)], step),
        |[p, m, v], g| {
            let g = g + 0.01 * p;
            let square = v + 0.1 * (g * g - v);
            let buffer = 0.9 * m + 0.1 * g / (square + 1e-3).sqrt();
            [p - buffer, buffer, square]
        },
    );
}

#[test]
fn adamw_of_its_paper() {
    let step = AdamWStep {
        beta1: 0.9,
        beta2: 0.99,
        rate: 0.1,
        correction: 1.3,
        epsilon: 1e-8,
        keep: 0.98,
    };
    check(
        |targets, source| adamw_each(&[item(targets, source, 0.98)], step),
        |[p, m, v], g| {
            let first = 0.9 * m + 0.1 * g;
            let second = 0.99 * v + 0.01 * g * g;
            [0.98 * p - 0.1 * first / (second.sqrt() * 1.3 + 1e-8), first, second]
        },
    );
}

#[test]
fn steps_and_averages() {
    check(|[p], d| step(p, d, 0.1), |[p], d| [p - 0.1 * d]);
    check(
        |targets, source| average_each(&[item(targets, source, 0.0)], 0.9),
        |[m], v| [0.9 * m + 0.1 * v],
    );
}

#[test]
fn another_shape_or_type_is_refused() {
    let (a, b) = (tensor(&[1.0, 2.0], &[2], DType::F32), tensor(&[1.0], &[1], DType::F32));
    assert!(step(&a, &b, 0.1).is_err());
    let step = SgdStep { rate: 0.1, momentum: 0.9, decay: 0.0 };
    let (wide, grad) = (tensor(&[1.0, 2.0], &[2], DType::F64), a.copy().unwrap());
    for other in [&wide, &b] {
        let item = Item { targets: [&a, other], source: &grad, own: 0.0 };
        assert!(sgd_each(&[item], step).is_err());
    }
}
