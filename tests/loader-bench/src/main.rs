//! loader-bench SHARDS: images per second of the loader, to normalised values.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use cream_cli::{Failure, OrFail, VERSION, write_stdout};
use cream_data::{
    Loader, LoaderSettings, RandAugment, ShardSet, Split, TrainCrop, TrainInterpolation,
    TrainTransform,
};
use serde_json::json;

const HELP: &str = "\
Times the loader: batches of random-resized crops of the training images, flipped and normalised, and
prints images per second. The batches lie inside a stream of epoch after epoch, after some that warm up.

  loader-bench data/bench/shards-2000 --workers 2
  loader-bench data/bench/shards-2000 --workers 2 --augment full --json";

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

#[derive(Debug, Parser)]
#[command(name = "loader-bench", version = VERSION, about = "Times the loader", long_about = HELP)]
struct Args {
    /// Folder of shards
    shards: PathBuf,
    /// What is done to images
    #[arg(long, value_enum, default_value_t = Level::Crop)]
    augment: Level,
    /// Side of the crops in pixels
    #[arg(long, value_name = "N", default_value_t = 224)]
    size: usize,
    /// Images of a batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: usize,
    /// Threads that decode; normalising is the consumer's
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// Batches that are timed
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    batches: u32,
    /// Batches before those
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    warmup: u32,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Crop, bilinear, and flip
    Crop,
    /// As published for retraining: either filter, RandAugment and random erasing besides
    Full,
}

impl Level {
    fn transform(self, image_size: usize) -> TrainTransform {
        let full = self == Self::Full;
        let interpolation =
            if full { TrainInterpolation::Random } else { TrainInterpolation::Bilinear };
        let (scale, ratio) = ((0.08, 1.0), (3.0 / 4.0, 4.0 / 3.0));
        TrainTransform {
            crop: TrainCrop::ResizedCrop { image_size, scale, ratio, interpolation },
            flip: 0.5,
            rand_augment: full.then(RandAugment::default),
            colour_jitter: 0.0,
            erasing: if full { 0.2 } else { 0.0 },
            mixing: None,
        }
    }
}

fn main() -> ExitCode {
    cream_cli::main("loader-bench", || run(&cream_cli::parse()?))
}

fn run(args: &Args) -> Result<(), Failure> {
    let set = Arc::new(ShardSet::open(&args.shards).or_input()?);
    if set.len(Split::Train) < args.batch {
        let what = "has fewer training images than a batch: give a smaller --batch";
        return Err(Failure::input(format!("{}: {what}", args.shards.display())));
    }
    let seconds = time(args, &set)?;
    let rate = (args.batches as usize * args.batch) as f64 / seconds;
    write_stdout(if args.json {
        json!({ "images_per_s": rate, "seconds": seconds }).to_string() + "\n"
    } else {
        format!("{rate:.0} images/s\n")
    })
}

/// Seconds of the timed batches.
fn time(args: &Args, set: &Arc<ShardSet>) -> Result<f64, Failure> {
    let (batch, workers) = (args.batch, args.workers);
    let settings = LoaderSettings { batch, workers, drop_last: true, ..LoaderSettings::default() };
    let transform = args.augment.transform(args.size);
    let mut values = Vec::new();
    let mut start = Instant::now();
    let mut count = 0;
    for epoch in 0.. {
        let loader = Loader::train(set, Split::Train, transform, settings, epoch, 0).or_input()?;
        for batch in loader {
            batch.or_run()?.normalise_into(MEAN, STD, &mut values);
            std::hint::black_box(&values);
            count += 1;
            if count == args.warmup {
                start = Instant::now();
            } else if count == args.warmup + args.batches {
                return Ok(start.elapsed().as_secs_f64());
            }
        }
    }
    Err(Failure::run("the loader ended: this is a bug"))
}
