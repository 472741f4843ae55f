use super::{Panels, Strided, add_row_products, dense, multiply};
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
        add_row_products(&mut sum, (&a, m), (&b, n), true);
        assert_close(&sum, &added, 1e-13, "sum");
        add_row_products(&mut sum, (&a, m), (&b, n), false);
        assert_close(&sum, &exact, 1e-13, "sum without what was there");
        let mut sum = narrow(&c);
        add_row_products(&mut sum, (&narrow(&a), m), (&narrow(&b), n), true);
        assert_close(&wide(&sum), &added, 1e-5, "sum of f32");
    }
}

/// Rows below and above those that the weight is packed for; columns that leave part of a panel over.
#[test]
fn products_with_a_weight_agree_with_the_definition() {
    for (m, n, k) in [(1, 1, 1), (8, 1000, 40), (3, 35, 70), (70, 50, 33), (9, 24, 130)] {
        let (x, w, dy) = (numbers(m * k, 1), numbers(n * k, 2), numbers(m * n, 3));
        let bias = numbers(n, 4);
        let product = reference((m, n, k), |i, l| x[i * k + l], |l, j| w[j * k + l]);
        let y: Vec<f64> = product.iter().enumerate().map(|(i, v)| v + bias[i % n]).collect();
        assert_close(&dense::product(&x, &w, (n, k), &bias), &y, 1e-13, "product");
        let dx = reference((m, k, n), |i, j| dy[i * n + j], |j, l| w[j * k + l]);
        assert_close(&dense::input_gradient(&dy, &w, (n, k)), &dx, 1e-12, "input");
        let dw = reference((n, k, m), |j, i| dy[i * n + j], |i, l| x[i * k + l]);
        assert_close(&dense::weight_gradient(&dy, &x, (n, k)), &dw, 1e-13, "weight");
        let single = dense::input_gradient(&narrow(&dy), &narrow(&w), (n, k));
        assert_close(&wide(&single), &dx, 1e-5, "input of f32");
    }
}
