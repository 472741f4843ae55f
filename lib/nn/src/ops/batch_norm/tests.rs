use super::{Seen, batch_norm, batch_norm_onto, normalise, reference};
use crate::ops::activation::ALL;
use crate::ops::check::{
    assert_close, check_gradients, numbers, parameter, precisions, rounded, tensor, values,
};
use candle_core::DType;

const EPSILON: f64 = 1e-5;

#[test]
fn kernel_agrees_with_the_reference() {
    // Several pieces of work, the last one short; an offset that would spoil a one-pass variance.
    for (rows, channels, offset) in [(2, 3, 0.0), (5000, 17, 0.0), (3000, 16, 100.0)] {
        let x: Vec<f64> = numbers(rows * channels, 1).iter().map(|v| v + offset).collect();
        let (w, b) = (numbers(channels, 2), numbers(channels, 3));
        for activation in ALL {
            for (dtype, tolerance) in precisions(1e-11, if offset > 0.0 { 2e-4 } else { 1e-5 }) {
                // bf16 keeps so little beside a large offset that a variance is of its roundings.
                if dtype == DType::BF16 && offset > 0.0 {
                    continue;
                }
                let x = if dtype == DType::BF16 { rounded(&x, dtype) } else { x.clone() };
                let (y, mean, variance) = reference::forward(&x, &w, &b, EPSILON, activation);
                let parameter = |v: &[f64]| parameter(v, &[channels], dtype);
                let (w, b) = (parameter(&w), parameter(&b));
                let what = |what: &str| format!("{what} in {dtype:?}");
                let xs = tensor(&x, &[rows, channels], dtype);
                let (out, statistics) = batch_norm(&xs, &w, &b, EPSILON, activation).unwrap();
                let (found_mean, found_variance) = match statistics {
                    Seen::Host(seen) => (seen.mean, seen.variance),
                    Seen::Device { mean, variance } => (values(&mean), values(&variance)),
                };
                assert_close(&values(&out), &y, tolerance, &what("output"));
                assert_close(&found_mean, &mean, tolerance, &what("mean"));
                assert_close(&found_variance, &variance, tolerance, &what("variance"));
                let (m, v) = (parameter(&mean), parameter(&variance));
                let given = normalise(&xs, &w, &b, &m, &v, EPSILON, activation).unwrap();
                assert_close(&values(&given), &y, tolerance, &what("output with given statistics"));
            }
        }
    }
}

#[test]
fn a_residual_is_added_behind_the_activation() {
    let (rows, c) = (300, 16);
    let [x, w, b, r] = [rows * c, c, c, rows * c].map(|n| numbers(n, n as u64 + 1));
    for activation in ALL {
        for (dtype, tolerance) in precisions(1e-11, 1e-5) {
            let (x, r) = (rounded(&x, dtype), rounded(&r, dtype));
            let (y, ..) = reference::forward(&x, &w, &b, EPSILON, activation);
            let exact: Vec<f64> = y.iter().zip(&r).map(|(y, r)| y + r).collect();
            let [xs, rs] = [&x, &r].map(|v| tensor(v, &[rows, c], dtype));
            let [ws, bs] = [&w, &b].map(|v| parameter(v, &[c], dtype));
            let found = batch_norm_onto(&xs, [&ws, &bs], EPSILON, activation, None, &rs);
            assert_close(&values(&found.unwrap().0), &exact, tolerance, "output with a residual");
        }
    }
}

#[test]
fn a_residual_that_does_not_fit_is_refused() {
    let tensor = |n: usize| tensor(&numbers(n * 2, 1), &[n, 2], DType::F32);
    let vector = tensor(1).reshape(2).unwrap();
    let onto = |residual: &candle_core::Tensor| {
        batch_norm_onto(&tensor(4), [&vector, &vector], EPSILON, ALL[0], None, residual)
    };
    assert!(onto(&tensor(4)).is_ok() && onto(&tensor(3)).is_err());
    assert!(onto(&tensor(4).to_dtype(DType::BF16).unwrap()).is_err());
    assert!(onto(candle_core::Var::from_tensor(&tensor(4)).unwrap().as_tensor()).is_err());
}

#[test]
fn gradients_agree_with_differences() {
    for activation in ALL {
        check_gradients(&[&[3, 2, 2, 5], &[5], &[5]], |t| {
            Ok(batch_norm(&t[0], &t[1], &t[2], EPSILON, activation)?.0)
        });
    }
}

#[test]
fn one_value_per_channel_is_refused() {
    let (x, w) = (tensor(&[1.0, 2.0], &[1, 2], DType::F32), tensor(&[1.0, 1.0], &[2], DType::F32));
    let error = batch_norm(&x, &w, &w, EPSILON, ALL[0]).unwrap_err().to_string();
    assert!(error.contains("more than one value"), "{error}");
}
