//! Scoring paths with the supernet's weights.
//!
//! Running statistics of a supernet mix those of all paths, so each path's are taken anew over a few training
//! batches before it is scored; the supernet's own come back afterwards.

use crate::TrainError;
use crate::feed::Feed;
use crate::score::Tally;
use candle_core::{Tensor, Var};
use cream_arch::Path;
use cream_data::{Batch, DataError};
use cream_nn::SuperNet;
use cream_nn::layers::Statistics;

/// The statistics of one path.
struct Recalibrated<'a> {
    path: &'a Path,
    statistics: Vec<(Var, Tensor)>,
}

/// Scores every path on the batches of `validation`, after taking its statistics over `recalibration` (normalised
/// images). The supernet is as before afterwards.
///
/// # Errors
/// When a path does not fit or a batch cannot be read.
pub fn score_paths(
    supernet: &SuperNet,
    feed: &Feed,
    paths: &[&Path],
    recalibration: &[Tensor],
    validation: impl Iterator<Item = Result<Batch, DataError>>,
    mut advance: impl FnMut(u64),
) -> Result<Vec<Tally>, TrainError> {
    let before = supernet
        .weights()
        .buffers
        .values()
        .map(|buffer| buffer.as_detached_tensor().copy())
        .collect::<Result<Vec<_>, _>>()?;
    let scores = score(supernet, feed, paths, recalibration, validation, &mut advance);
    for (buffer, value) in supernet.weights().buffers.values().zip(&before) {
        buffer.set(value)?;
    }
    scores
}

fn score(
    supernet: &SuperNet,
    feed: &Feed,
    paths: &[&Path],
    recalibration: &[Tensor],
    validation: impl Iterator<Item = Result<Batch, DataError>>,
    advance: &mut dyn FnMut(u64),
) -> Result<Vec<Tally>, TrainError> {
    let recalibrated = paths
        .iter()
        .map(|path| recalibrate(supernet, path, recalibration))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tallies = vec![Tally::default(); paths.len()];
    let pass = supernet.pass(Statistics::Running);
    for batch in validation {
        let batch = batch?;
        let images = feed.images(&batch)?;
        for (path, tally) in recalibrated.iter().zip(&mut tallies) {
            for (buffer, value) in &path.statistics {
                buffer.set(value)?;
            }
            tally.add(&supernet.forward(&images, path.path, &pass)?, &batch.labels)?;
            advance(batch.len() as u64);
        }
    }
    Ok(tallies)
}

fn recalibrate<'a>(
    supernet: &SuperNet,
    path: &'a Path,
    batches: &[Tensor],
) -> Result<Recalibrated<'a>, TrainError> {
    for (seen, images) in batches.iter().enumerate() {
        supernet.forward(images, path, &supernet.pass(Statistics::Average { seen }))?;
    }
    let statistics = supernet
        .path_buffers(path)?
        .into_iter()
        .map(|(_, buffer)| Ok((buffer.clone(), buffer.as_detached_tensor().copy()?)))
        .collect::<Result<_, candle_core::Error>>()?;
    Ok(Recalibrated { path, statistics })
}
