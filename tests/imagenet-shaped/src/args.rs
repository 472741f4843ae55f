//! The command line: raw, then validated.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use cream_cli::progress::Style;
use cream_cli::{Failure, ReportArgs, VERSION};

use crate::HELP;

/// The command line as typed.
#[derive(Debug, Parser)]
#[command(name = "imagenet-shaped", version = VERSION, about = "Makes a data set shaped as ImageNet")]
#[command(long_about = HELP)]
pub struct Cli {
    /// Folder for the set; made if missing, and empty
    out: PathBuf,
    /// Training images
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    train: u64,
    /// Validation images
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    val: u64,
    /// Classes
    #[arg(long, value_name = "N", default_value_t = 100)]
    classes: u64,
    /// What every random choice depends on
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// What to write
    #[arg(long, value_enum, default_value_t = FormName::All)]
    form: FormName,
    /// Make eight of every 2,000 images as awkward as ImageNet's few
    #[arg(long)]
    hazards: bool,
    /// Rows of a parquet file
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    rows_per_file: u64,
    #[command(flatten)]
    report: ReportArgs,
}

/// Forms as the flag names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// train/CLASS/*.JPEG and val/CLASS/*.JPEG
    Folders,
    /// The official archives with the development kit
    Archives,
    /// Hugging Face's parquet files
    Parquet,
    /// All three
    All,
}

/// A layout that images come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Class folders.
    Folders,
    /// Official archives.
    Archives,
    /// Parquet files.
    Parquet,
}

impl Form {
    /// The folder in OUT, and the name in `set.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folders => "folders",
            Self::Archives => "archives",
            Self::Parquet => "parquet",
        }
    }
}

/// Validated settings.
#[derive(Debug)]
pub struct Options {
    pub out: PathBuf,
    pub train: usize,
    pub val: usize,
    pub classes: usize,
    pub seed: u64,
    /// In the order of writing.
    pub forms: Vec<Form>,
    pub hazards: bool,
    pub rows_per_file: usize,
    pub style: Style,
}

impl Cli {
    /// Checks every range.
    pub fn check(&self) -> Result<Options, Failure> {
        let classes = count("classes", self.classes, 1, 100_000)?;
        Ok(Options {
            out: self.out.clone(),
            train: count("train", self.train, self.classes, 10_000_000)?,
            val: count("val", self.val, 0, 10_000_000)?,
            classes,
            seed: self.seed,
            forms: match self.form {
                FormName::Folders => vec![Form::Folders],
                FormName::Archives => vec![Form::Archives],
                FormName::Parquet => vec![Form::Parquet],
                FormName::All => vec![Form::Folders, Form::Archives, Form::Parquet],
            },
            hazards: self.hazards,
            rows_per_file: count("rows-per-file", self.rows_per_file, 1, 10_000_000)?,
            style: self.report.style(),
        })
    }
}

fn count(name: &str, value: u64, least: u64, most: u64) -> Result<usize, Failure> {
    if (least..=most).contains(&value) {
        return Ok(value as usize);
    }
    let range = format!("give a number from {least} to {most}");
    Err(Failure::input(format!("--{name}: {value} is out of range: {range}")))
}
