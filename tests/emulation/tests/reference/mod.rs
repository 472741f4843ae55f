//! What the operators of the CPU give in float64, and how kernels are launched on the device.
#![allow(dead_code, reason = "every test uses its part")]

use candle_core::{Device, Result, Tensor, Var};
use cream_emulation::{Argument, Launch};
use cream_nn::ops::Window;

use crate::numbers::numbers;

/// Of an operator: its output, the gradient that reaches it, and those that it passes on to its inputs.
pub struct Reference {
    pub y: Vec<f64>,
    pub dy: Vec<f64>,
    pub gradients: Vec<Vec<f64>>,
}

pub fn tensor(values: &[f64], dims: &[usize]) -> Tensor {
    Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Runs an operator and its backward pass in float64; `round` makes the gradient one that the kernel's type holds.
pub fn reference(
    inputs: &[(&[f64], &[usize])],
    round: impl Fn(&[f64]) -> Vec<f64>,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Reference {
    let vars: Vec<Var> =
        inputs.iter().map(|(v, d)| Var::from_tensor(&tensor(v, d)).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let out = f(&tensors).unwrap();
    let dy = round(&numbers(out.elem_count(), 99));
    let weighted = (&out * tensor(&dy, out.dims())).unwrap().sum_all().unwrap();
    let found = weighted.backward().unwrap();
    let gradients = vars.iter().map(|var| found.get(var).map(values).unwrap_or_default());
    Reference { y: values(&out), gradients: gradients.collect(), dy }
}

/// Blocks of 32 channels across and so many down, of 32 x 8 threads.
pub fn columns(kernel: &str, channels: usize, down: usize) -> Launch {
    Launch::new(kernel, [channels.div_ceil(32), down], [32, 8])
}

/// Blocks of 8 pixels across and of 32 channels down.
pub fn pixels(kernel: &str, pixels: usize, channels: usize) -> Launch {
    Launch::new(kernel, [pixels.div_ceil(8), channels.div_ceil(32)], [32, 8])
}

/// So many threads, 256 to a block.
pub fn threads(kernel: &str, count: usize) -> Launch {
    Launch::new(kernel, [count.div_ceil(256), 1], [256, 1])
}

/// A window as the kernels' struct has it.
pub fn window(w: &Window) -> Argument {
    let sides = [w.kernel, w.stride, w.height, w.width, w.top, w.left, w.out_height, w.out_width];
    Argument::Struct(sides.iter().flat_map(|&side| (side as i32).to_ne_bytes()).collect(), vec![])
}
