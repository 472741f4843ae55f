//! Steps whose loss or gradient is not finite: they end the run, or are passed over with nothing changed while the run
//! tolerates them. Either way the images they were on are listed.

use crate::TrainError;
use crate::report::Report;
use crate::run_folder::RunFolder;
use candle_core::{Result as CandleResult, Tensor, Var};
use cream_data::{Batch, ShardSet};
use std::fmt;

/// What came of a step.
pub(crate) enum Step<T> {
    /// What it says of its batch.
    Taken(T),
    /// Nothing: why, which is tolerated.
    Skipped(TrainError),
}

impl<T: fmt::Display> Step<T> {
    /// Reports the step.
    pub(crate) fn tell(&self, report: &mut dyn Report) {
        match self {
            Self::Taken(outcome) => report.advance(1, outcome.to_string()),
            Self::Skipped(problem) => {
                report.warning(&format!("skipped: {problem}"));
                report.advance(1, "skipped".to_owned());
            }
        }
    }
}

/// What a step changes before it is known to be good: running statistics, and the matching network.
pub(crate) struct Before {
    /// `None` where the run does not tolerate a bad step.
    values: Option<Vec<(Var, Tensor)>>,
}

impl Before {
    /// Keeps what `moved`, all that the step changes before it is known to be good, are now, if a bad step is tolerated.
    pub(crate) fn step<'a>(
        moved: impl IntoIterator<Item = &'a Var>,
        tolerant: bool,
    ) -> CandleResult<Self> {
        let copy = |var: &Var| Ok((var.clone(), var.as_detached_tensor().copy()?));
        let copies = || moved.into_iter().map(copy).collect::<CandleResult<_>>();
        Ok(Self { values: tolerant.then(copies).transpose()? })
    }

    /// Takes the step's outcome. One that is not finite has its images listed, and is undone if it is tolerated.
    ///
    /// # Errors
    /// Every other error, and the one that is not tolerated.
    pub(crate) fn settle<T>(
        self,
        outcome: Result<T, TrainError>,
        (folder, data): (&RunFolder, &ShardSet),
        batch: &Batch,
    ) -> Result<Step<T>, TrainError> {
        match (with_images(outcome, (folder, data), batch), self.values) {
            (Ok(outcome), _) => Ok(Step::Taken(outcome)),
            (Err(problem @ TrainError::NonFinite { .. }), Some(values)) => {
                for (moved, before) in &values {
                    moved.set(before)?;
                }
                Ok(Step::Skipped(problem))
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// The outcome of a step on `batch`; one that is not finite has its images listed.
pub(crate) fn with_images<T>(
    mut outcome: Result<T, TrainError>,
    (folder, data): (&RunFolder, &ShardSet),
    batch: &Batch,
) -> Result<T, TrainError> {
    if let Err(TrainError::NonFinite { step, images, .. }) = &mut outcome {
        let listed =
            image_list(data, batch).and_then(|rows| Ok(folder.write_non_finite(*step, &rows)?));
        // What went wrong in the step must be heard even where its images cannot be listed.
        *images = match listed {
            Ok(path) => format!("; its images are listed in {}", path.display()),
            Err(error) => format!("; its images could not be listed: {error}"),
        };
    }
    outcome
}

/// A CSV of the batch's images, in its order: key, class and shard, by which they are found again.
fn image_list(
    data: &ShardSet,
    batch: &Batch,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["key", "class", "shard"])?;
    for (&sample, &label) in batch.samples.iter().zip(&batch.labels) {
        let class = data.classes().get(label as usize).map_or("", String::as_str);
        let shard = data.shard_of(sample);
        let shard = shard.file_name().unwrap_or_default().to_string_lossy();
        writer.write_record([data.key(sample)?, class, &shard])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
