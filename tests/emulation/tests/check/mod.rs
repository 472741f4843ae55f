//! What the operators' tests share: numbers, the CPU's results in float64, and comparison.
//!
//! Tolerances are from the unit roundoff u: of what the kernel stores, once for each number, and of the float arithmetic
//! before, 2^-24 for each rounding in the longest chain of dependent ones, relative to the largest number.
#![allow(dead_code, reason = "no operator's tests use all of it")]

use candle_core::{DType, Device, Result, Tensor, Var};
use cream_arch::{Activation, Padding};
use cream_emulation::{Element, Fault, Field, Launch};
use cream_nn::ops::Window;
use cream_nn::ops::grid::{Grid, THREADS};
use half::bf16;

pub const ACTIVATIONS: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::Swish, Activation::HSwish];

/// A type of activations.
pub trait Number: Element {
    /// How the names of its kernels end.
    const SUFFIX: &'static str;
    /// The largest relative error of storing a number.
    const UNIT: f64;
    fn narrow(value: f64) -> Self;
    fn widen(self) -> f64;
}

impl Number for f32 {
    const SUFFIX: &'static str = "f32";
    const UNIT: f64 = 1.0 / (1 << 24) as f64;
    fn narrow(value: f64) -> Self {
        value as f32
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Number for bf16 {
    const SUFFIX: &'static str = "bf16";
    const UNIT: f64 = 1.0 / (1 << 8) as f64;
    fn narrow(value: f64) -> Self {
        bf16::from_f32(value as f32)
    }
    fn widen(self) -> f64 {
        f64::from(f32::from(self))
    }
}

/// `n` repeatable numbers in [-1, 1), different for every `seed` (a linear congruence, Knuth's MMIX constants).
pub fn numbers<T: Number>(n: usize, seed: u64, scale: f64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| T::narrow(next() * scale)).collect()
}

pub fn widened<T: Number>(values: &[T]) -> Vec<f64> {
    values.iter().map(|&v| v.widen()).collect()
}

/// Room for what a kernel writes.
pub fn room<T: Number>(len: usize) -> Vec<T> {
    vec![T::narrow(0.0); len]
}

/// The same numbers as a tensor in float64.
pub fn tensor<T: Number>(values: &[T], dims: &[usize]) -> Tensor {
    Tensor::from_vec(widened(values), dims, &Device::Cpu).unwrap()
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The error of so many dependent roundings in float, and of a few that all kernels have.
pub fn rounding(chain: usize) -> f64 {
    (chain + 16) as f64 * f32::UNIT
}

pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-6_f64, |m, v| m.max(v.abs()))
}

/// |found - exact| <= u |exact| + arithmetic * max|exact|, for every number.
pub fn assert_close<T: Number>(found: &[T], exact: &[f64], arithmetic: f64, what: &str) {
    assert_within(found, exact, arithmetic * largest(exact), what);
}

/// |found - exact| <= u |exact| + allowed, for every number.
pub fn assert_within<T: Number>(found: &[T], exact: &[f64], allowed: f64, what: &str) {
    assert_eq!(found.len(), exact.len(), "{what}");
    for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
        let (found, error) = (found.widen(), (found.widen() - exact).abs());
        let allowed = T::UNIT * exact.abs() + allowed;
        assert!(
            error <= allowed,
            "{what} in {}: {found} for {exact} at {i}, which is {error:e} off and may be {allowed:e}",
            T::SUFFIX
        );
    }
}

/// What the CPU's operator gives in float64.
pub struct Exact<T> {
    pub y: Vec<f64>,
    /// The gradient of y that `gradients` are for.
    pub dy: Vec<T>,
    pub gradients: Vec<Vec<f64>>,
}

/// Inputs small enough for differences.
const FEW: usize = 150;

/// The operator `f` of some inputs, and its gradients; where the inputs are few, they are held against central differences.
pub fn exact<T: Number>(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Exact<T> {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = f(&tensors).unwrap();
    let dy = numbers::<T>(y.elem_count(), 5, 1.0);
    let weights = tensor(&dy, y.dims());
    let objective = |y: &Tensor| (y * &weights).unwrap().sum_all().unwrap();
    let gradients = objective(&y).backward().unwrap();
    let gradients: Vec<Vec<f64>> =
        vars.iter().map(|var| values(gradients.get(var).unwrap())).collect();
    let few = inputs.iter().map(Tensor::elem_count).sum::<usize>() <= FEW;
    // Numbers of few bits meet the corners of the activations, where there is no derivative.
    if few && T::UNIT == f32::UNIT {
        for (i, gradient) in gradients.iter().enumerate() {
            let at = |inputs: &[Tensor]| objective(&f(inputs).unwrap()).to_scalar().unwrap();
            let differences = differences(inputs, i, at);
            // Terms that cancel are as large as dy.
            let allowed = 1e-7 * largest(gradient).max(1.0);
            for (exact, found) in gradient.iter().zip(differences) {
                assert!((exact - found).abs() <= allowed, "argument {i}: {exact} {found}");
            }
        }
    }
    Exact { y: values(&y), dy, gradients }
}

/// Central differences of `f` by every element of one input.
fn differences(inputs: &[Tensor], which: usize, f: impl Fn(&[Tensor]) -> f64) -> Vec<f64> {
    let (h, start) = (1e-5, values(&inputs[which]));
    let moved = |i: usize, by: f64| {
        let (mut inputs, mut values) = (inputs.to_vec(), start.clone());
        values[i] += by;
        inputs[which] = Tensor::from_vec(values, inputs[which].shape(), &Device::Cpu).unwrap();
        f(&inputs)
    };
    (0..start.len()).map(|i| (moved(i, h) - moved(i, -h)) / (2.0 * h)).collect()
}

/// The number that kernels have for an activation.
pub fn activation_number(activation: Activation) -> usize {
    ACTIVATIONS.iter().position(|&a| a == activation).unwrap()
}

/// A kernel for elements T.
pub fn launch<'a, T: Number>(name: &str) -> Launch<'a> {
    Launch::new(&format!("{name}_{}", T::SUFFIX))
}

/// Runs a launch that must do nothing wrong, on one of the grids that the operators launch their kernels with.
pub fn run(launch: Launch<'_>, grid: Grid) {
    if let Err(Fault(text)) = launch.over([grid.across, grid.down, 1], [THREADS, 1, 1]) {
        panic!("{text}");
    }
}

/// Every kernel, stride and padding, of odd sizes and of images that are smaller than the window.
pub fn windows() -> Vec<Window> {
    let mut windows = Vec::new();
    for kernel in [3, 5, 7] {
        for stride in [1, 2] {
            for padding in [Padding::Half, Padding::Same] {
                for [height, width] in [[5, 8], [1, 2], [7, 3], [1, 1]] {
                    windows.push(Window::new(kernel, stride, padding, height, width).unwrap());
                }
            }
        }
    }
    windows
}

/// A window as window.cuh has it.
pub fn geometry(w: &Window) -> [Field<'static>; 8] {
    [w.kernel, w.stride, w.height, w.width, w.top, w.left, w.out_height, w.out_width]
        .map(|side| Field::Int(side as i32))
}
