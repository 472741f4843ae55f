//! Whether all elements of a tensor are finite numbers: one pass, no temporaries.

use super::element::{Element, dispatch, with_slice};
use super::threads::{map_pieces, rows_per_piece};
use candle_core::{DType, Device, Result, Tensor};

/// Whether no element is infinite or NaN.
///
/// # Errors
/// When the tensor cannot be read.
pub fn is_finite(tensor: &Tensor) -> Result<bool> {
    if !matches!(tensor.device(), Device::Cpu) {
        // A product with zero is zero for finite numbers only.
        let zero = tensor.affine(0.0, 0.0)?.sum_all()?.to_dtype(DType::F64)?;
        return Ok(zero.to_scalar::<f64>()? == 0.0);
    }
    let tensor = tensor.contiguous()?;
    dispatch!(tensor.dtype(), "is_finite", T => {
        with_slice(&tensor, "is_finite", |values| Ok(all_finite::<T>(values)))
    })
}

fn all_finite<T: Element>(values: &[T]) -> bool {
    let piece = |range: std::ops::Range<usize>| {
        // A product with zero is zero for finite numbers only; `&` rather than `&&`, so that the loop is without branches.
        values[range].iter().fold(true, |finite, &x| finite & (x * T::zero() == T::zero()))
    };
    map_pieces(values.len(), rows_per_piece(1), piece).into_iter().all(|finite| finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_anywhere_decides() {
        for dtype in [DType::F32, DType::F64] {
            for n in [0, 1, 7, 16 * 1024, 40_000] {
                let plain = vec![1e30_f64; n];
                let tensor = |v: &[f64]| {
                    Tensor::from_slice(v, n, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
                };
                assert!(is_finite(&tensor(&plain)).unwrap());
                for at in [0, n / 2, n.saturating_sub(1)] {
                    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                        let mut values = plain.clone();
                        let Some(value) = values.get_mut(at) else { continue };
                        *value = bad;
                        assert!(!is_finite(&tensor(&values)).unwrap(), "{bad} at {at} of {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_view_is_judged_by_its_own_elements() {
        let tensor = Tensor::new(&[[1.0_f32, f32::NAN], [2.0, 3.0]], &Device::Cpu).unwrap();
        assert!(is_finite(&tensor.narrow(1, 0, 1).unwrap()).unwrap());
        assert!(!is_finite(&tensor.t().unwrap()).unwrap());
    }
}
