//! Scores networks on images.

mod args;
mod network;
mod paths;
mod sinks;
mod weights;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use cream_cli::{Failure, OrFail};
use cream_data::{LoaderSettings, ShardSet, Split};
use cream_train::{TrainError, device};

use args::Args;

fn main() -> ExitCode {
    cream_cli::main("evaluate", || {
        let args: Args = cream_cli::parse()?;
        device::in_pool(args.threads, || run(&args)).or_input()?
    })
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = device::open(&args.device).or_input()?;
    // Before the data: a wrong file should not wait for an index of a million images.
    match (&args.subject.weights, &args.subject.supernet) {
        (Some(weights), _) => {
            let network = weights::network(weights, args, &device)?;
            network::score(args, &network, &open(args)?, &device)
        }
        (_, Some(run)) => paths::score(args, run, &device),
        _ => Err(Failure::input("give --weights or --supernet")),
    }
}

/// The shards.
fn open(args: &Args) -> Result<Arc<ShardSet>, Failure> {
    Ok(Arc::new(ShardSet::open(&args.data).or_input()?))
}

/// The data must have the classes of the network, and images in the split.
fn check(data: &ShardSet, classes: usize, split: Split) -> Result<(), Failure> {
    if data.num_classes() != classes {
        let found = data.num_classes();
        return Err(Failure::input(format!(
            "the network has {classes} classes and the data {found}; give the data it was trained on"
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
