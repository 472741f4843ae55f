//! The definition, one loop per index.

use crate::ops::window::Window;

/// Calls `f(input index, weight index, output index)` for every product of the convolution.
fn for_products(
    window: &Window,
    batch: usize,
    channels: usize,
    mut f: impl FnMut(usize, usize, usize),
) {
    let w = window;
    for n in 0..batch {
        for oh in 0..w.out_height {
            for ow in 0..w.out_width {
                for a in 0..w.kernel {
                    for b in 0..w.kernel {
                        let (ih, iw) = (oh * w.stride + a, ow * w.stride + b);
                        let inside = (w.top..w.top + w.height).contains(&ih)
                            && (w.left..w.left + w.width).contains(&iw);
                        for c in (0..channels).filter(|_| inside) {
                            f(
                                ((n * w.height + ih - w.top) * w.width + iw - w.left) * channels
                                    + c,
                                (c * w.kernel + a) * w.kernel + b,
                                ((n * w.out_height + oh) * w.out_width + ow) * channels + c,
                            );
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn forward(
    x: &[f64],
    weight: &[f64],
    window: &Window,
    batch: usize,
    channels: usize,
) -> Vec<f64> {
    let mut y = vec![0.0; batch * window.out_height * window.out_width * channels];
    for_products(window, batch, channels, |i, w, o| y[o] += x[i] * weight[w]);
    y
}

/// The gradients of input and weight.
pub(super) fn backward(
    x: &[f64],
    weight: &[f64],
    dy: &[f64],
    window: &Window,
    batch: usize,
    channels: usize,
) -> (Vec<f64>, Vec<f64>) {
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
    for_products(window, batch, channels, |i, w, o| {
        dx[i] += dy[o] * weight[w];
        dw[w] += dy[o] * x[i];
    });
    (dx, dw)
}
