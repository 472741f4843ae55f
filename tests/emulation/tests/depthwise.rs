//! The depthwise convolution's kernels against the CPU's operator in float64.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod check;

use check::{
    Exact, Number, assert_close, exact, geometry, launch, numbers, room, rounding, run, tensor,
    windows,
};
use cream_nn::ops::Window;
use cream_nn::ops::depthwise::depthwise;
use cream_nn::ops::grid::{Grid, weight_sums};
use half::bf16;

/// A case: the window, images and channels, with the input and the weight.
struct Case<T> {
    w: Window,
    n: usize,
    c: usize,
    x: Vec<T>,
    weight: Vec<f32>,
    /// That sums over pixels are taken in.
    parts: usize,
}

impl<T: Number> Case<T> {
    fn new(w: Window, n: usize, c: usize) -> Self {
        let x = numbers(n * w.height * w.width * c, 1, 1.0);
        let weight = numbers(c * w.kernel * w.kernel, 2, 1.0);
        let parts = weight_sums(&w, n, c);
        Self { w, n, c, x, weight, parts }
    }

    fn exact(&self) -> Exact<T> {
        let Self { w, n, c, .. } = self;
        let x = tensor(&self.x, &[*n, w.height, w.width, *c]);
        let weight = tensor(&self.weight, &[*c, 1, w.kernel, w.kernel]);
        exact(&[x, weight], |t| depthwise(&t[0], &t[1], *w))
    }

    fn kernel<'a>(&self, name: &str) -> cream_emulation::Launch<'a> {
        launch::<T>(&format!("depthwise_{name}_{}", self.w.kernel))
    }

    fn output(&self) -> Vec<T> {
        let pixels = self.n * self.w.out_height * self.w.out_width;
        let mut y = room(pixels * self.c);
        let launch = self.kernel("forward").input(&self.x).input(&self.weight).output(&mut y);
        let launch = launch.int(self.n).int(self.c).structure(geometry(&self.w));
        run(launch, Grid::of_outputs(&self.w, self.n, self.c));
        y
    }

    fn input_gradient(&self, dy: &[T]) -> Vec<T> {
        let mut dx = room(self.x.len());
        let launch = self.kernel("input_gradient").input(dy).input(&self.weight).output(&mut dx);
        let launch = launch.int(self.n).int(self.c).structure(geometry(&self.w));
        run(launch, Grid::of_inputs(&self.w, self.n, self.c));
        dx
    }

    fn weight_gradient(&self, dy: &[T]) -> Vec<f32> {
        let (taps, pieces) = (self.w.kernel * self.w.kernel, self.parts);
        let mut partial = room(pieces * taps * self.c);
        let launch = self.kernel("weight_gradient").input(&self.x).input(dy).output(&mut partial);
        let launch = launch.int(self.n).int(self.c).structure(geometry(&self.w));
        run(launch, Grid::of_taps(self.c, pieces));
        let mut dw = room(taps * self.c);
        let launch = launch_of_sums(&partial, &mut dw).int(pieces).int(taps).int(self.c);
        run(launch, Grid::of_weight(self.c, taps));
        dw
    }

    fn check(&self) {
        let (exact, what) = (self.exact(), format!("{:?}, {} channels", self.w, self.c));
        let (taps, pieces) = (self.w.kernel * self.w.kernel, self.parts);
        assert_close(&self.output(), &exact.y, rounding(taps), &what);
        let dx = self.input_gradient(&exact.dy);
        assert_close(&dx, &exact.gradients[0], rounding(taps), &what);
        // A row of the taps has at least two threads.
        let chain = exact.dy.len() / self.c / pieces / 2 + 8 + pieces;
        let dw = self.weight_gradient(&exact.dy);
        assert_close(&dw, &exact.gradients[1], rounding(chain), &what);
    }
}

fn launch_of_sums<'a>(partial: &'a [f32], dw: &'a mut [f32]) -> cream_emulation::Launch<'a> {
    launch::<f32>("depthwise_weight").input(partial).output(dw)
}

fn agrees<T: Number>() {
    for (i, w) in windows().into_iter().enumerate() {
        // Every block size, and one channel.
        let (n, c) = [(3, 43), (2, 8), (1, 1), (2, 33), (1, 5)][i % 5];
        Case::<T>::new(w, n, c).check();
    }
    // Several pieces of rows.
    let w = Window::new(3, 2, cream_arch::Padding::Half, 23, 17).unwrap();
    Case::<T>::new(w, 2, 33).check();
    // Wider than a group of vectors.
    for (kernel, stride) in [(3, 1), (5, 2), (7, 1), (7, 2)] {
        let w = Window::new(kernel, stride, cream_arch::Padding::Half, 6, 9).unwrap();
        Case::<T>::new(w, 2, 132).check();
    }
}

/// Where pixels do not share out evenly, the last pieces may have none.
#[test]
fn pieces_without_pixels_add_nothing() {
    let w = Window::new(3, 1, cream_arch::Padding::Half, 5, 2).unwrap();
    let case = Case::<f32>::new(w, 1, 5);
    Case { parts: 7, ..case }.check();
}

#[test]
fn kernels_agree_in_f32() {
    agrees::<f32>();
}

#[test]
fn kernels_agree_in_bf16() {
    agrees::<bf16>();
}
