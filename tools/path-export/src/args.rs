//! The command line.

mod weights;

use clap::{ArgGroup, Parser};

pub use weights::{Format, WeightsArgs};

const ABOUT: &str = "Print networks as architecture files, and export trained ones";

const LONG_ABOUT: &str = "\
Print networks as architecture files: from a search, by name, from index lists, or at random. Export
trained networks for other programs.

One network is printed as an indented document, several as JSON lines; both pipe straight into
flops-count, arch-retrain --arch - and evaluate --arch -.

  path-export runs/imagenet/search-0-200        the best network of a search
  path-export RUN --flops-max 150               the best of at most 150 MFLOPs
  path-export RUN --top 5                       the five best
  path-export RUN --pareto                      the best for each cost
  path-export RUN --sample 1000 --seed 1        random paths of that supernet, inside its limits
  path-export RUN --sample 24 --spread          random paths of costs spread over those limits
  path-export RUN --scores S.jsonl              the best of paths that evaluate --supernet scored
  path-export RUN --scores S.jsonl --offspring 50    crossovers and mutations of the best of them
  path-export --sample 10 --flops-max 200       random paths of the published space
  path-export --name 287                        a published network or baseline
  path-export --path '[[0],[3,3],[3,3],[1],[3]]' --image-size 64 --classes 1000

With --weights a network's weights are written in another form, whole or not at all:

  path-export --weights net/model.safetensors --format onnx --out net.onnx
  path-export --weights foreign.safetensors --arch 287 --format onnx >net.onnx
  path-export --weights net/model.safetensors --format huggingface --out net-hf

An ONNX model takes `images`, float32 [batch, 3, size, size] with red, green and blue normalised by the
network's mean and std, and gives `logits` [batch, classes]. A Hugging Face folder holds config.json and
model.safetensors, whose names and shapes are PyTorch's.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "path-export", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
#[command(group = ArgGroup::new("origin").args(["sample", "path", "name", "offspring"]))]
#[command(group = ArgGroup::new("random").args(["sample", "offspring"]).multiple(true))]
#[command(group = ArgGroup::new("what").args(["run", "sample", "path", "name", "weights"]).multiple(true).required(true))]
pub struct Args {
    /// A search's run directory, its board.json, or - for a board on standard input
    #[arg(value_name = "RUN|BOARD.json", conflicts_with_all = ["path", "name"])]
    pub run: Option<String>,

    /// The N best entries of the board, as JSON lines
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "origin")]
    pub top: Option<usize>,

    /// The entries that no cheaper one matches in score, cheapest first, as JSON lines
    #[arg(long, conflicts_with = "origin")]
    pub pareto: bool,

    /// Instead of the board's entries, paths of that supernet with their scores: JSON lines as evaluate
    /// --supernet prints them, or - for standard input
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with = "sample")]
    pub scores: Option<String>,

    /// N children of the best of --scores, as JSON lines: crossovers and mutations inside the limits, none of
    /// them among the scored
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "scores")]
    pub offspring: Option<usize>,

    /// Best paths of --scores that have --offspring
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "offspring", default_value_t = 10)]
    pub parents: usize,

    /// Only networks of at least this many million FLOPs, as published
    #[arg(long, value_name = "MILLIONS", conflicts_with_all = ["path", "name"])]
    pub flops_min: Option<f64>,

    /// Only networks of at most this many million FLOPs, as published
    #[arg(long, value_name = "MILLIONS", conflicts_with_all = ["path", "name"])]
    pub flops_max: Option<f64>,

    /// N random paths, uniform among those inside the limits, as JSON lines; a path may come twice
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub sample: Option<usize>,

    /// Path i of --sample from the i-th of N equal parts of the costs that can be reached
    #[arg(long, requires = "sample")]
    pub spread: bool,

    /// Seed of --sample and --offspring: path i depends on the seed and i, and on the scores, only
    #[arg(long, value_name = "S", requires = "random", default_value_t = 0)]
    pub seed: u64,

    /// Search space of --sample and --path, instead of the published one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "name"])]
    pub space: Option<String>,

    /// Layers per searched stage of --sample; by default the limits choose
    #[arg(
        long,
        value_name = "A,B,C,D,E",
        value_delimiter = ',',
        requires = "sample",
        conflicts_with = "run"
    )]
    pub depths: Option<Vec<usize>>,

    /// Layers per searched stage that paths of --sample have at least, each number up to --depths being
    /// drawn as often; by default all of them
    #[arg(
        long,
        value_name = "A,B,C,D,E",
        value_delimiter = ',',
        requires = "sample",
        conflicts_with = "run"
    )]
    pub min_depths: Option<Vec<usize>>,

    /// Input size in pixels; by default the limits choose, or the network's own with --name and
    /// --weights
    #[arg(long, value_name = "N", conflicts_with = "run")]
    pub image_size: Option<usize>,

    /// Classes; 1000 by default
    #[arg(long, value_name = "N", conflicts_with = "run")]
    pub classes: Option<usize>,

    /// Index lists: one per searched stage, or as the original release prints them with [0] first
    /// and last
    #[arg(long, value_name = "LISTS", requires = "image_size")]
    pub path: Option<String>,

    /// Read --path as the original release built it: a stage of one layer takes that stage's default
    /// block, whatever its index
    #[arg(long, requires = "path")]
    pub released_reading: bool,

    /// A published network (14, 43, 114, 287, 481, 604) or a baseline (mobilenet-v3-large,
    /// efficientnet-b0, efficientnet-b1, efficientnet-lite0)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// No note about what was exported on standard error
    #[arg(long, short)]
    pub quiet: bool,

    #[command(flatten)]
    pub weights: WeightsArgs,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
