//! Evaluation: a network over images, one by one in their order.

use crate::TrainError;
use crate::feed::Feed;
use crate::precision::Precision;
use crate::score::Tally;
use crate::settings::eval_transform;
use candle_core::{Device, Tensor};
use cream_data::{
    Batch, EvalTransform, Loader, LoaderSettings, SampleId, ShardSet, Split, Transform, Views,
};
use cream_nn::ChildNet;
use cream_nn::layers::{Pass, Statistics};
use std::sync::Arc;

/// A network that answers with its running statistics.
pub struct Answerer<'a> {
    network: &'a ChildNet,
    feed: Feed,
    pass: Pass,
    views: Views,
}

impl<'a> Answerer<'a> {
    /// For images of which `views` are taken.
    pub fn new(network: &'a ChildNet, views: Views, on: (&Device, Precision)) -> Self {
        let architecture = network.architecture();
        let feed = Feed::new(&architecture.input, architecture.num_classes, on);
        Self { network, feed, pass: network.pass(Statistics::Running), views }
    }

    /// How the network's images are cut.
    pub fn transform(&self) -> EvalTransform {
        let architecture = self.network.architecture();
        eval_transform(architecture.image_size, architecture.input.evaluation)
    }

    /// How many samples make a batch of at most this many images; at least one.
    pub fn samples_per_batch(&self, images: usize) -> usize {
        (images / self.views.count()).max(1)
    }

    /// Logits `[samples, classes]` of a batch that holds every sample once for each view: the mean of the views' logits.
    ///
    /// # Errors
    /// When the images do not fit the network, or the device has no room.
    pub fn logits(&self, batch: &Batch) -> Result<Tensor, TrainError> {
        let logits = self.network.forward(&self.feed.images(batch)?, &self.pass)?;
        if self.views.count() == 1 {
            return Ok(logits);
        }
        let (images, classes) = logits.dims2()?;
        let views = self.views.count();
        Ok(logits.reshape((images / views, views, classes))?.mean(1)?)
    }
}

/// Samples with what a network says of them.
pub struct Scored {
    /// As loaded: every sample once for each view, in a row.
    pub batch: Batch,
    /// `[samples, classes]`.
    pub logits: Tensor,
    views: usize,
}

impl Scored {
    /// The samples, each once.
    pub fn samples(&self) -> impl Iterator<Item = SampleId> {
        self.batch.samples.iter().copied().step_by(self.views)
    }

    /// Their class numbers in the data.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        self.batch.labels.iter().copied().step_by(self.views)
    }
}

/// Scores a network on the validation images; `None` once `go_on`, which is asked after every batch, says no.
///
/// # Errors
/// When an image cannot be read or does not fit the network.
pub fn evaluate_network(
    network: &ChildNet,
    data: &Arc<ShardSet>,
    loader: LoaderSettings,
    on: (&Device, Precision),
    go_on: impl Fn() -> bool,
) -> Result<Option<Tally>, TrainError> {
    let mut tally = Tally::default();
    let answerer = Answerer::new(network, Views::default(), on);
    for scored in scored_batches(&answerer, data, data.samples(Split::Validation), loader)? {
        let scored = scored?;
        tally.add(&scored.logits, &scored.batch.labels)?;
        if !go_on() {
            return Ok(None);
        }
    }
    Ok(Some(tally))
}

/// Batches with their logits in the order of `samples`, made as they are asked for. Of the loader's settings `batch` counts
/// images that the network sees at once.
///
/// # Errors
/// When an image cannot be read or does not fit the network.
pub fn scored_batches(
    answerer: &Answerer<'_>,
    data: &Arc<ShardSet>,
    samples: Vec<SampleId>,
    loader: LoaderSettings,
) -> Result<impl Iterator<Item = Result<Scored, TrainError>>, TrainError> {
    let transform = Transform::Views(answerer.transform(), answerer.views);
    let batch = answerer.samples_per_batch(loader.batch);
    let loader = LoaderSettings { batch, drop_last: false, ..loader };
    let batches = Loader::samples(data, samples, transform, loader, 0)?;
    Ok(batches.map(move |batch| {
        let batch = batch?;
        let logits = answerer.logits(&batch)?;
        Ok(Scored { batch, logits, views: answerer.views.count() })
    }))
}
