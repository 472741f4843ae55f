use super::*;
use crate::ops::check::{assert_close, numbers, tensor, values};
use candle_core::DType;

/// Long enough for several pieces of work, the last one short.
const N: usize = 40_000;

struct Case {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

/// Runs an update in both dtypes and compares with the formula on single float64 elements.
fn check(
    update: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<()>,
    formula: impl Fn(f64, f64, f64) -> f64,
) {
    let case = Case {
        a: numbers(N, 1),
        b: numbers(N, 2),
        c: numbers(N, 3).iter().map(|v| v + 1.5).collect(),
    };
    let exact: Vec<f64> = (0..N).map(|i| formula(case.a[i], case.b[i], case.c[i])).collect();
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
        let [a, b, c] = [&case.a, &case.b, &case.c].map(|v| tensor(v, &[N / 8, 8], dtype));
        update(&a, &b, &c).unwrap();
        assert_close(&values(&a), &exact, tolerance, "update");
        assert_close(&values(&b), &case.b, 1e-6, "second argument unchanged");
    }
}

#[test]
fn sgd() {
    check(|m, p, g| momentum(m, p, g, 0.9, 0.01), |m, p, g| 0.9 * m + g + 0.01 * p);
    check(
        |p, m, g| nesterov(p, m, g, 0.1, 0.9, 0.01),
        |p, m, g| p - 0.1 * (g + 0.01 * p + 0.9 * m),
    );
    check(|p, m, _| step(p, m, 0.1), |p, m, _| p - 0.1 * m);
    check(|g, p, _| decay(g, p, 0.01), |g, p, _| g + 0.01 * p);
}

#[test]
fn rmsprop_of_tensorflow() {
    check(|v, g, _| mean_square(v, g, 0.9), |v, g, _| v + 0.1 * (g * g - v));
    check(
        |m, g, v| rmsprop(m, v, g, 0.1, 0.9, 1e-3),
        |m, g, v| 0.9 * m + 0.1 * g / (v + 1e-3).sqrt(),
    );
}

#[test]
fn adamw_and_averages() {
    check(|m, v, _| average(m, v, 0.9), |m, v, _| 0.9 * m + 0.1 * v);
    check(|v, g, _| average_square(v, g, 0.99), |v, g, _| 0.99 * v + 0.01 * g * g);
    let numbers = AdamWStep { rate: 0.1, correction: 1.3, epsilon: 1e-8, keep: 0.98 };
    check(
        |p, m, v| adamw(p, m, v, numbers),
        |p, m, v| 0.98 * p - 0.1 * m / (v.sqrt() * 1.3 + 1e-8),
    );
}

#[test]
fn another_shape_is_refused() {
    let (a, b) = (tensor(&[1.0, 2.0], &[2], DType::F32), tensor(&[1.0], &[1], DType::F32));
    assert!(step(&a, &b, 0.1).is_err());
}
