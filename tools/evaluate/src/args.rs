//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, ValueEnum};
use cream_cli::ReportArgs;
use cream_data::Split;

const ABOUT: &str = "Score a network, or paths of a supernet, on images";

const LONG_ABOUT: &str = "\
Score a network, or paths of a supernet, on images.

  evaluate --weights runs/x/retrain/model.safetensors --data data/fashion-mnist
  evaluate --weights foreign.safetensors --arch arch.json --data data/imagenet --format json
  path-export --sample 100 --flops-max 3 ... |
      evaluate --supernet runs/x --arch - --data data/fashion-mnist

With --weights: one network on one split; the result goes to standard output as text or as one
JSON object (top1 and top5 as shares from 0 to 1, loss, images). Our weights files carry their
architecture; foreign ones, safetensors under PyTorch's names, need --arch. --weights also
takes the folder of a finished retraining, or a checkpoint.

With --supernet: architectures as JSON lines, each a path of the supernet, scored with its
weights after recalibrating batch-norm statistics for each; one JSON line per path in the same
order.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "evaluate", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
pub struct Args {
    #[command(flatten)]
    pub subject: Subject,

    /// Architecture file or - for standard input; for --supernet JSON lines of paths
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,

    /// Folder of shards
    #[arg(long, value_name = "SHARDS")]
    pub data: PathBuf,

    /// val, train, search-train or search-val [default: val; with --supernet search-val]
    #[arg(long)]
    pub split: Option<Split>,

    /// Take the averaged weights, and fail if there are none
    #[arg(long, conflicts_with = "raw")]
    pub ema: bool,

    /// Take the weights that were not averaged [default: averaged where there are such]
    #[arg(long)]
    pub raw: bool,

    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write a CSV: key, label, and the five best classes with their probabilities
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub predictions: Option<PathBuf>,

    /// Write safetensors: logits [N, classes] and labels [N], in shard order
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub logits: Option<PathBuf>,

    /// Write safetensors: the crops that were fed, uint8 [N, size, size, 3]
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub save_inputs: Option<PathBuf>,

    /// With --supernet: training batches over which each path's statistics are taken
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub recalibration_batches: u32,

    /// Do not compare the shards with their checksums first
    #[arg(long)]
    pub no_verify: bool,

    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Threads that load images
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,

    /// auto, cpu or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,

    #[command(flatten)]
    pub report: ReportArgs,
}

/// What is scored.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// Weights file, checkpoint, or folder of a retraining
    #[arg(long, value_name = "WEIGHTS")]
    pub weights: Option<PathBuf>,

    /// Folder of a search, or its supernet.safetensors
    #[arg(long, value_name = "RUN")]
    pub supernet: Option<PathBuf>,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Which of two sets of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The average, or else the raw ones.
    Either,
    /// The average only.
    Average,
    /// The raw ones.
    Raw,
}

impl Args {
    /// Which weights are asked for.
    pub fn which(&self) -> Which {
        match (self.ema, self.raw) {
            (true, _) => Which::Average,
            (_, true) => Which::Raw,
            _ => Which::Either,
        }
    }
}
