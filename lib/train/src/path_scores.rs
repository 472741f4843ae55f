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
/// images). The supernet is as before afterwards. `go_on` is told of every batch's images as a path has been tried on
/// them; once it says no, there are no scores.
///
/// # Errors
/// When a path does not fit or a batch cannot be read.
pub fn score_paths(
    supernet: &SuperNet,
    feed: &Feed,
    paths: &[&Path],
    recalibration: &[Tensor],
    validation: impl Iterator<Item = Result<Batch, DataError>>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Option<Vec<Tally>>, TrainError> {
    let before = supernet
        .weights()
        .buffers
        .values()
        .map(|buffer| buffer.as_detached_tensor().copy())
        .collect::<Result<Vec<_>, _>>()?;
    let scores = score(supernet, feed, paths, recalibration, validation, &mut go_on);
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
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Vec<Tally>>, TrainError> {
    let mut recalibrated = Vec::with_capacity(paths.len());
    for path in paths {
        recalibrated.push(recalibrate(supernet, path, recalibration)?);
        if !go_on(0) {
            return Ok(None);
        }
    }
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
            if !go_on(batch.len() as u64) {
                return Ok(None);
            }
        }
    }
    Ok(Some(tallies))
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
