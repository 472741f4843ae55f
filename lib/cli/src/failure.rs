//! How a tool ends: exit status 0, 1 or 2, and one line on standard error.

use std::io::{self, Write};
use std::process::ExitCode;

/// What ends a tool that did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The command line, a setting or an input file was wrong: exit status 2.
    Input(anyhow::Error),
    /// The input was right and the work failed: exit status 1.
    Run(anyhow::Error),
    /// The work was stopped on request and can be taken up again: this exit status.
    Stopped(u8, anyhow::Error),
}

/// Exit status of a run that was told to do so much and no more: sysexits' EX_TEMPFAIL, "try again later".
pub const UNFINISHED: u8 = 75;

impl Failure {
    /// A wrong input described by `message`, which ends with what to do next.
    pub fn input(message: impl std::fmt::Display) -> Self {
        Self::Input(anyhow::anyhow!("{message}"))
    }

    /// A failed run described by `message`, which ends with what to do next.
    pub fn run(message: impl std::fmt::Display) -> Self {
        Self::Run(anyhow::anyhow!("{message}"))
    }

    /// Work stopped by a signal of this number, as `message` says.
    pub fn signal(number: i32, message: impl std::fmt::Display) -> Self {
        Self::Stopped(128 | (number & 0x7f) as u8, anyhow::anyhow!("{message}"))
    }

    /// Work stopped because it was told to do so much and no more, as `message` says.
    pub fn unfinished(message: impl std::fmt::Display) -> Self {
        Self::Stopped(UNFINISHED, anyhow::anyhow!("{message}"))
    }

    /// The error without its exit status.
    pub fn error(&self) -> &anyhow::Error {
        match self {
            Self::Input(error) | Self::Run(error) | Self::Stopped(_, error) => error,
        }
    }

    /// The error without its exit status, to say more about it.
    pub fn into_error(self) -> anyhow::Error {
        match self {
            Self::Input(error) | Self::Run(error) | Self::Stopped(_, error) => error,
        }
    }

    /// 2 for a wrong input, 1 for a failed run.
    pub fn status(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Run(_) => 1,
            Self::Stopped(status, _) => *status,
        }
    }
}

/// Puts an exit status on any error: `.or_input()?`, `.or_run()?`.
///
/// Say what was being done first: `.context("arch.json").or_input()?`.
pub trait OrFail<T> {
    /// The error means that the input was wrong.
    fn or_input(self) -> Result<T, Failure>;
    /// The error means that the run failed.
    fn or_run(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_input(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Input(error.into()))
    }

    fn or_run(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Run(error.into()))
    }
}

/// Runs a tool and turns its result into an exit status.
///
/// A failure is printed as `tool: what: why`, one line on standard error. A broken pipe means that
/// the reader has what it wants, and is success.
pub fn main(tool: &str, run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if is_broken_pipe(failure.error()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed too, and then nobody is left to tell.
            let _ = writeln!(io::stderr(), "{}", describe(tool, failure.error()));
            ExitCode::from(failure.status())
        }
    }
}

/// The whole chain of causes on one line, without those that are quoted in it already.
/// Control characters become spaces, so that a file's contents quoted in a message can neither break
/// the line nor steer the terminal.
fn describe(tool: &str, error: &anyhow::Error) -> String {
    let mut chain = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !chain.contains(&cause) {
            chain = format!("{chain}: {cause}");
        }
    }
    let words: Vec<&str> = chain.split(|c: char| c.is_control()).map(str::trim).collect();
    let words: Vec<&str> = words.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{tool}: {}", words.join(" "))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind).or_else(|| {
            // serde_json hides the I/O error from the chain.
            cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind)
        });
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    fn broken_pipe() -> io::Error {
        io::Error::from(io::ErrorKind::BrokenPipe)
    }

    #[test]
    fn status_follows_the_kind_of_failure() {
        assert_eq!(main("t", || Ok(())), ExitCode::SUCCESS);
        assert_eq!(main("t", || Err(Failure::run("r"))), ExitCode::from(1));
        assert_eq!(main("t", || Err(Failure::input("i"))), ExitCode::from(2));
        assert_eq!(main("t", || Err(Failure::unfinished("u"))), ExitCode::from(75));
        assert_eq!(main("t", || Err(Failure::signal(15, "s"))), ExitCode::from(143));
        let refused: Result<(), _> = Err(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(main("t", || refused.or_input()), ExitCode::from(2));
    }

    #[test]
    fn the_message_is_the_chain_on_one_line() {
        let error = anyhow::anyhow!("line 3\n  | x\r\n\u{1b}[31mred").context("arch.json");
        assert_eq!(describe("flops-count", &error), "flops-count: arch.json: line 3 | x [31mred");
    }

    #[test]
    fn a_cause_that_the_message_quotes_is_not_said_again() {
        #[derive(Debug)]
        struct Quoting(io::Error);
        impl std::fmt::Display for Quoting {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a.tar: {}; copy it again", self.0)
            }
        }
        impl std::error::Error for Quoting {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = anyhow::Error::new(Quoting(io::Error::other("gone"))).context("reading");
        assert_eq!(describe("t", &error), "t: reading: a.tar: gone; copy it again");
    }

    #[test]
    fn a_broken_pipe_anywhere_in_the_chain_is_success() {
        let wrapped = Err::<(), _>(broken_pipe()).context("writing").or_run();
        assert_eq!(main("t", || wrapped), ExitCode::SUCCESS);
    }

    #[test]
    fn a_broken_pipe_inside_serde_json_is_success() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(broken_pipe())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let result = serde_json::to_writer(Closed, &[1, 2]).or_run();
        assert_eq!(main("t", || result), ExitCode::SUCCESS);
    }
}
