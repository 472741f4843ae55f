//! The command line.

use clap::Parser;
use cream_cli::config::{Resolved, resolve};
use cream_cli::{Failure, RunArgs};
use cream_train::settings::SearchSettings;
use serde::Serialize;

const ABOUT: &str = "Train a supernet and rank its best paths";

const LONG_ABOUT: &str = "\
Train a supernet and rank its best paths.

One supernet holds every choice of kernel and expansion for every layer. Each step trains one
path, drawn inside the FLOPs interval. Paths that do well become prioritized and teach the
others, chosen for each student by a small matching network; the best of them are the result
(\"Cream of the Crop\", NeurIPS 2020).

  supernet-train --data data/fashion-mnist --out runs/x --flops-max 3 \\
      --config configs/search/sample.toml
  path-export runs/x > arch.json

DATA is a folder of shards, as imagenet-prep makes them. The run's folder gets config.toml,
metrics.csv, a checkpoint at every epoch's end, and when the search is done
supernet.safetensors and board.json. Run the same command again to take up an interrupted
search: the result is the same.

Settings come from flags, then CREAM_* environment variables (CREAM_EPOCHS=20), then the file
given with --config, then defaults, which are the published recipe; --print-config shows them
all with their sources.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "supernet-train", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
pub struct Args {
    #[command(flatten)]
    pub run: RunArgs,

    /// Search space, a TOML file [default: the published one]
    #[arg(long, value_name = "FILE")]
    pub space: Option<String>,

    #[command(flatten)]
    settings: Settings,
}

/// Settings that have a flag; those not given come from environment, file and defaults.
#[derive(Debug, clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// Least FLOPs of a path, in millions as published
    #[arg(long, value_name = "M")]
    flops_min: Option<f64>,
    /// Most FLOPs of a path, in millions as published
    #[arg(long, value_name = "M")]
    flops_max: Option<f64>,
    /// Input size in pixels [default: from the limits]
    #[arg(long, value_name = "N")]
    image_size: Option<usize>,
    /// Layers per searched stage, as 1,2,2,1,1 [default: from the limits]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    depths: Option<Vec<usize>>,
    /// Layers per searched stage that a path has at least; each number up to --depths is drawn as often [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    min_depths: Option<Vec<usize>>,
    /// Passes over the data
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// First learning rate [default: 1.0 at a batch of 1024, scaled]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Epochs before the board opens
    #[arg(long, value_name = "N")]
    warmup_epochs: Option<usize>,
    /// Entries of the board
    #[arg(long, value_name = "N")]
    board_size: Option<usize>,
    /// Who teaches: meta (the matching network chooses), top1 (the best entry) or none (plain uniform sampling)
    #[arg(long, value_name = "METHOD")]
    pick_method: Option<String>,
    /// How often operators are drawn: uniform, board, or one weight per operator (in --config)
    #[arg(long, value_name = "PRIOR")]
    prior: Option<String>,
    /// Augmentation: full, basic or none
    #[arg(long, value_name = "KIND")]
    augment: Option<String>,
    /// How training images are cut: resized-crop or pad-crop
    #[arg(long, value_name = "KIND")]
    transform: Option<String>,
    /// Steps between checkpoints besides those at epochs' ends; 0 for none
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u64>,
    /// Newest checkpoints kept
    #[arg(long, value_name = "N")]
    keep_checkpoints: Option<usize>,
    /// Checkpoints of the best validation scores kept besides
    #[arg(long, value_name = "N")]
    keep_best: Option<usize>,
    /// Steps of the run that may give a loss or gradient that is not finite; they are skipped
    #[arg(long, value_name = "N")]
    skip_nonfinite: Option<u64>,
    /// Seed of every random draw
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Threads that load images
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// auto, cpu or cuda[:N]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Of activations and products: f32; on a CUDA device also tf32 or bf16
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
}

impl Args {
    /// The settings from all sources.
    pub fn resolve(&self) -> Result<Resolved<SearchSettings>, Failure> {
        resolve(&self.settings, self.run.config())
    }
}
