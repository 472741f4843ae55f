//! Kernels on images, `[N, H, W, C]`, against the CPU's operators in float64.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

mod numbers;
mod reference;

use cream_arch::{Gate, Padding};
use cream_nn::ops::Window;
use cream_nn::ops::{depthwise::depthwise, gate::gate, patches::patches, pool::global_average};
use half::bf16;
use numbers::{Element, assert_close, buffer, exact, numbers as some, unwritten, values};
use reference::{columns, pixels, reference, threads, window};

/// Outputs are rounded once to the kernel's type; sums are float, over at most some thousand terms.
fn tolerance<T: Element>() -> f64 {
    T::ROUNDOFF.max(1e-5)
}

/// A number of images, their sides and channels: odd ones, one pixel, one row, channels on both sides of a block's width.
const SHAPES: [[usize; 4]; 6] =
    [[2, 5, 8, 43], [3, 1, 1, 8], [1, 1, 9, 32], [1, 7, 3, 1], [2, 9, 11, 33], [1, 14, 14, 64]];

fn kernel_name<T: Element>(stem: &str) -> String {
    format!("{stem}_{}", T::SUFFIX)
}

fn depthwise_agrees<T: Element>(w: Window, n: usize, c: usize) {
    let (k, len) = (w.kernel, n * w.height * w.width * c);
    let (x, weight) = (exact::<T>(&some(len, 1)), exact::<f32>(&some(c * k * k, 2)));
    let dims = [n, w.height, w.width, c];
    let expected = reference(&[(&x, &dims), (&weight, &[c, 1, k, k])], exact::<T>, |t| {
        depthwise(&t[0], &t[1], w)
    });
    let out = n * w.out_height * w.out_width;
    let what = format!("{k} x {k}, stride {}, {dims:?}, {}", w.stride, T::SUFFIX);
    let name = |stem: &str| kernel_name::<T>(&format!("depthwise_{stem}_{k}"));
    let with = |launch: cream_emulation::Launch| launch.int(n).int(c).argument(window(&w)).run();
    let weights = buffer::<f32>(&weight);
    let launch = pixels(&name("forward"), out, c).buffer(buffer::<T>(&x)).buffer(weights.clone());
    let found = with(launch.buffer(unwritten::<T>(out * c))).unwrap();
    assert_close(&values::<T>(&found[2]), &expected.y, tolerance::<T>(), &what);
    let dy = buffer::<T>(&expected.dy);
    let launch = pixels(&name("input_gradient"), len / c, c).buffer(dy.clone()).buffer(weights);
    let found = with(launch.buffer(unwritten::<T>(len))).unwrap();
    assert_close(&values::<T>(&found[2]), &expected.gradients[0], tolerance::<T>(), &what);
    // As many pieces as there are rows of 32 pixels, so that there are several.
    let pieces = out.div_ceil(32);
    let launch = columns(&name("weight_gradient"), c, pieces).buffer(buffer::<T>(&x)).buffer(dy);
    let partial = with(launch.buffer(unwritten::<f32>(pieces * k * k * c))).unwrap().remove(2);
    let launch =
        cream_emulation::Launch::new("depthwise_weight_f32", [c.div_ceil(128), k * k], [128, 1]);
    let launch = launch.buffer(partial).buffer(unwritten::<f32>(c * k * k));
    let found = launch.int(pieces).int(k * k).int(c).run().unwrap();
    assert_close(&values::<f32>(&found[1]), &expected.gradients[1], 1e-5, &what);
}

#[test]
fn depthwise_convolutions() {
    for kernel in [3, 5, 7] {
        for stride in [1, 2] {
            for padding in [Padding::Half, Padding::Same] {
                for [n, height, width, c] in SHAPES {
                    let w = Window::new(kernel, stride, padding, height, width).unwrap();
                    depthwise_agrees::<f32>(w, n, c);
                    depthwise_agrees::<bf16>(w, n, c);
                }
            }
        }
    }
}

fn gate_agrees<T: Element>([n, h, w, c]: [usize; 4], kind: Gate, number: usize) {
    let x = exact::<T>(&some(n * h * w * c, 1));
    // Beyond both corners of the hard sigmoid too.
    let s: Vec<f64> = some(n * c, 2).iter().map(|v| v * 5.0).collect();
    let s = exact::<T>(&s);
    let expected =
        reference(&[(&x, &[n, h, w, c]), (&s, &[n, c])], exact::<T>, |t| gate(&t[0], &t[1], kind));
    let what = format!("{kind:?} {n} x {h} x {w} x {c}, {}", T::SUFFIX);
    let launch = columns(&kernel_name::<T>("gate_forward"), c, n);
    let launch =
        launch.buffer(buffer::<T>(&x)).buffer(buffer::<T>(&s)).buffer(unwritten::<T>(x.len()));
    let found = launch.int(h * w).int(c).int(number).run().unwrap();
    assert_close(&values::<T>(&found[2]), &expected.y, tolerance::<T>(), &what);
    let launch = columns(&kernel_name::<T>("gate_backward"), c, n);
    let launch = launch.buffer(buffer::<T>(&x)).buffer(buffer::<T>(&s));
    let launch = launch.buffer(buffer::<T>(&expected.dy)).buffer(unwritten::<T>(x.len()));
    let launch = launch.buffer(unwritten::<T>(s.len()));
    let found = launch.int(h * w).int(c).int(number).run().unwrap();
    assert_close(&values::<T>(&found[3]), &expected.gradients[0], tolerance::<T>(), &what);
    assert_close(&values::<T>(&found[4]), &expected.gradients[1], tolerance::<T>(), &what);
}

#[test]
fn squeeze_excite_gates() {
    for shape in SHAPES {
        for (kind, number) in [(Gate::HardSigmoid, 0), (Gate::Sigmoid, 1)] {
            gate_agrees::<f32>(shape, kind, number);
            gate_agrees::<bf16>(shape, kind, number);
        }
    }
}

fn pool_agrees<T: Element>([n, h, w, c]: [usize; 4]) {
    let x = exact::<T>(&some(n * h * w * c, 1));
    let expected = reference(&[(&x, &[n, h, w, c])], exact::<T>, |t| global_average(&t[0]));
    let what = format!("{n} x {h} x {w} x {c}, {}", T::SUFFIX);
    let launch = columns(&kernel_name::<T>("pool_forward"), c, n).buffer(buffer::<T>(&x));
    let found = launch.buffer(unwritten::<T>(n * c)).int(h * w).int(c).run().unwrap();
    assert_close(&values::<T>(&found[1]), &expected.y, tolerance::<T>(), &what);
    let launch = columns(&kernel_name::<T>("pool_backward"), c, n);
    let launch = launch.buffer(buffer::<T>(&expected.dy)).buffer(unwritten::<T>(x.len()));
    let found = launch.int(h * w).int(c).run().unwrap();
    assert_close(&values::<T>(&found[1]), &expected.gradients[0], tolerance::<T>(), &what);
}

#[test]
fn global_average_pools() {
    for shape in SHAPES {
        pool_agrees::<f32>(shape);
        pool_agrees::<bf16>(shape);
    }
}

fn patches_agree<T: Element>(w: Window, n: usize, c: usize) {
    let x = exact::<T>(&some(n * w.height * w.width * c, 1));
    let dims = [n, w.height, w.width, c];
    let expected = reference(&[(&x, &dims)], exact::<T>, |t| patches(&t[0], w));
    let what = format!("{dims:?}, {}", T::SUFFIX);
    let launch = threads(&kernel_name::<T>("patches_forward"), expected.y.len());
    let launch = launch.buffer(buffer::<T>(&x)).buffer(unwritten::<T>(expected.y.len()));
    let found = launch.int(n).int(c).argument(window(&w)).run().unwrap();
    assert_eq!(values::<T>(&found[1]), expected.y, "{what}");
    let launch = threads(&kernel_name::<T>("patches_backward"), x.len());
    let launch = launch.buffer(buffer::<T>(&expected.dy)).buffer(unwritten::<T>(x.len()));
    let found = launch.int(n).int(c).argument(window(&w)).run().unwrap();
    assert_close(&values::<T>(&found[1]), &expected.gradients[0], tolerance::<T>(), &what);
}

#[test]
fn patches_of_the_stem() {
    for [n, height, width, _] in SHAPES {
        for (kernel, stride) in [(3, 2), (3, 1), (5, 2)] {
            for padding in [Padding::Half, Padding::Same] {
                let w = Window::new(kernel, stride, padding, height, width).unwrap();
                patches_agree::<f32>(w, n, 3);
                patches_agree::<bf16>(w, n, 3);
            }
        }
    }
}
