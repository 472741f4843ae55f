//! The command line: raw, then validated. A file for each of the things that the tool does.

mod prepare;
mod show;
mod stats;
mod verify;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use cream_cli::config::{Resolved, resolve};
use cream_cli::{Failure, ReportArgs, VERSION};
use cream_data::{DataError, Split};

pub use prepare::{Options, Settings, inputs};
pub use show::{Augment, CropKind, ShowArgs, ShowSettings};
pub use stats::StatsArgs;
pub use verify::VerifyArgs;

use crate::{EXAMPLES, HELP};

/// The command line as typed.
#[derive(Debug, Parser)]
#[command(name = "imagenet-prep", version = VERSION, about = "Turns image data into shards")]
#[command(long_about = HELP, after_long_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Folder with class folders, archives, parquet, list or IDX files, or a tar
    #[arg(required = true)]
    src: Option<PathBuf>,
    /// Folder for the shards; made if missing
    #[arg(required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    flags: prepare::Flags,
    /// Replace the shards that OUT holds
    #[arg(long)]
    overwrite: bool,
    /// Begin even if the shards seem not to fit on the disk
    #[arg(long)]
    no_space_check: bool,
    /// Settings in a TOML file; keys are the flags' names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings and where each comes from, and do nothing
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    report: ReportArgs,
}

/// What is done with shards that are there.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare every file of a set with its checksum
    #[command(long_about = verify::HELP)]
    Verify(VerifyArgs),
    /// Count a set's images and measure their sizes and pixels
    #[command(long_about = stats::HELP, after_long_help = stats::EXAMPLES)]
    Stats(StatsArgs),
    /// Draw training images on a sheet, as a trainer gets them
    #[command(long_about = show::HELP, after_long_help = show::EXAMPLES)]
    Show(Box<ShowArgs>),
}

impl Cli {
    /// Flags, environment, file, defaults.
    pub fn resolve(&self) -> Result<Resolved<Settings>, Failure> {
        resolve(&self.flags, self.config.as_deref())
    }
}

/// Required unless there is a subcommand, which clap sees to.
fn given(path: &Option<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    path.clone().ok_or_else(|| Failure::input(format!("{name} is missing; see --help")))
}

fn workers(given: Option<u64>) -> Result<usize, Failure> {
    match given {
        Some(number) => count("workers", number, 256),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from).min(256)),
    }
}

/// A number, but not NaN or infinite: as JSON these would count as not given.
fn finite(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err("not a finite number".to_owned()) }
}

fn share(name: &str, value: f64, most: f64) -> Result<f64, Failure> {
    if (0.0..=most).contains(&value) {
        return Ok(value);
    }
    Err(Failure::input(format!("{name}: {value} is not a share: give a number from 0 to {most}")))
}

fn count(name: &str, value: u64, most: u64) -> Result<usize, Failure> {
    if (1..=most).contains(&value) {
        return Ok(value as usize);
    }
    Err(Failure::input(format!("{name}: {value} is out of range: give a number from 1 to {most}")))
}

fn some_count(name: &str, value: Option<u64>) -> Result<Option<usize>, Failure> {
    value.map(|value| count(name, value, u64::from(u32::MAX))).transpose()
}

/// One of the splits' names.
fn split() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new(Split::ALL.map(Split::name))
        .try_map(|name| -> Result<Split, DataError> { name.parse() })
}
