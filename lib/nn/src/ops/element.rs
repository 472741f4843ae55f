//! The element types that the CPU kernels are written for, and how they reach Candle's storage.

use candle_core::{CpuStorage, DType, Layout, Result, Tensor, WithDType};

/// A floating-point element of the CPU kernels: `f32` to train with, `f64` for gradient checks and
/// parity. Kernels other than matrix products use plain multiplications and additions, never a fused one,
/// so that every instruction set gives the same bits.
pub(crate) trait Element: WithDType + std::ops::Neg<Output = Self> {
    /// e^x, written so that a loop over it can be vectorised where the type allows.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The elements of a storage of this type, to be changed in place.
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;

    /// The larger of two numbers; a NaN in `self` stays, as in PyTorch.
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    /// The smaller of two numbers; a NaN in `self` stays, as in PyTorch.
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    /// 1 / (1 + e^-x).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).exp())
    }
}

impl Element for f32 {
    /// Range reduction by powers of two and a polynomial of degree six (Taylor, on +-ln2/2);
    /// relative error below 2e-7. Inputs are clamped to the finite range, NaN stays NaN.
    #[inline(always)]
    fn exp(self) -> f32 {
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        // ln 2 in two parts, the first exact in few bits so that n * LN2_HIGH does not round.
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > 88.0 { 88.0 } else { self };
        let x = if x < -87.3 { -87.3 } else { x };
        let shifted = x * LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN2_HIGH) - n * LN2_LOW;
        let p = 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = p * r + 1.0;
        let p = p * r + 1.0;
        // The low bits of `shifted` hold n in two's complement.
        let exponent = shifted.to_bits().wrapping_shl(23).wrapping_add(1.0_f32.to_bits());
        p * f32::from_bits(exponent)
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        f32::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [f32]> {
        match storage {
            CpuStorage::F32(values) => Some(values),
            _ => None,
        }
    }
}

impl Element for f64 {
    #[inline(always)]
    fn exp(self) -> f64 {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> f64 {
        f64::ln(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [f64]> {
        match storage {
            CpuStorage::F64(values) => Some(values),
            _ => None,
        }
    }
}

/// The dtype of a storage.
pub(crate) fn dtype_of(storage: &CpuStorage) -> DType {
    candle_core::backend::BackendStorage::dtype(storage)
}

/// Values as a storage.
pub(crate) fn wrap<T: Element>(values: Vec<T>) -> CpuStorage {
    T::to_cpu_storage_owned(values)
}

/// The elements of a contiguous storage, or an error that names the operator.
pub(crate) fn slice<'a, T: Element>(
    storage: &'a CpuStorage,
    layout: &Layout,
    operator: &str,
) -> Result<&'a [T]> {
    let (start, end) = contiguous(layout, operator)?;
    Ok(&T::cpu_storage_as_slice(storage)?[start..end])
}

/// The range of a contiguous layout, or an error that names the operator.
pub(crate) fn contiguous(layout: &Layout, operator: &str) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(range) => Ok(range),
        None => candle_core::bail!("{operator}: a contiguous tensor is required"),
    }
}

/// Runs `f` on the elements of a contiguous tensor that lies on the CPU.
pub(crate) fn with_slice<T: Element, R>(
    tensor: &Tensor,
    operator: &str,
    f: impl FnOnce(&[T]) -> Result<R>,
) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => f(slice(storage, layout, operator)?),
        _ => candle_core::bail!("{operator}: no backward pass on this device"),
    }
}

/// Calls a generic function for the dtype of a CPU storage: `dispatch!(storage, operator, T => expression)`.
macro_rules! dispatch {
    ($dtype:expr, $operator:expr, $t:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $t = f64;
                $body
            }
            other => candle_core::bail!("{}: {other:?} is not supported on the CPU", $operator),
        }
    };
}
pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn exp_of_f32_agrees_with_f64() {
        let mut worst = 0.0_f64;
        for i in -87_000..88_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(Element::exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.5e-7, "{worst}");
        assert!(Element::exp(f32::NAN).is_nan());
        assert!(Element::exp(1e30_f32).is_finite());
        assert!(Element::exp(-1e30_f32) > 0.0);
    }
}
