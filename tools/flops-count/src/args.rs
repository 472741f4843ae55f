//! The command line.

use clap::{Parser, ValueEnum};
use cream_arch::Convention;

const ABOUT: &str = "Count the operations, parameters and memory of networks";

const LONG_ABOUT: &str = "\
Count the operations, parameters and memory of networks.

Each ARCH is an architecture file, as path-export prints them; `-` reads standard input, which may
hold several, one after the other (JSON lines); the name of a published network or baseline, as
path-export --name takes it, stands for its file. Counts are for one image at the network's own
input size.

  flops-count arch.json                       a table, one row per block
  flops-count 287 efficientnet-b0             the published network of 287 MFLOPs, and a baseline
  flops-count configs/arch/*.json             a table, one row per network
  flops-count --format json arch.json         one object on one line; several networks: JSON lines
  flops-count --format csv arch.json          one row per layer; several networks: one row each";

const CONVENTIONS: &str = "\
Conventions, with M the multiply-accumulates of convolutions and linear layers:
  published  M + 2 per output element of a batch norm + 1 per input element of a global pool; what
             FLOPS_MIN, FLOPS_MAX and the published names 14 to 604 mean
  macs       M
  thop       M + 4 per output element of a batch norm + input and output elements of global pools
  ptflops    published + bias additions + squeeze-excite's elementwise work + the head pool's input";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "flops-count", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT,
    after_long_help = CONVENTIONS)]
pub struct Args {
    /// Architecture files or names, or - for standard input
    #[arg(required = true, value_name = "ARCH")]
    pub files: Vec<String>,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// How operations are counted; see the end of --help
    #[arg(long, value_enum, default_value_t = ConventionName::Published)]
    pub convention: ConventionName,

    /// Count at this input size, in pixels, instead of the file's
    #[arg(long, value_name = "N")]
    pub image_size: Option<usize>,

    /// Also state the activation memory of a batch of N images, in f32: the peak of inference, and
    /// what training keeps for its backward pass
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub batch: Option<u64>,
}

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One object per network and line: integers params, macs, flops, image_size; layers
    Json,
    /// One row per layer, or per network when there are several
    Csv,
}

/// A convention as flags name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the end of --help explains them side by side")]
pub enum ConventionName {
    Published,
    Macs,
    Thop,
    Ptflops,
}

impl From<ConventionName> for Convention {
    fn from(name: ConventionName) -> Self {
        match name {
            ConventionName::Published => Self::Published,
            ConventionName::Macs => Self::Macs,
            ConventionName::Thop => Self::Thop,
            ConventionName::Ptflops => Self::Ptflops,
        }
    }
}
