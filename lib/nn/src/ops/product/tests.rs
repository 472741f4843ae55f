use super::{Panels, RowSum, Strided, multiply};
use crate::ops::check::{assert_close, numbers};

/// `sum over k of a(i, k) b(k, j)`.
fn reference(
    (m, n, k): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut c = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            c.push((0..k).map(|l| a(i, l) * b(l, j)).sum());
        }
    }
    c
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Sizes below, at and above the tiles of every level.
const SIZES: [(usize, usize, usize); 6] =
    [(1, 1, 1), (6, 16, 3), (13, 33, 7), (49, 24, 144), (25, 70, 16), (3, 8, 40)];

#[test]
fn products_agree_with_the_definition() {
    for (m, n, k) in SIZES {
        let (a, b, c) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
        let exact = reference((m, n, k), |i, l| a[i * k + l], |l, j| b[l * n + j]);
        let added: Vec<f64> = exact.iter().zip(&c).map(|(e, c)| e + c).collect();
        let mut out = c.clone();
        let panels = Panels::pack(Strided::rows(&b, n), k, n);
        multiply(&a, &panels, &mut out, true);
        assert_close(&out, &added, 1e-13, "added");
        multiply(&a, &panels, &mut out, false);
        assert_close(&out, &exact, 1e-13, "product");
        let mut out = narrow(&c);
        let panels = Panels::pack(Strided::rows(&narrow(&b), n), k, n);
        multiply(&narrow(&a), &panels, &mut out, false);
        assert_close(&wide(&out), &exact, 1e-5, "product of f32");
        let turned: Vec<f64> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
        let mut out = c.clone();
        multiply(&a, &Panels::pack(Strided::transposed(&turned, k), k, n), &mut out, false);
        assert_close(&out, &exact, 1e-13, "product with a transpose");
    }
}

#[test]
fn sums_over_rows_agree_with_the_definition() {
    for (m, n, rows) in SIZES {
        let (a, b, c) = (numbers(rows * m, 1), numbers(rows * n, 2), numbers(m * n, 3));
        let exact = reference((m, n, rows), |i, r| a[r * m + i], |r, j| b[r * n + j]);
        let added: Vec<f64> = exact.iter().zip(&c).map(|(e, c)| e + c).collect();
        let mut sum = c.clone();
        RowSum::new().add(&mut sum, (&a, m), (&b, n));
        assert_close(&sum, &added, 1e-13, "sum");
        let mut sum = narrow(&c);
        let mut memory = RowSum::new();
        // The second time in memory that holds another shape's values.
        memory.add(&mut [0.0; 35], (&[f32::NAN; 100], 5), (&[f32::NAN; 140], 7));
        memory.add(&mut sum, (&narrow(&a), m), (&narrow(&b), n));
        assert_close(&wide(&sum), &added, 1e-5, "sum of f32");
    }
}
