//! Pool, features and classifier: from the last block's activations to logits.

use super::dense::{activated, affine, affine_backward, through_activation};
use super::{Activation, convolution, inference};
use crate::layers::{Features, Gradients, Head, Pass};
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::element::with_slice;
use crate::ops::pool;
use candle_core::{Result, Tensor};

/// What the backward pass needs.
pub(super) struct Saved<T: Pooled> {
    /// Images, pixels and channels of what is pooled.
    pooled_shape: [usize; 3],
    features: SavedFeatures<T>,
    /// What the classifier reads, `[N, features]`.
    read: Vec<T>,
    dropout: Option<Vec<T>>,
}

enum SavedFeatures<T: Pooled> {
    /// Means `[N, C]`, and features before their activation.
    AfterPool {
        means: Vec<T>,
        z: Vec<T>,
    },
    BeforePool(Box<convolution::Saved<T>>),
}

/// Activations to logits `[N, classes]`, and what the backward pass needs.
pub(super) fn forward<T: Pooled>(
    head: &Head,
    x: Activation<T>,
    pass: &Pass,
) -> Result<(Vec<T>, Saved<T>)> {
    let (mut read, pooled_shape, features) = match &head.features {
        Features::AfterPool(conv) => {
            let (means, shape) = pooled(&x);
            let z = affine(conv, &means)?;
            (activated(conv, &z), shape, SavedFeatures::AfterPool { means, z })
        }
        Features::BeforePool(conv, bn) => {
            let (wide, saved) = convolution::forward(conv, bn, x, pass)?;
            let (means, shape) = pooled(&wide);
            (means, shape, SavedFeatures::BeforePool(Box::new(saved)))
        }
    };
    let dropout = factors::<T>(pass, read.len())?;
    scale(&mut read, dropout.as_deref());
    let logits = classify(head, &read)?;
    Ok((logits, Saved { pooled_shape, features, read, dropout }))
}

/// The same with the running statistics.
pub(super) fn infer<T: Pooled>(head: &Head, x: &Activation<T>, pass: &Pass) -> Result<Vec<T>> {
    let mut read = match &head.features {
        Features::AfterPool(conv) => activated(conv, &affine(conv, &pooled(x).0)?),
        Features::BeforePool(conv, bn) => pooled(&inference::dense(conv, bn, x, pass)?).0,
    };
    let dropout = factors::<T>(pass, read.len())?;
    scale(&mut read, dropout.as_deref());
    classify(head, &read)
}

fn classify<T: Pooled>(head: &Head, read: &[T]) -> Result<Vec<T>> {
    Ok(activated(&head.classifier, &affine(&head.classifier, read)?))
}

/// The gradient of the activations from that of the logits.
pub(super) fn backward<T: Pooled>(
    head: &Head,
    saved: Saved<T>,
    dlogits: &[T],
    sink: &Gradients,
) -> Result<Buffer<T>> {
    let Saved { pooled_shape, features, read, dropout } = saved;
    let mut g = affine_backward(&head.classifier, &read, dlogits, sink)?;
    scale(&mut g, dropout.as_deref());
    match (&head.features, features) {
        (Features::AfterPool(conv), SavedFeatures::AfterPool { means, z }) => {
            through_activation(conv, &z, &mut g);
            Ok(spread(&affine_backward(conv, &means, &g, sink)?, pooled_shape))
        }
        (Features::BeforePool(conv, bn), SavedFeatures::BeforePool(saved)) => {
            let g = spread(&g, pooled_shape);
            let dx = convolution::backward(conv, bn, *saved, g, true, sink)?;
            Ok(dx.unwrap_or_else(|| Buffer::new(0)))
        }
        _ => candle_core::bail!("a head's activations are another one's"),
    }
}

/// The pass's dropout factors, if it has any.
fn factors<T: Pooled>(pass: &Pass, len: usize) -> Result<Option<Vec<T>>> {
    let read = |factors: &Tensor| -> Result<Vec<T>> {
        if factors.elem_count() != len {
            candle_core::bail!("{} dropout factors for {len} features", factors.elem_count());
        }
        with_slice(&factors.contiguous()?, "dropout", |values: &[T]| Ok(values.to_vec()))
    };
    pass.dropout.as_ref().map(read).transpose()
}

fn scale<T: Pooled>(values: &mut [T], factors: Option<&[T]>) {
    for (v, &f) in values.iter_mut().zip(factors.unwrap_or_default()) {
        *v *= f;
    }
}

/// Means of the images, `[N, C]`; and images, pixels, channels.
fn pooled<T: Pooled>(x: &Activation<T>) -> (Vec<T>, [usize; 3]) {
    let [images, h, w, channels] = x.shape;
    (pool::forward(&x.values, images, h * w, channels), [images, h * w, channels])
}

/// The gradient of [`pooled`].
fn spread<T: Pooled>(dmeans: &[T], [images, pixels, channels]: [usize; 3]) -> Buffer<T> {
    let mut dx = Buffer::new(images * pixels * channels);
    pool::spread(dmeans, pixels, channels, &mut dx);
    dx
}
