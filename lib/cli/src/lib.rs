//! What the command-line tools share: exit status, one-line errors, settings, progress.
//!
//! - [`main`] runs a tool, prints `tool: what: why` on one line and sets the exit status;
//!   [`Failure`] says which status, [`OrFail`] puts it on any `Result`.
//! - [`parse`] reads the command line, and prints completions and the man page where those are asked for.
//! - [`read_text`], [`read_or_shipped`] and [`write_stdout`] read and write what tools exchange.
//! - [`config`] resolves settings from flags, environment, file and defaults.
//! - [`progress`] reports long work on standard error.
//! - [`interrupt`] notes signals, so that long work can end in good order.
//! - [`RunArgs`] and [`ReportArgs`] are the flags that tools share.
//!
//! Standard output carries data only. Tools write it with [`write_stdout`], never `println!`, which
//! panics when the reader goes away.

mod command_line;
pub mod config;
mod failure;
mod files;
pub mod interrupt;
mod man_page;
pub mod progress;
mod run_args;

pub use command_line::parse;
pub use failure::{Failure, OrFail, UNFINISHED, main};
pub use files::{read_or_shipped, read_text, write_stdout};
pub use run_args::{ReportArgs, RunArgs};

/// What every tool's `--version` says after its name: the version of the package family and the commit
/// that it was built from, `0.1.0 (1a2b3c4d5e6f)`, with `modified` after the commit when sources
/// differed from it. A debug build says `debug` instead. Built outside a repository it is the version
/// alone, or with what the environment's `CREAM_COMMIT` said then.
pub const VERSION: &str = env!("CREAM_VERSION");
