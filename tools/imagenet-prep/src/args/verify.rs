//! `imagenet-prep verify OUT`: which set, and how.

use std::path::PathBuf;

use clap::Args;
use cream_cli::{Failure, ReportArgs};

use super::workers;

/// The manual's first page.
pub const HELP: &str = "\
Compare every file of a set with its checksum.

Reads every shard and table of OUT in parallel and prints those that are missing or differ from
what index.json says, one a line with the reason, then checks the rules of the tables. Without a
fault it prints nothing on standard output.";

/// `verify`: which set, and how.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of shards
    pub out: PathBuf,
    /// Threads that read [default: the number of processors]
    #[arg(long, value_name = "N")]
    workers: Option<u64>,
    #[command(flatten)]
    pub report: ReportArgs,
}

impl VerifyArgs {
    /// Threads, checked.
    pub fn workers(&self) -> Result<usize, Failure> {
        workers(self.workers)
    }
}
