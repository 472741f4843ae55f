//! The definition, channel by channel, in float64.

use crate::ops::activation::value;
use cream_arch::Activation;

/// Output, mean and biased variance.
pub(super) fn forward(
    x: &[f64],
    weight: &[f64],
    bias: &[f64],
    epsilon: f64,
    activation: Activation,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let channels = weight.len();
    let rows = (x.len() / channels) as f64;
    let (mut y, mut means, mut variances) = (vec![0.0; x.len()], vec![], vec![]);
    for c in 0..channels {
        let column = || x.iter().skip(c).step_by(channels);
        let mean = column().sum::<f64>() / rows;
        let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows;
        for (i, v) in column().enumerate() {
            let z = (v - mean) / (variance + epsilon).sqrt() * weight[c] + bias[c];
            y[i * channels + c] = value(activation, z);
        }
        means.push(mean);
        variances.push(variance);
    }
    (y, means, variances)
}
