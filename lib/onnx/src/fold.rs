//! Batch norms as part of the convolution before them.

use cream_weights::{NetworkTensors, Tensor, WeightsError};

/// Per channel, what a batch norm does at inference.
struct Norm<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    mean: &'a [f32],
    variance: &'a [f32],
}

/// Weight and bias of a convolution that gives what the convolution `conv` and the batch norm `norm` after it give at
/// inference. Computed in float64 and rounded once.
///
/// # Errors
/// [`WeightsError::Mismatch`] when the network has no such layers.
pub fn folded(
    tensors: &NetworkTensors,
    conv: &str,
    norm: &str,
    epsilon: f64,
) -> Result<(Tensor, Tensor), WeightsError> {
    let of_norm = |kind: &str| Ok(tensors.get(&format!("{norm}.{kind}"))?.values.as_slice());
    let norm = Norm {
        weight: of_norm("weight")?,
        bias: of_norm("bias")?,
        mean: of_norm("running_mean")?,
        variance: of_norm("running_var")?,
    };
    let kernels = tensors.get(&format!("{conv}.weight"))?;
    let (values, bias) = fold(&kernels.values, &norm, epsilon);
    let shape = vec![bias.len()];
    Ok((Tensor { shape: kernels.shape.clone(), values }, Tensor { shape, values: bias }))
}

/// With `scale = weight / sqrt(variance + epsilon)`, the kernels times `scale`, and `bias - mean * scale`.
fn fold(kernels: &[f32], norm: &Norm, epsilon: f64) -> (Vec<f32>, Vec<f32>) {
    let channels = norm.bias.len();
    let taps = (kernels.len() / channels.max(1)).max(1);
    let mut scaled = Vec::with_capacity(kernels.len());
    let mut shifts = Vec::with_capacity(channels);
    for (channel, kernel) in kernels.chunks(taps).enumerate() {
        let of = |values: &[f32]| f64::from(values[channel]);
        let scale = of(norm.weight) / (of(norm.variance) + epsilon).sqrt();
        scaled.extend(kernel.iter().map(|&value| (f64::from(value) * scale) as f32));
        shifts.push((of(norm.bias) - of(norm.mean) * scale) as f32);
    }
    (scaled, shifts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_what_is_computed_by_hand() {
        // Standard deviations sqrt(3.75 + 0.25) = 2 and sqrt(0 + 0.25) = 0.5: scales 3 / 2 and -1 / 0.5.
        let norm = Norm {
            weight: &[3.0, -1.0],
            bias: &[0.5, 7.0],
            mean: &[4.0, -3.0],
            variance: &[3.75, 0.0],
        };
        let (kernels, bias) = fold(&[1.0, -2.0, 0.5, 8.0], &norm, 0.25);
        assert_eq!(kernels, [1.5, -3.0, -1.0, -16.0]);
        assert_eq!(bias, [0.5 - 4.0 * 1.5, 7.0 - 3.0 * 2.0]);
    }

    #[test]
    fn values_are_rounded_once() {
        // In float32 the sum would be 1 and the product one step off.
        let norm = Norm { weight: &[3.0], bias: &[0.0], mean: &[0.0], variance: &[1.0] };
        let (kernels, _) = fold(&[0.1], &norm, 1e-8);
        assert_eq!(kernels, [(f64::from(0.1_f32) * 3.0 / (1.0 + 1e-8_f64).sqrt()) as f32]);
    }
}
