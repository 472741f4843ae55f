//! Inner products of tensors.

use candle_core::{DType, Result, Tensor};

/// The inner product of two tensors of one shape, summed in float64.
///
/// # Errors
/// When the shapes differ.
pub fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
    if a.dims() != b.dims() {
        candle_core::bail!("inner product of {:?} and {:?}", a.dims(), b.dims());
    }
    let values =
        |t: &Tensor| -> Result<Vec<f64>> { t.to_dtype(DType::F64)?.flatten_all()?.to_vec1() };
    Ok(values(a)?.iter().zip(values(b)?).map(|(a, b)| a * b).sum())
}

/// The sum of the inner products of pairs. On another device than the CPU it is taken there, and waited for once.
///
/// # Errors
/// When the shapes of a pair differ.
pub fn dot_all<'a>(pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<f64> {
    let (mut here, mut there) = (0.0, Vec::new());
    for (a, b) in pairs {
        if a.device().is_cpu() {
            here += dot(a, b)?;
        } else {
            let product = (a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?;
            there.push(product.sum_all()?);
        }
    }
    if there.is_empty() {
        return Ok(here);
    }
    Ok(here + Tensor::stack(&there, 0)?.sum_all()?.to_scalar::<f64>()?)
}

#[cfg(test)]
mod tests {
    use super::{dot, dot_all};
    use candle_core::{Device, Tensor};

    #[test]
    fn products_add_up() {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let (a, b, c) = (tensor(&[1.0, 2.0]), tensor(&[3.0, -1.0]), tensor(&[2.0]));
        assert_eq!(dot(&a, &b).unwrap(), 1.0);
        assert_eq!(dot_all([(&a, &b), (&c, &c)]).unwrap(), 5.0);
        assert!(dot_all([(&a, &c)]).is_err());
    }
}
