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

/// Scores a network on the validation images; `None` once `go_on`, which is asked after every batch, says no.
///
/// # Errors
/// When an image cannot be read or does not fit the network.
pub fn evaluate_network(
    network: &ChildNet,
    data: &Arc<ShardSet>,
    loader: LoaderSettings,
    device: &Device,
    go_on: impl Fn() -> bool,
) -> Result<Option<Tally>, TrainError> {
    let mut tally = Tally::default();
    for scored in scored_batches(network, data, Split::Validation, loader, device)? {
        let (batch, logits) = scored?;
        tally.add(&logits, &batch.labels)?;
        if !go_on() {
            return Ok(None);
        }
    }
    Ok(Some(tally))
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
    for scored in scored_batches(network, data, split, loader, device)? {
        let (batch, logits) = scored?;
        visit(&batch, &logits)?;
    }
    Ok(())
}

/// Batches with their logits, made as they are asked for.
fn scored_batches(
    network: &ChildNet,
    data: &Arc<ShardSet>,
    split: Split,
    loader: LoaderSettings,
    device: &Device,
) -> Result<impl Iterator<Item = Result<(Batch, Tensor), TrainError>>, TrainError> {
    let architecture = network.architecture();
    let feed = Feed::new(&architecture.input, architecture.num_classes, device);
    let transform = eval_transform(architecture.image_size, architecture.input.evaluation);
    let pass = network.pass(Statistics::Running);
    let batches = Loader::eval(data, split, transform, loader)?;
    Ok(batches.map(move |batch| {
        let batch = batch?;
        let logits = network.forward(&feed.images(&batch)?, &pass)?;
        Ok((batch, logits))
    }))
}
