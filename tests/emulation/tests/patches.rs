//! The kernels of patches against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{
    Number, assert_close, exact, geometry, launch, numbers, room, rounding, run, tensor, windows,
};
use cream_nn::ops::grid::Grid;
use cream_nn::ops::patches::patches;
use half::bf16;

fn agrees<T: Number>() {
    for w in windows() {
        for (n, c) in [(2, 3), (1, 1), (3, 5)] {
            let x = numbers::<T>(n * w.height * w.width * c, 1, 1.0);
            let inputs = [tensor(&x, &[n, w.height, w.width, c])];
            let exact = exact::<T>(&inputs, |t| patches(&t[0], w));
            let entries = n * w.out_height * w.out_width * w.kernel * w.kernel * c;
            let mut y = room::<T>(entries);
            let forward = launch::<T>("patches_forward").input(&x).output(&mut y);
            run(forward.int(n).int(c).structure(geometry(&w)), Grid::of_vectors::<T>(entries));
            assert!(y.iter().zip(&exact.y).all(|(y, exact)| y.widen() == *exact), "{w:?}");
            let mut dx = room::<T>(x.len());
            let backward = launch::<T>("patches_backward").input(&exact.dy).output(&mut dx);
            run(backward.int(n).int(c).structure(geometry(&w)), Grid::of_threads(x.len()));
            let tolerance = rounding(w.kernel * w.kernel);
            assert_close(&dx, &exact.gradients[0], tolerance, "gradient");
        }
    }
}

#[test]
fn kernels_agree_in_f32() {
    agrees::<f32>();
}

#[test]
fn kernels_agree_in_bf16() {
    agrees::<bf16>();
}
