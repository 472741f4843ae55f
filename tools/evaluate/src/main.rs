//! Scores networks on images.

mod args;
mod classes;
mod images;
mod network;
mod paths;
mod predictions;
mod question;
mod ranking;
mod sink;
mod sinks;
mod tables;
mod weights;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail};
use cream_data::{LoaderSettings, ShardSet, Split};
use cream_train::{TrainError, device};

use args::{Args, Command};
use classes::Outputs;

fn main() -> ExitCode {
    cream_cli::main("evaluate", || {
        let args: Args = cream_cli::parse()?;
        if let Some(Command::RankCorrelation(args)) = &args.command {
            return ranking::compare(args);
        }
        device::in_pool(args.threads, || run(&args)).or_input()?
    })
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = device::open(&args.device, args.precision).or_input()?;
    if let Some(text) = device::describe(&args.device, &device) {
        Progress::new(0, "", args.report.style()).message(text);
    }
    // Before the data: a wrong file should not wait for an index of a million images.
    match (&args.subject.weights, &args.subject.supernet) {
        (Some(weights), _) => {
            let weights::Loaded { network, classes, averaged } =
                weights::load(weights, args, &device)?;
            let count = network.architecture().num_classes;
            let outputs = Outputs::of(args.classes_file.as_deref(), classes, count)?;
            if let Some(file) = &args.save_weights {
                weights::save(file, &network, outputs.ids(), averaged)?;
                if args.image.is_empty() && args.data.is_none() {
                    return Ok(());
                }
            }
            if !args.image.is_empty() {
                return images::classify(args, &network, &outputs, &device);
            }
            network::score(args, &network, outputs, open(args)?, &device)
        }
        (_, Some(run)) => paths::score(args, run, &device),
        _ => Err(Failure::input("give --weights or --supernet")),
    }
}

/// The shards.
fn open(args: &Args) -> Result<Arc<ShardSet>, Failure> {
    let data = args.data.as_deref();
    let data = data.ok_or_else(|| Failure::input("--data is missing: give a folder of shards"))?;
    Ok(Arc::new(ShardSet::open(data).or_input()?))
}

/// The data must have the classes of the supernet, and images in the split.
fn check(data: &ShardSet, classes: usize, split: Split) -> Result<(), Failure> {
    if data.num_classes() != classes {
        let found = data.num_classes();
        return Err(Failure::input(format!(
            "the supernet has {classes} classes and the data {found}; give the data it was trained on"
        )));
    }
    if data.len(split) == 0 {
        return Err(Failure::input(format!(
            "the data has no images in split {split}; give another --split"
        )));
    }
    Ok(())
}

/// The shards that hold these splits must be those that were prepared.
fn verify(args: &Args, data: &ShardSet, splits: &[Split]) -> Result<(), Failure> {
    if args.no_verify {
        return Ok(());
    }
    let files = splits.iter().flat_map(|&split| data.samples(split));
    let files: BTreeSet<PathBuf> = files.map(|sample| data.shard_of(sample)).collect();
    for (place, (name, _)) in data.shards().enumerate() {
        if files.contains(&data.dir().join(name)) {
            data.verify_shard(place).or_input()?;
        }
    }
    Ok(())
}

fn loader_settings(args: &Args) -> LoaderSettings {
    let (batch, workers) = (args.batch as usize, args.workers);
    LoaderSettings { batch, workers, ..LoaderSettings::default() }
}

fn failure(error: TrainError) -> Failure {
    if error.is_input() { Failure::Input(error.into()) } else { Failure::Run(error.into()) }
}
