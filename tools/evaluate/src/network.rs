//! One network on one split.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use cream_arch::{Architecture, Convention, Cost, Path};
use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::{ShardSet, Split};
use cream_nn::ChildNet;
use cream_train::TrainError;
use cream_train::evaluate::{Answerer, Scored, scored_batches};
use cream_train::score::Tally;
use serde_json::Value;

use crate::args::{Args, Format};
use crate::classes::Outputs;
use crate::question::Question;
use crate::sinks::Sinks;
use crate::{failure, loader_settings, verify};

/// Scores `network` and prints the result; writes the files that were asked for.
pub fn score(
    args: &Args,
    network: &ChildNet,
    outputs: Outputs,
    data: Arc<ShardSet>,
    device: &Device,
) -> Result<(), Failure> {
    let question = Question::new(args, data, outputs)?;
    let sinks = Sinks::begin(args, &question, network.architecture().image_size)?;
    verify(args, &question.data, &[question.split])?;
    let progress = Progress::new(question.samples.len() as u64, "images", args.report.style());
    let started = Instant::now();
    let answerer = Answerer::new(network, args.views(), (device, args.precision));
    let tally = pass(args, &question, &answerer, sinks, &progress)?;
    let rate = tally.images as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let rate = args.throughput.then_some(rate);
    if let (Some(rate), Format::Text) = (rate, args.format) {
        progress.message(format!("{rate:.1} images per second, loading included"));
    }
    write_stdout(match args.format {
        Format::Text => text(question.split, &tally),
        Format::Json => json(network.architecture(), question.split, &tally, rate),
    })
}

/// All images once.
fn pass(
    args: &Args,
    question: &Question,
    answerer: &Answerer<'_>,
    mut sinks: Sinks,
    progress: &Progress,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut add = |scored: Scored| -> Result<(), TrainError> {
        let labels: Vec<u32> = scored.labels().map(|class| question.label(class)).collect();
        let logits = question.answers.select(&scored.logits)?;
        tally.add(&logits, &labels)?;
        sinks.add(question, &scored, &logits, &labels)?;
        progress.advance(labels.len() as u64);
        Ok(())
    };
    scored_batches(answerer, &question.data, question.samples.clone(), loader_settings(args))
        .and_then(|mut batches| batches.try_for_each(|scored| add(scored?)))
        .map_err(|error| failure(error.of_batch(args.batch as usize)))?;
    progress.finish();
    sinks.finish(question).or_run()?;
    Ok(tally)
}

/// The result for people.
fn text(split: Split, tally: &Tally) -> String {
    let (top1, top5) = (tally.top1() * 100.0, tally.top5() * 100.0);
    let (images, loss) = (tally.images, tally.loss());
    format!("{split}: {images} images, top-1 {top1:.2} %, top-5 {top5:.2} %, loss {loss:.4}\n")
}

/// The result for programs, with how many images a second it took.
fn json(network: &Architecture, split: Split, tally: &Tally, rate: Option<f64>) -> String {
    let path = network.provenance.as_ref().and_then(|known| known.path.as_ref());
    let mut result = scores(network, path, split, tally);
    if let Some(rate) = rate {
        result["images_per_second"] = rate.into();
    }
    format!("{result}\n")
}

/// What programs are told of a network: its scores, its cost, and its path where it is one of a space.
pub fn scores(network: &Architecture, path: Option<&Path>, split: Split, tally: &Tally) -> Value {
    let cost = Cost::of(network);
    let mut result = serde_json::json!({
        "flops": cost.flops(Convention::Published),
        "params": cost.params(),
        "split": split.name(),
        "top1": tally.top1(),
        "top5": tally.top5(),
        "loss": tally.loss(),
        "images": tally.images,
    });
    if let Some(path) = path {
        result["path"] = path.0.clone().into();
    }
    result
}
