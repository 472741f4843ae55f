//! Evaluation: a network over a split, image by image in shard order.

use crate::TrainError;
use crate::feed::Feed;
use crate::score::Tally;
use crate::settings::eval_transform;
use candle_core::{Device, Tensor};
use cream_data::{Batch, Loader, LoaderSettings, ShardSet, Split};
use cream_nn::ChildNet;
use cream_nn::layers::Statistics;
use std::sync::Arc;

/// Scores a network on the validation images.
///
/// # Errors
/// When an image cannot be read or does not fit the network.
pub fn evaluate_network(
    network: &ChildNet,
    data: &Arc<ShardSet>,
    loader: LoaderSettings,
    device: &Device,
) -> Result<Tally, TrainError> {
    let mut tally = Tally::default();
    for_each_batch(network, data, Split::Validation, loader, device, |batch, logits| {
        Ok(tally.add(logits, &batch.labels)?)
    })?;
    Ok(tally)
}

/// Runs a network over a split and hands every batch with its logits `[N, classes]` to `visit`, in shard order.
///
/// # Errors
/// When an image cannot be read or does not fit the network, or what `visit` fails with.
pub fn for_each_batch(
    network: &ChildNet,
    data: &Arc<ShardSet>,
    split: Split,
    loader: LoaderSettings,
    device: &Device,
    mut visit: impl FnMut(&Batch, &Tensor) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let architecture = network.architecture();
    let feed = Feed::new(&architecture.input, architecture.num_classes, device);
    let transform = eval_transform(architecture.image_size, architecture.input.evaluation);
    let pass = network.pass(Statistics::Running);
    for batch in Loader::eval(data, split, transform, loader)? {
        let batch = batch?;
        visit(&batch, &network.forward(&feed.images(&batch)?, &pass)?)?;
    }
    Ok(())
}
