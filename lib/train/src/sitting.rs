//! One sitting of a run: where it takes the run up, and what ends it before the run is done.

use crate::TrainError;
use crate::run_folder::Resume;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// From which checkpoint to which point. Results do not depend on how a run is divided into sittings.
#[derive(Clone, Debug)]
pub struct Sitting {
    /// Where the run is taken up.
    pub resume: Resume,
    /// Ends the sitting after so much work.
    pub after: Option<After>,
    /// The number of a signal that asks for an end; 0 while there is none.
    pub signal: Arc<AtomicI32>,
    /// When the sitting began.
    pub began: Instant,
}

/// How much work a sitting does at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// Steps of training.
    Steps(u64),
    /// Time since the program was started.
    Time(Duration),
}

/// Why a sitting ends before the run is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// A signal of this number.
    Signal(i32),
    /// The work asked for is done.
    Enough(After),
}

/// How a loop ended.
#[derive(Clone, Debug)]
pub enum Outcome<T> {
    /// The run is done.
    Done(T),
    /// The run can be taken up again from a checkpoint.
    Stopped(Stopped),
}

/// Where a sitting ended.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// Why.
    pub reason: Reason,
    /// Steps of the run taken.
    pub step: u64,
    /// The checkpoint to go on from.
    pub checkpoint: PathBuf,
    /// Where the sitting began.
    pub resumed: Resume,
}

impl fmt::Display for Stopped {
    /// `stopped at step 12 after 5 steps as asked; run the same command again to go on from CHECKPOINT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, step, checkpoint, resumed } = self;
        let again = match resumed {
            Resume::Auto => "run the same command again",
            // The same command would begin where this one did.
            Resume::Never | Resume::From(_) => "run it again with --resume auto",
        };
        let why = match reason {
            Reason::Signal(number) => format!("by signal {number}"),
            Reason::Enough(amount) => format!("after {amount} as asked"),
        };
        let checkpoint = checkpoint.display();
        write!(f, "stopped at step {step} {why}; {again} to go on from {checkpoint}")
    }
}

impl<T> Outcome<T> {
    /// The result of a run that is done.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(result) => Some(result),
            Self::Stopped(_) => None,
        }
    }
}

impl Sitting {
    /// As flags say: `resume` is `auto`, `never` or a checkpoint's path, `after` an amount of steps or time. `signal` becomes
    /// the number of a signal that asks for an end.
    ///
    /// # Errors
    /// When `after` is no such amount.
    pub fn from_flags(
        resume: &str,
        after: Option<&str>,
        signal: Arc<AtomicI32>,
    ) -> Result<Self, TrainError> {
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|e: String| TrainError::Setting(format!("--stop-after: {e}")))?;
        Ok(Self { resume: Resume::from_flag(resume), after, signal, began: Instant::now() })
    }

    /// One that goes on to the end of the run.
    pub fn to_the_end(resume: Resume) -> Self {
        Self { resume, after: None, signal: Arc::default(), began: Instant::now() }
    }

    /// The number of the signal that asked for an end.
    pub fn signalled(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
    }

    /// Why to stop now, after `steps` steps of this sitting. One that has taken none goes on until a signal comes, or it
    /// might begin with the same scoring for ever.
    pub fn end(&self, steps: u64) -> Option<Reason> {
        if let Some(signal) = self.signalled() {
            return Some(Reason::Signal(signal));
        }
        if steps == 0 {
            return None;
        }
        let enough = match self.after? {
            After::Steps(most) => steps >= most,
            After::Time(most) => self.began.elapsed() >= most,
        };
        enough.then_some(()).and(self.after).map(Reason::Enough)
    }

    /// Why to break off scoring, which can be done again: a signal, or the time. Steps taken are taken.
    pub fn end_scoring(&self, steps: u64) -> Option<Reason> {
        self.end(steps).filter(|reason| !matches!(reason, Reason::Enough(After::Steps(_))))
    }
}

impl FromStr for After {
    type Err = String;

    /// `500` steps, or a time: `90s`, `30m`, `1.5h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither steps (500) nor a time (90s, 30m, 1.5h)");
        if let Ok(steps) = text.parse() {
            return if steps > 0 { Ok(Self::Steps(steps)) } else { Err(wrong()) };
        }
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds = match unit {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        match Duration::try_from_secs_f64(number * seconds) {
            Ok(time) if !time.is_zero() => Ok(Self::Time(time)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(1) => write!(f, "1 step"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
            Self::Time(time) => write!(f, "{} s", time.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_steps_or_times() {
        let seconds = |s| Ok(After::Time(Duration::from_secs(s)));
        assert_eq!("500".parse(), Ok(After::Steps(500)));
        assert_eq!("90s".parse::<After>(), seconds(90));
        assert_eq!("30m".parse::<After>(), seconds(1800));
        assert_eq!("1.5h".parse::<After>(), seconds(5400));
        for wrong in ["", "0", "-5", "m", "0m", "nanm", "-1m", "5d", "1e400h", "5 m m", "é"] {
            assert!(wrong.parse::<After>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sitting_ends_at_its_limit_or_at_a_signal() {
        let mut sitting = Sitting::to_the_end(Resume::Auto);
        assert_eq!(sitting.end(1_000_000), None);
        sitting.after = Some(After::Steps(3));
        assert_eq!(sitting.end(2), None);
        assert_eq!(sitting.end(3), Some(Reason::Enough(After::Steps(3))));
        sitting.after = Some(After::Time(Duration::ZERO));
        assert_eq!(sitting.end(0), None);
        assert!(sitting.end(1).is_some());
        sitting.signal.store(15, Ordering::Relaxed);
        assert_eq!(sitting.end(0), Some(Reason::Signal(15)));
    }
}
