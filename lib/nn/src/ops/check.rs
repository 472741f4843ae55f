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

/// The device that f32 is tested on, where `CREAM_TEST_CUDA` has its ordinal and the feature is there. Otherwise, and for
/// float64, that is the CPU.
fn accelerator() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        let ordinal = std::env::var("CREAM_TEST_CUDA").ok()?;
        Some(Device::new_cuda_with_stream(ordinal.parse().unwrap()).unwrap())
    };
    DEVICE.get_or_init(open).as_ref()
}

pub(crate) fn tensor(values: &[f64], dims: &[usize], dtype: DType) -> Tensor {
    let device = accelerator().filter(|_| dtype == DType::F32).unwrap_or(&Device::Cpu);
    let tensor = Tensor::from_slice(values, dims, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    tensor.to_device(device).unwrap()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// max|a - b| / max(max|b|, 1e-6) <= tolerance.
pub(crate) fn assert_close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-6_f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / scale;
    assert!(error <= tolerance, "{what}: error {error:e} above {tolerance:e}");
    assert!(a.iter().all(|v| v.is_finite()), "{what}: not finite");
}

/// Compares the gradient of a weighted sum of `f`'s output, in float64, with central differences
/// over every element of every argument; and the gradient on the device that f32 is tested on with that.
pub(crate) fn check_gradients(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let inputs: Vec<Vec<f64>> = shapes
        .iter()
        .enumerate()
        .map(|(i, dims)| numbers(dims.iter().product(), i as u64 + 11))
        .collect();
    let objective = |inputs: &[Tensor]| {
        let out = f(inputs).unwrap();
        let weights = tensor(&numbers(out.elem_count(), 5), out.dims(), out.dtype());
        (out * weights).unwrap().sum_all().unwrap()
    };
    let at = |inputs: &[Vec<f64>]| {
        let tensors: Vec<Tensor> =
            inputs.iter().zip(shapes).map(|(v, d)| tensor(v, d, DType::F64)).collect();
        objective(&tensors).to_scalar::<f64>().unwrap()
    };
    let gradients = |dtype| -> Vec<Vec<f64>> {
        let var = |(v, d): (&Vec<f64>, &&[usize])| Var::from_tensor(&tensor(v, d, dtype)).unwrap();
        let vars: Vec<Var> = inputs.iter().zip(shapes).map(var).collect();
        let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let grads = objective(&tensors).backward().unwrap();
        vars.iter().map(|var| values(grads.get(var).unwrap())).collect()
    };
    let exact = gradients(DType::F64);
    let h = 1e-5;
    for (i, gradient) in exact.iter().enumerate() {
        let differences: Vec<f64> = (0..inputs[i].len())
            .map(|j| {
                let mut moved = inputs.clone();
                moved[i][j] += h;
                let above = at(&moved);
                moved[i][j] -= 2.0 * h;
                (above - at(&moved)) / (2.0 * h)
            })
            .collect();
        assert_close(gradient, &differences, 1e-7, &format!("argument {i}"));
    }
    if accelerator().is_some() {
        for (i, (gradient, exact)) in gradients(DType::F32).iter().zip(&exact).enumerate() {
            assert_close(gradient, exact, 1e-4, &format!("argument {i} on the device"));
        }
    }
}
