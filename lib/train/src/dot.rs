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
pub fn dot_all<'a>(
    pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)> + Clone,
) -> Result<f64> {
    let here = pairs.clone().into_iter().filter(|(a, _)| a.device().is_cpu());
    let here = here.map(|(a, b)| dot(a, b)).sum::<Result<f64>>()?;
    match dots_there(pairs)? {
        Some(there) => Ok(here + there.to_scalar::<f64>()?),
        None => Ok(here),
    }
}

/// The same of the pairs on another device than the CPU, as a float64 that is left there; `None` of none.
///
/// # Errors
/// When the shapes of a pair differ.
pub(crate) fn dots_there<'a>(
    pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>,
) -> Result<Option<Tensor>> {
    let mut products = Vec::new();
    for (a, b) in pairs.into_iter().filter(|(a, _)| !a.device().is_cpu()) {
        products.push((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?);
    }
    if products.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tensor::stack(&products, 0)?.sum_all()?))
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
