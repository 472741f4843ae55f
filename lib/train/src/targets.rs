//! Targets of the cross-entropy, as distributions over classes.

use candle_core::{DType, Device, Result, Tensor};
use cream_nn::transfer::to_device;

/// Labels as distributions `[N, classes]`: 1 - smoothing on the label, smoothing / classes on every class besides
/// (Szegedy et al., 2016, section 7; PyTorch's `label_smoothing`). A label must be below `classes`.
///
/// # Errors
/// When a label is out of range.
pub fn smoothed(
    labels: &[u32],
    classes: usize,
    smoothing: f64,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    mixed(labels.iter().map(|&label| (label, label, 1.0)), classes, smoothing, dtype, device)
}

/// The same for labels of mixed images, each its own, its partner's, and the share that its own has (Zhang et al., 2018,
/// equation 1): the target is mixed as the images are.
///
/// # Errors
/// When a label is out of range.
pub fn mixed(
    labels: impl Iterator<Item = (u32, u32, f32)>,
    classes: usize,
    smoothing: f64,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let mut rows = Vec::new();
    for (label, partner, share) in labels {
        let start = rows.len();
        rows.resize(start + classes, smoothing / classes as f64);
        let (sharp, share) = (1.0 - smoothing, f64::from(share));
        for (label, part) in [(label, sharp * share), (partner, sharp * (1.0 - share))] {
            match rows[start..].get_mut(label as usize) {
                Some(value) => *value += part,
                None => candle_core::bail!("label {label} of a data set of {classes} classes"),
            }
        }
    }
    let images = rows.len() / classes;
    if dtype == DType::F32 {
        let narrow = rows.into_iter().map(|value| value as f32);
        return to_device(narrow.collect(), (images, classes), device);
    }
    Tensor::from_vec(rows, (images, classes), device)?.to_dtype(dtype)
}

/// The target of a distilled step: `(rho * soft + (2 - rho) * hard) / 2`. Cross-entropy is linear in its target, so
/// one target gives the sum of the two losses.
///
/// # Errors
/// When the shapes differ.
pub fn distilled(soft: &Tensor, hard: &Tensor, rho: f64) -> Result<Tensor> {
    soft.affine(rho / 2.0, 0.0)? + hard.affine((2.0 - rho) / 2.0, 0.0)?
}

/// softmax over classes of logits `[N, classes]`.
///
/// # Errors
/// When the logits are not a matrix.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?)?.exp()?;
    shifted.broadcast_div(&shifted.sum_keepdim(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_one() {
        let hard = smoothed(&[2, 0], 4, 0.1, DType::F64, &Device::Cpu).unwrap();
        let rows: Vec<Vec<f64>> = hard.to_vec2().unwrap();
        assert!((rows[0][2] - 0.925).abs() < 1e-15 && (rows[0][0] - 0.025).abs() < 1e-15);
        let mixed: Vec<Vec<f64>> = distilled(&hard, &hard, 0.3).unwrap().to_vec2().unwrap();
        assert!((mixed[1].iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn labels_are_mixed_as_images_are() {
        let labels = [(2, 0, 0.75), (1, 1, 0.25)].into_iter();
        let rows = mixed(labels, 4, 0.2, DType::F64, &Device::Cpu).unwrap();
        let exact = [[0.25, 0.05, 0.65, 0.05], [0.05, 0.85, 0.05, 0.05]];
        for (row, exact) in rows.to_vec2::<f64>().unwrap().iter().zip(exact) {
            assert!(row.iter().zip(exact).all(|(v, e)| (v - e).abs() < 1e-12), "{row:?}");
        }
    }

    #[test]
    fn a_label_out_of_range_is_refused() {
        assert!(smoothed(&[4], 4, 0.1, DType::F32, &Device::Cpu).is_err());
    }
}
