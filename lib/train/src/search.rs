//! The search: a supernet trained one path at a time, in which the paths that do well teach the others
//! ("Cream of the Crop", NeurIPS 2020, sections 3.2 and 3.3, algorithm 1).

mod state;
mod step;
#[cfg(test)]
mod tests;

use crate::TrainError;
use crate::checkpoint::is_due;
use crate::data_wait::DataWait;
use crate::feed::Feed;
use crate::incoming::Incoming;
use crate::matching::Matching;
use crate::memory;
use crate::optimizer::Optimizer;
use crate::path_scores::score_paths;
use crate::prioritized::PrioritizedPaths;
use crate::report::Report;
use crate::run_folder::{Metrics, Resume, RunFolder};
use crate::schedule::Schedule;
use crate::settings::{Prior, PriorName, SearchSettings, eval_transform};
use crate::sitting::{Outcome, Reason, Sitting, Stopped};
use candle_core::{Device, Tensor};
use cream_arch::{BoardFile, Cost, FlopsInterval, Path, PathSampler, Shape, Space};
use cream_data::keyed::{Key, Purpose, shuffle};
use cream_data::{Loader, LoaderSettings, SampleId, ShardSet, Split, Transform};
use cream_nn::{SuperNet, TensorFile};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// Everything that a search is a function of, but for the images.
#[derive(Clone, Debug)]
pub struct SearchPlan {
    /// The settings.
    pub settings: SearchSettings,
    /// The space, with the input that its networks are evaluated with.
    pub space: Space,
    /// Input size and layers per stage.
    pub shape: Shape,
    /// Limits on paths.
    pub interval: FlopsInterval,
    /// Where the weights lie.
    pub device: Device,
}

impl SearchPlan {
    /// Whether the plan can be carried out on these images.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for what cannot work.
    pub fn check(&self, data: &ShardSet) -> Result<(), TrainError> {
        self.settings.check()?;
        self.settings.precision.check(&self.device)?;
        let [train, rank] = [Split::SearchTrain, Split::SearchValidation].map(|s| data.len(s));
        let batch = self.settings.batch;
        if train < batch || rank == 0 {
            return Err(TrainError::Setting(format!(
                "the data has {train} images to search on and {rank} to rank paths with; a batch of {batch} needs \
                 more, give a smaller --batch or make shards with another --search-val-share"
            )));
        }
        Ok(())
    }
}

/// Where a search stands: the next batch to train on, and sums over the epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Position {
    epoch: usize,
    batch: usize,
    step: u64,
    loss: f64,
    correct: f64,
    images: u64,
    /// Steps of the epoch that were skipped.
    skipped: u64,
}

/// A search under way.
struct Search<'a> {
    plan: &'a SearchPlan,
    data: &'a Arc<ShardSet>,
    feed: Feed,
    folder: &'a RunFolder,
    supernet: SuperNet,
    optimizer: Optimizer,
    matching: Matching,
    prioritized: PrioritizedPaths,
    sampler: PathSampler,
    /// Weight of each choice.
    prior: Vec<f64>,
    schedule: Schedule,
    metrics: Metrics,
    position: Position,
    /// Steps of the run that were skipped, their numbers not being finite.
    skipped: u64,
    recalibration: Vec<Tensor>,
}

/// Trains a supernet on the search part of the training images and leaves `supernet.safetensors`, `board.json` and
/// `metrics.csv` in the folder. A checkpoint is written at the end of every epoch and every
/// `checkpoint-steps` steps, and when the sitting ends before the search.
///
/// # Errors
/// Settings that cannot work, unreadable data, a loss or gradient that is not finite, files that cannot be written, or
/// a device without room for a step.
pub fn search(
    plan: &SearchPlan,
    data: &Arc<ShardSet>,
    folder: &RunFolder,
    sitting: &Sitting,
    report: &mut dyn Report,
) -> Result<Outcome<BoardFile>, TrainError> {
    let outcome = run(plan, data, folder, sitting, report);
    outcome.map_err(|error| error.of_batch(plan.settings.batch))
}

fn run(
    plan: &SearchPlan,
    data: &Arc<ShardSet>,
    folder: &RunFolder,
    sitting: &Sitting,
    report: &mut dyn Report,
) -> Result<Outcome<BoardFile>, TrainError> {
    let mut search = Search::start(plan, data, folder, &sitting.resume, report)?;
    let steps = search.schedule.steps_per_epoch;
    let first = search.position.step;
    if let Some(text) = folder.warning() {
        report.warning(&text);
    }
    let mut wait = DataWait::default();
    report.begin((steps * plan.settings.epochs) as u64, first, "steps");
    while search.position.epoch < plan.settings.epochs {
        search.renew_prior()?;
        let (began, mut batches) = (Instant::now(), search.training_batches()?);
        while let Some(sent) = batches.next() {
            search.step(&sent?, || batches.look_ahead())?.tell(report);
            if let Some(reason) = sitting.end(search.position.step - first) {
                return search.stop(reason, sitting);
            }
            let Position { step, batch, .. } = search.position;
            if is_due(plan.settings.checkpoint_steps, step) && batch < steps {
                search.save_checkpoint(None)?;
            }
        }
        wait.add(began, batches.loader());
        drop(batches);
        // Scoring the board can take minutes; cut off, it begins again at the next sitting.
        let taken = search.position.step - first;
        if let Some(reason) = search.rank_board(|| sitting.end_scoring(taken))? {
            return search.stop(reason, sitting);
        }
        let score = search.best_score();
        report.message(&search.end_epoch()?);
        search.save_checkpoint(score)?;
    }
    report.end();
    let board = search.finish()?;
    let lines = [wait.summary(), memory::summary()];
    lines.iter().flatten().for_each(|line| report.message(line));
    Ok(Outcome::Done(board))
}

impl<'a> Search<'a> {
    fn start(
        plan: &'a SearchPlan,
        data: &'a Arc<ShardSet>,
        folder: &'a RunFolder,
        resume: &Resume,
        report: &mut dyn Report,
    ) -> Result<Self, TrainError> {
        let SearchPlan { settings, space, shape, interval, device } = plan;
        plan.check(data)?;
        let classes = data.num_classes();
        let steps = data.len(Split::SearchTrain) / settings.batch;
        let prior = match &settings.prior {
            Prior::Weights(weights) => weights.clone(),
            Prior::Named(_) => vec![1.0; space.choices.len()],
        };
        let (supernet, matching) = state::networks(plan, classes)?;
        let mut search = Self {
            plan,
            data,
            feed: Feed::new(&space.input, classes, (device, settings.precision)),
            folder,
            supernet,
            optimizer: Optimizer::new(settings.rule()),
            matching,
            prioritized: PrioritizedPaths::new(settings.board_size),
            sampler: PathSampler::new(space, shape, classes, *interval, &prior)?,
            prior,
            schedule: Schedule::linear(settings.base_rate(), steps, settings.epochs),
            metrics: Metrics::default(),
            position: Position::default(),
            skipped: 0,
            recalibration: Vec::new(),
        };
        search.resume(resume, report)?;
        search.recalibration = search.recalibration_images()?;
        Ok(search)
    }

    fn loader_settings(&self) -> LoaderSettings {
        let SearchSettings { batch, workers, seed, .. } = self.plan.settings;
        LoaderSettings { batch, workers, seed, drop_last: true, ..LoaderSettings::default() }
    }

    /// What is left of the epoch.
    fn training_batches(&self) -> Result<Incoming, TrainError> {
        let Position { epoch, batch, .. } = self.position;
        let (size, evaluation) = (self.plan.shape.image_size, self.plan.space.input.evaluation);
        let settings = self.loader_settings();
        let transform = self.plan.settings.augmentation.train_transform(size, evaluation);
        let transform = match transform {
            Some(transform) => Transform::Train(transform),
            None => Transform::Eval(eval_transform(size, evaluation)),
        };
        let (split, epoch) = (Split::SearchTrain, epoch as u64);
        let batches = Loader::train(self.data, split, transform, settings, epoch, batch)?;
        Incoming::new(batches, &self.plan.device)
    }

    /// The same few training images in every epoch, without augmentation.
    fn recalibration_images(&self) -> Result<Vec<Tensor>, TrainError> {
        let SearchSettings { batch, recalibration_batches, seed, .. } = self.plan.settings;
        let mut samples: Vec<SampleId> = self.data.samples(Split::SearchTrain);
        shuffle(&mut Key::new(seed, Purpose::Recalibration).rng(&[0, 0]), &mut samples);
        samples.truncate(batch * recalibration_batches);
        let transform = self.evaluation_transform();
        let loader = Loader::samples(self.data, samples, transform, self.loader_settings(), 0)?;
        loader.map(|batch| self.feed.images(&batch?)).collect()
    }

    fn evaluation_transform(&self) -> Transform {
        let size = self.plan.shape.image_size;
        Transform::Eval(eval_transform(size, self.plan.space.input.evaluation))
    }

    /// With the `board` prior, operators are drawn as often as the board held them at the epoch's start.
    fn renew_prior(&mut self) -> Result<(), TrainError> {
        if self.plan.settings.prior == Prior::Named(PriorName::Board) {
            let SearchPlan { space, shape, interval, .. } = self.plan;
            if self.position.batch == 0 {
                self.prior = self.prioritized.board().prior(space.choices.len());
            }
            let classes = self.data.num_classes();
            self.sampler = PathSampler::new(space, shape, classes, *interval, &self.prior)?;
        }
        Ok(())
    }

    /// FLOPs as published and parameters of a path.
    fn cost(&self, path: &Path) -> Result<(u64, u64), TrainError> {
        let SearchPlan { space, shape, .. } = self.plan;
        let network = space.architecture(path, shape.image_size, self.data.num_classes())?;
        let cost = Cost::of(&network);
        Ok((cost.flops(cream_arch::Convention::Published), cost.params()))
    }

    /// Scores every entry of the board on the search-validation images; a reason to stop leaves it as it was.
    fn rank_board(
        &mut self,
        stop: impl Fn() -> Option<Reason>,
    ) -> Result<Option<Reason>, TrainError> {
        let entries = &self.prioritized.board().entries;
        if entries.is_empty() {
            return Ok(None);
        }
        let paths: Vec<&Path> = entries.iter().map(|entry| &entry.path).collect();
        let samples = self.data.samples(Split::SearchValidation);
        let settings = LoaderSettings { drop_last: false, ..self.loader_settings() };
        let images = Loader::samples(self.data, samples, self.evaluation_transform(), settings, 0)?;
        let mut reason = None;
        let go_on = |_| {
            reason = stop();
            reason.is_none()
        };
        let tallies =
            score_paths(&self.supernet, &self.feed, &paths, &self.recalibration, images, go_on)?;
        let Some(tallies) = tallies else { return Ok(reason) };
        let scores: Vec<f64> = tallies.iter().map(|tally| tally.top1()).collect();
        self.prioritized.set_validation_scores(&scores);
        Ok(None)
    }

    /// The share of search-validation images that the best entry has right, where one was scored.
    fn best_score(&self) -> Option<f64> {
        self.prioritized.board().ranked().first().and_then(|entry| entry.validation_score)
    }

    /// Ends the sitting with a checkpoint.
    fn stop(&self, reason: Reason, sitting: &Sitting) -> Result<Outcome<BoardFile>, TrainError> {
        let checkpoint = self.save_checkpoint(None)?;
        let (step, resumed) = (self.position.step, sitting.resume.clone());
        Ok(Outcome::Stopped(Stopped { reason, step, checkpoint, resumed }))
    }

    /// Writes the epoch's row of metrics and moves on to the next; returns a line for people.
    fn end_epoch(&mut self) -> Result<String, TrainError> {
        let Position { epoch, step, loss, correct, images, skipped, .. } = self.position;
        let steps = (self.schedule.steps_per_epoch as u64).saturating_sub(skipped);
        let (loss, top1) = (loss / steps as f64, correct / images as f64);
        let ranked = self.prioritized.board().ranked();
        let best = ranked.first();
        let score = best.and_then(|entry| entry.validation_score);
        let text = |v: Option<String>| v.unwrap_or_default();
        self.metrics.append(&[
            ("epoch", (epoch + 1).to_string()),
            ("step", step.to_string()),
            ("learning_rate", self.schedule.rate(step.saturating_sub(1)).to_string()),
            ("train_loss", loss.to_string()),
            ("train_top1", top1.to_string()),
            ("board_entries", ranked.len().to_string()),
            ("best_search_val_top1", text(score.map(|s| s.to_string()))),
            ("best_flops", text(best.map(|b| b.flops.to_string()))),
            ("best_path", text(best.map(|b| b.path.to_string()))),
        ])?;
        let board = best.map_or("board empty".to_owned(), |b| {
            let (flops, score) = (b.flops as f64 / 1e6, score.unwrap_or(0.0) * 100.0);
            format!("best path {} at {flops:.2} MFLOPs: {score:.2} % of search-val", b.path)
        });
        let epochs = self.plan.settings.epochs;
        self.position = Position { epoch: epoch + 1, step, ..Position::default() };
        Ok(format!(
            "epoch {}/{epochs}: loss {loss:.4}, top-1 {:.2} %, {board}",
            epoch + 1,
            top1 * 100.0
        ))
    }

    /// Writes the results.
    fn finish(&self) -> Result<BoardFile, TrainError> {
        let SearchPlan { settings, space, shape, interval, .. } = self.plan;
        let classes = self.data.num_classes();
        let mut tensors = self.supernet.weights().tensors();
        tensors.extend(self.matching.weights().tensors());
        let description = serde_json::json!({
            "format": "cream-supernet",
            "version": 1,
            "space": space,
            "depths": shape.depths,
            "image_size": shape.image_size,
            "num_classes": classes,
            "seed": settings.seed,
        });
        let supernet = TensorFile { description, tensors }.to_bytes()?;
        let board = self.prioritized.board();
        let (space, shape) = (space.clone(), shape.clone());
        let file = BoardFile::new(board, space, shape, classes, *interval, settings.seed);
        // The board last, so that whoever waits for it finds the weights too.
        let board = file.to_json().into_bytes();
        self.folder.write_results(&[("supernet.safetensors", supernet), ("board.json", board)])?;
        Ok(file)
    }
}
