//! Flags that tools share.

use std::path::{Path, PathBuf};

use crate::Failure;
use crate::progress::{LogFormat, Style};

/// How a tool reports on standard error.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ReportArgs {
    /// Print warnings and errors only
    #[arg(short, long)]
    quiet: bool,

    /// Form of the progress report on standard error: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

impl ReportArgs {
    /// What the flags ask for.
    pub fn style(&self) -> Style {
        Style { quiet: self.quiet, log_format: self.log_format }
    }
}

/// Flags of a tool that trains on a folder of shards and leaves its work in a run's folder. Flags in the group `prints`,
/// to which a tool may add, need neither.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Folder of shards
    #[arg(long, value_name = "SHARDS", required_unless_present = "prints")]
    data: Option<PathBuf>,

    /// Folder of the run; created if need be
    #[arg(long, value_name = "RUN", required_unless_present = "prints")]
    out: Option<PathBuf>,

    /// Recipe, a TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// auto: from the newest checkpoint, if there is one; never: anew, what is there being moved to
    /// earlier-N inside; or a checkpoint file, those of later steps being removed
    #[arg(long, value_name = "auto|never|PATH", default_value = "auto")]
    pub resume: String,

    /// Stop with a checkpoint after so many steps (500) or so much time (90s, 30m, 1.5h), with exit
    /// status 75 if the run is not done; run again to go on
    #[arg(long, value_name = "STEPS|TIME")]
    pub stop_after: Option<String>,

    /// Do not compare the shards with their checksums first
    #[arg(long)]
    pub no_verify: bool,

    /// Print the settings with their sources and stop
    #[arg(long, group = "prints")]
    pub print_config: bool,

    /// How to report
    #[command(flatten)]
    pub report: ReportArgs,
}

impl RunArgs {
    /// The recipe's file.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The shards' folder.
    ///
    /// # Errors
    /// When it was not given, which only the flags that print allow.
    pub fn data(&self) -> Result<&Path, Failure> {
        self.data
            .as_deref()
            .ok_or_else(|| Failure::input("--data is missing: give a folder of shards"))
    }

    /// The run's folder.
    ///
    /// # Errors
    /// When it was not given, which only the flags that print allow.
    pub fn out(&self) -> Result<&Path, Failure> {
        self.out
            .as_deref()
            .ok_or_else(|| Failure::input("--out is missing: give a folder for the run"))
    }
}
