//! `imagenet-prep stats OUT`: what is counted and measured.

use std::path::PathBuf;

use clap::Args;
use cream_cli::{Failure, ReportArgs};
use cream_data::Split;

use super::{split, workers};

/// The manual's first page.
pub const HELP: &str = "\
Count a set's images and measure their sizes and pixels.

Prints a table with a column for each split: its images, those of the smallest, median and
largest class, and the bytes of an image, over all images; then, over the images that are
decoded, their width and height, how many are JPEGs and how many have no colour, and the mean and
the standard deviation of each channel's pixels from 0 to 1, every pixel counting once. By
default 2,000 images of a split are decoded, drawn by --seed; --sample 0 decodes all.

The figures are the same for any number of workers: pixels are added up in whole numbers. Memory:
for each worker one decoded image, and some 100 bytes for each image of the set.

Checksums are not compared, which verify does; an image that does not decode ends the run.";

/// What the manual ends with.
pub const EXAMPLES: &str = "\
Examples:
  imagenet-prep stats shards/imagenet
  imagenet-prep stats shards/imagenet --split train --sample 0 --json >stats.json";

/// `stats`: which set, which images.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Folder of shards
    pub out: PathBuf,
    /// Only this split [default: train and val]
    #[arg(long, value_name = "SPLIT", value_parser = split())]
    split: Option<Split>,
    /// Images of each split that are decoded; 0 for all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    sample: u32,
    /// Which images these are depends on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Threads that read and decode [default: the number of processors]
    #[arg(long, value_name = "N")]
    workers: Option<u64>,
    #[command(flatten)]
    pub report: ReportArgs,
}

impl StatsArgs {
    /// The splits that are told of.
    pub fn splits(&self) -> Vec<Split> {
        self.split.map_or_else(|| vec![Split::Train, Split::Validation], |split| vec![split])
    }

    /// How many images are decoded of a split, unless it has fewer.
    pub fn sample(&self) -> usize {
        if self.sample == 0 { usize::MAX } else { self.sample as usize }
    }

    /// Threads, checked.
    pub fn workers(&self) -> Result<usize, Failure> {
        workers(self.workers)
    }
}
