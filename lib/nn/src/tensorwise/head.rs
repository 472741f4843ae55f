//! Pool, features and classifier: from the last block's activations to logits.

use super::parameters::Forward;
use super::{convolution, dense};
use crate::layers::{Features, Gradients, Head, Pass};
use crate::ops::pool::{self, global_average};
use candle_core::{DType, Result, Shape, Tensor};

/// What the backward pass needs.
#[derive(Debug)]
pub(super) struct Saved {
    /// Of what is pooled.
    shape: Shape,
    dtype: DType,
    features: SavedFeatures,
    dropout: Option<Tensor>,
    classifier: dense::Saved,
}

#[derive(Debug)]
enum SavedFeatures {
    AfterPool(dense::Saved),
    BeforePool(convolution::Saved),
}

/// Activations to logits `[N, classes]` in the parameters' dtype, and what the backward pass needs.
pub(super) fn forward(head: &Head, x: Tensor, run: &Forward<'_>) -> Result<(Tensor, Saved)> {
    let dtype = x.dtype();
    let (mut features, shape, saved) = match &head.features {
        Features::AfterPool(conv) => {
            let (y, saved) = dense::forward(conv, global_average(&x)?, run)?;
            (y, x.shape().clone(), SavedFeatures::AfterPool(saved))
        }
        Features::BeforePool(conv, bn) => {
            let (wide, saved) = convolution::forward((conv, bn), &x, run)?;
            (global_average(&wide)?, wide.shape().clone(), SavedFeatures::BeforePool(saved))
        }
    };
    let dropout = run.pass.dropout.as_ref().map(|factors| factors.to_dtype(dtype)).transpose()?;
    if let Some(factors) = &dropout {
        features = (features * factors)?;
    }
    let (logits, classifier) = dense::forward(&head.classifier, features, run)?;
    let logits = logits.to_dtype(head.classifier.weight.dtype())?;
    Ok((logits, Saved { shape, dtype, features: saved, dropout, classifier }))
}

/// The gradient of the activations from that of the logits.
pub(super) fn backward(
    head: &Head,
    saved: Saved,
    dlogits: &Tensor,
    pass: &Pass,
    sink: &Gradients,
) -> Result<Tensor> {
    let Saved { shape, dtype, features, dropout, classifier } = saved;
    let mut g = dense::backward(&head.classifier, &classifier, &dlogits.to_dtype(dtype)?, sink)?;
    if let Some(factors) = &dropout {
        g = (g * factors)?;
    }
    match (&head.features, features) {
        (Features::AfterPool(conv), SavedFeatures::AfterPool(saved)) => {
            pool::backward(&dense::backward(conv, &saved, &g, sink)?, &shape)
        }
        (Features::BeforePool(conv, bn), SavedFeatures::BeforePool(saved)) => {
            let g = pool::backward(&g, &shape)?;
            convolution::backward((conv, bn), saved, g, pass, sink)
        }
        _ => candle_core::bail!("a head's activations are another one's"),
    }
}
