//! What operator tests share: repeatable numbers, comparison, gradients by finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};
use std::sync::OnceLock;

/// `n` repeatable numbers in [-1, 1), different for every `seed` (a linear congruence, Knuth's MMIX constants).
pub(crate) fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// The device that f32 and bf16 are tested on, where `CREAM_TEST_CUDA` has its ordinal and the feature is there. Otherwise,
/// and for float64, that is the CPU.
pub(crate) fn accelerator() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        let ordinal = std::env::var("CREAM_TEST_CUDA").ok()?;
        Some(Device::new_cuda_with_stream(ordinal.parse().unwrap()).unwrap())
    };
    DEVICE.get_or_init(open).as_ref()
}

/// What operators are tested in, with these tolerances in float64 and f32. On a device activations may be bf16 too, where
/// rounding a result alone is an error of 2^-9.
pub(crate) fn precisions(f64: f64, f32: f64) -> Vec<(DType, f64)> {
    let mut all = vec![(DType::F64, f64), (DType::F32, f32)];
    if accelerator().is_some() {
        all.push((DType::BF16, 1e-2));
    }
    all
}

pub(crate) fn tensor(values: &[f64], dims: &[usize], dtype: DType) -> Tensor {
    let device = accelerator().filter(|_| dtype != DType::F64).unwrap_or(&Device::Cpu);
    let tensor = Tensor::from_slice(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    tensor.to_device(device).unwrap()
}

/// A parameter or a statistic beside activations of this type: f32 where those are bf16.
pub(crate) fn parameter(values: &[f64], dims: &[usize], activations: DType) -> Tensor {
    tensor(values, dims, if activations == DType::BF16 { DType::F32 } else { activations })
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_device(&Device::Cpu).unwrap();
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The numbers that a type keeps of these.
pub(crate) fn rounded(numbers: &[f64], dtype: DType) -> Vec<f64> {
    let exact = Tensor::from_slice(numbers, numbers.len(), &Device::Cpu).unwrap();
    values(&exact.to_dtype(dtype).unwrap())
}

/// max|a - b| / max(max|b|, 1e-6) <= tolerance. Says the error, for `tests/gpu/run`.
pub(crate) fn assert_close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-6_f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / scale;
    println!("error {error:e} of {tolerance:e}: {what}");
    assert!(error <= tolerance, "{what}: error {error:e} above {tolerance:e}");
    assert!(a.iter().all(|v| v.is_finite()), "{what}: not finite");
}

/// Compares the gradient of a weighted sum of `f`'s output, in float64, with central differences
/// over every element of every argument; and the gradient in f32, and on a device in bf16, with that. The first argument is
/// an activation, the others are parameters.
pub(crate) fn check_gradients(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let checked = Checked::against_differences(shapes, f);
    checked.compare(DType::F32, 1e-4);
    if accelerator().is_some() {
        checked.compare(DType::BF16, 2e-2);
    }
}

/// The same of an operator that is not there in bf16.
pub(crate) fn check_gradients_to_f32(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    Checked::against_differences(shapes, f).compare(DType::F32, 1e-4);
}

/// An operator, the shapes of its arguments, and their values.
struct Checked<'a, F> {
    shapes: &'a [&'a [usize]],
    inputs: Vec<Vec<f64>>,
    f: F,
}

impl<'a, F: Fn(&[Tensor]) -> Result<Tensor>> Checked<'a, F> {
    fn against_differences(shapes: &'a [&'a [usize]], f: F) -> Self {
        let inputs = shapes
            .iter()
            .enumerate()
            .map(|(i, dims)| numbers(dims.iter().product(), i as u64 + 11))
            .collect();
        let checked = Self { shapes, inputs, f };
        let h = 1e-5;
        let exact = checked.gradients(DType::F64, DType::F64);
        for (i, gradient) in exact.iter().enumerate() {
            let differences: Vec<f64> = (0..checked.inputs[i].len())
                .map(|j| {
                    let mut moved = checked.inputs.clone();
                    moved[i][j] += h;
                    let above = checked.value(&moved);
                    moved[i][j] -= 2.0 * h;
                    (above - checked.value(&moved)) / (2.0 * h)
                })
                .collect();
            assert_close(gradient, &differences, 1e-7, &format!("gradient of argument {i}"));
        }
        checked
    }

    /// Gradients in this precision against those in float64 of what it keeps of the numbers.
    fn compare(&self, dtype: DType, tolerance: f64) {
        let pairs = self.gradients(dtype, dtype).into_iter().zip(self.gradients(DType::F64, dtype));
        for (i, (gradient, exact)) in pairs.enumerate() {
            let what = format!("gradient of argument {i} in {dtype:?}");
            assert_close(&gradient, &exact, tolerance, &what);
        }
    }

    /// The weighted sum of the output; the weights are numbers that `kept` keeps.
    fn objective(&self, inputs: &[Tensor], kept: DType) -> Tensor {
        let out = (self.f)(inputs).unwrap();
        let weights = rounded(&numbers(out.elem_count(), 5), kept);
        (&out * tensor(&weights, out.dims(), out.dtype())).unwrap().sum_all().unwrap()
    }

    fn value(&self, inputs: &[Vec<f64>]) -> f64 {
        let tensors: Vec<Tensor> =
            inputs.iter().zip(self.shapes).map(|(v, d)| tensor(v, d, DType::F64)).collect();
        self.objective(&tensors, DType::F64).to_scalar::<f64>().unwrap()
    }

    /// Gradients with activations of a type, at what `kept` keeps of the numbers.
    fn gradients(&self, dtype: DType, kept: DType) -> Vec<Vec<f64>> {
        let var = |(i, (v, dims)): (usize, (&Vec<f64>, &&[usize]))| {
            let values = match i {
                0 => tensor(&rounded(v, kept), dims, dtype),
                _ => parameter(v, dims, dtype),
            };
            Var::from_tensor(&values).unwrap()
        };
        let vars: Vec<Var> = self.inputs.iter().zip(self.shapes).enumerate().map(var).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let grads = self.objective(&tensors, kept).backward().unwrap();
        vars.iter().map(|var| values(grads.get(var).unwrap())).collect()
    }
}
