//! The command line.

use std::path::PathBuf;

use clap::Parser;
use cream_cli::config::{Resolved, resolve};
use cream_cli::{Failure, RunArgs};
use cream_train::settings::RetrainSettings;
use serde::Serialize;

const ABOUT: &str = "Train one network from scratch";

const LONG_ABOUT: &str = "\
Train one network from scratch, or on from given weights.

  path-export runs/x | arch-retrain --arch - --data data/fashion-mnist --out runs/x/retrain \\
      --config configs/retrain/sample.toml
  evaluate --weights runs/x/retrain/model.safetensors --data data/fashion-mnist

Fine-tuning to the 10 classes of other data, a start from a search's supernet, and a teacher:

  arch-retrain --arch 43 --init 43.safetensors --classes 10 --data data/flowers --out runs/flowers
  arch-retrain --arch runs/x/arch.json --init runs/x/supernet.safetensors --data data/x --out runs/y
  arch-retrain --arch 43 --teacher big.safetensors --teacher-weight 0.7 --data data/x --out runs/z

DATA is a folder of shards, as imagenet-prep makes them. The run's folder gets config.toml,
arch.json, metrics.csv, a checkpoint at every epoch's end, and when the training is done
model.safetensors: the averaged weights if there is an average (then the others are in
model-raw.safetensors), under PyTorch's names, with the architecture in the metadata. Run the
same command again to take up an interrupted training: the result is the same.

Settings come from flags, then CREAM_* environment variables (CREAM_EPOCHS=20), then the file
given with --config, then defaults, which are the published recipe; --print-config shows them
all with their sources, --print-schedule the learning rates that they lead to.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "arch-retrain", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
pub struct Args {
    /// Architecture: a file, a published network's name, or - for standard input [default: that of
    /// the weights given with --init]
    #[arg(long, value_name = "ARCH", required_unless_present_any = ["prints", "init"])]
    pub arch: Option<String>,

    /// Build the classifier for so many classes, whatever the architecture says
    #[arg(long, value_name = "N")]
    pub classes: Option<usize>,

    #[command(flatten)]
    pub run: RunArgs,

    /// Start from these weights: of the same network, whose classifier starts anew if it has another
    /// number of classes, or a supernet's, of which the architecture is a path
    #[arg(long, value_name = "WEIGHTS")]
    pub init: Option<PathBuf>,

    /// Learn from the answers of the network with these weights too (--teacher-weight); it must take
    /// images of the same size
    #[arg(long, value_name = "WEIGHTS")]
    pub teacher: Option<PathBuf>,

    /// The teacher's architecture, where its weights do not carry it
    #[arg(long, value_name = "ARCH", requires = "teacher")]
    pub teacher_arch: Option<String>,

    /// Print the recipe's learning rates as CSV and stop: a row for every epoch, or for every step
    /// where the rate changes within epochs
    #[arg(long, group = "prints")]
    pub print_schedule: bool,

    /// Training images that --print-schedule counts steps by [default: ImageNet's]
    #[arg(
        long,
        value_name = "N",
        requires = "print_schedule",
        default_value_t = 1_281_167,
        hide_default_value = true
    )]
    pub images: usize,

    #[command(flatten)]
    settings: Settings,
}

/// Settings that have a flag; those not given come from environment, file and defaults.
#[derive(Debug, clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Settings")]
struct Settings {
    /// sgd, rmsprop-tf or adamw
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// Passes over the data, without cool-down
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images that are computed at once
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Batches of one step, whose gradients are averaged
    #[arg(long, value_name = "N")]
    accumulate: Option<usize>,
    /// Highest learning rate [default: 0.064 at 1024 images a step, scaled]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// cosine, step, linear or constant
    #[arg(long, value_name = "SHAPE")]
    schedule: Option<String>,
    /// Epochs of linear warm-up
    #[arg(long, value_name = "N")]
    warmup_epochs: Option<usize>,
    /// Weight decay, not on biases and norms
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// Dropout before the classifier
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Stochastic depth: rate at which the last block is skipped
    #[arg(long, value_name = "SHARE")]
    drop_path: Option<f64>,
    /// Alpha of mixup; 0 for none
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// Alpha of cutmix; 0 for none
    #[arg(long, value_name = "ALPHA")]
    cutmix: Option<f64>,
    /// Share of the teacher's soft labels in the loss
    #[arg(long, value_name = "SHARE")]
    teacher_weight: Option<f64>,
    /// Temperature at which the network and its teacher are compared
    #[arg(long, value_name = "T")]
    teacher_temperature: Option<f64>,
    /// Decay of the average of weights; 0 for none
    #[arg(long, value_name = "DECAY")]
    ema_decay: Option<f64>,
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
    pub fn resolve(&self) -> Result<Resolved<RetrainSettings>, Failure> {
        resolve(&self.settings, self.run.config())
    }
}
