//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use cream_cli::ReportArgs;
use cream_data::{Crops, Split, Views};
use cream_nn::pytorch::Which;
use cream_train::precision::Precision;

use crate::ranking::{self, RankArgs};

const ABOUT: &str = "Score a network, or paths of a supernet, on images";

const LONG_ABOUT: &str = "\
Score a network, or paths of a supernet, on images.

  evaluate --weights runs/x/retrain/model.safetensors --data data/fashion-mnist
  evaluate --weights 43.pth.tar --arch 43 --data data/imagenet --format json
  evaluate --weights model.safetensors --image photo.jpg holiday/
  path-export --sample 100 --flops-max 3 ... |
      evaluate --supernet runs/x --arch - --data data/fashion-mnist

With --weights and --data: one network on one split; the result goes to standard output as text or
as one JSON object (top1 and top5 as shares from 0 to 1, loss, images). Our weights files carry their
architecture; foreign ones need --arch: safetensors, or PyTorch's checkpoints (.pth, .pth.tar), of
which nothing is run. --weights also takes the folder of a finished retraining, or a checkpoint.
--arch also takes the name of a published network or baseline.

With --save-weights the weights are written as safetensors, which is how those of other programs are
converted: evaluate --weights 43.pth.tar --arch 43 --save-weights 43.safetensors

With --weights and --image: the five best classes of each image with their probabilities, as text or
as JSON lines. An image that cannot be read is named, the others are not held up, and the exit status
is 2.

Classes go by the names in our weights files or in --classes-file; a network of 1,000 classes without
names is taken for one of ImageNet. The data's classes are found among them by name (a class folder
or its words), or by number where all are numbers, so that data may have the classes in another order
or only some of them. Whatever has other names is refused.

With --supernet: architectures as JSON lines, each a path of the supernet, scored with its
weights after recalibrating batch-norm statistics for each; one JSON line per path in the same
order.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "evaluate", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub subject: Subject,

    /// Architecture file or name, or - for standard input; for --supernet JSON lines of paths
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,

    /// Folder of shards
    #[arg(long, value_name = "SHARDS", required_unless_present_any = ["image", "save_weights"])]
    pub data: Option<PathBuf>,

    /// JPEGs or PNGs without labels instead; a folder stands for the .jpg, .jpeg and .png files in it, folders inside are
    /// not searched; - is standard input
    #[arg(long, value_name = "IMAGE", num_args = 1.., conflicts_with_all = ["data", "supernet", "split"])]
    pub image: Vec<PathBuf>,

    /// val, train, search-train or search-val [default: val; with --supernet search-val]
    #[arg(long)]
    pub split: Option<Split>,

    /// Names of the network's classes, one a line in the order of its outputs
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub classes_file: Option<String>,

    /// Only these classes, one name or number a line: other images are left out, and other classes are no answers
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub subset: Option<String>,

    /// Side of the network's input in pixels [default: the architecture's]
    #[arg(long, value_name = "N", conflicts_with = "supernet", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub image_size: Option<u32>,

    /// Crops of each image, the mean of whose logits is its answer: 1, the middle; 5, the corners too; 10, those
    /// mirrored too
    #[arg(long, value_name = "1|5|10", default_value = "1", value_parser = crops, conflicts_with = "supernet")]
    pub crops: u32,

    /// Take each crop mirrored too
    #[arg(long, conflicts_with = "supernet")]
    pub flip: bool,

    /// Take the averaged weights, and fail if there are none
    #[arg(long, conflicts_with = "raw")]
    pub ema: bool,

    /// Take the weights that were not averaged [default: averaged where there are such]
    #[arg(long)]
    pub raw: bool,

    /// Images per batch, every crop being one
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write a CSV: key (of --image the file), label, and the five best classes with their probabilities
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub predictions: Option<PathBuf>,

    /// Write safetensors: logits [N, classes] and labels [N], in shard order
    #[arg(long, value_name = "FILE", conflicts_with_all = ["supernet", "image"])]
    pub logits: Option<PathBuf>,

    /// Write safetensors: the crops that were fed, uint8 [N x crops, size, size, 3]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["supernet", "image"])]
    pub save_inputs: Option<PathBuf>,

    /// Write a CSV: images of each class (rows) by their best answer (columns)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["supernet", "image"])]
    pub confusion: Option<PathBuf>,

    /// Write a CSV: images, top-1, top-5 and the most frequent wrong answer of each class
    #[arg(long, value_name = "FILE", conflicts_with_all = ["supernet", "image"])]
    pub per_class: Option<PathBuf>,

    /// Write the weights as safetensors that name their network and classes, for all these tools; without --data and
    /// --image nothing is scored
    #[arg(long, value_name = "FILE", conflicts_with = "supernet")]
    pub save_weights: Option<PathBuf>,

    /// Say how many images a second the pass took, loading included: on standard error, or in the JSON
    #[arg(long, conflicts_with_all = ["supernet", "image"])]
    pub throughput: bool,

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

    /// Of activations and products: f32; on a CUDA device also tf32 or bf16
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::F32)]
    pub precision: Precision,

    #[command(flatten)]
    pub report: ReportArgs,
}

/// What is done with scores that are there.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare rankings with inherited weights to those of networks trained alone
    #[command(long_about = ranking::HELP, after_long_help = ranking::EXAMPLES)]
    RankCorrelation(RankArgs),
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

impl Args {
    /// Which weights are asked for.
    pub fn which(&self) -> Which {
        match (self.ema, self.raw) {
            (true, _) => Which::Averaged,
            (_, true) => Which::Raw,
            _ => Which::Either,
        }
    }

    /// Which crops are asked for.
    pub fn views(&self) -> Views {
        let crops = if self.crops == 1 { Crops::Centre } else { Crops::Five };
        Views { crops, mirrored: self.flip || self.crops == 10 }
    }
}

fn crops(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "5" => Ok(5),
        "10" => Ok(10),
        _ => Err("give 1, 5 or 10".to_owned()),
    }
}
