//! Signals that ask a long run to end: the first is noted, so that the run can end in good order; a later one ends the
//! program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::progress::{Progress, Style};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// One request may arrive several times: `timeout` and `make` pass on a signal that their process group got as well.
const SAME_REQUEST: Duration = Duration::from_millis(300);

/// Watches for SIGINT and SIGTERM from now on. The number that is returned stays 0 until the first comes, and is its
/// number then; a later one ends the program with status 128 + its number. What is done is said in the given style.
///
/// # Errors
/// When the system takes no handler.
pub fn watch(style: Style) -> io::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let asked = Arc::new(AtomicI32::new(0));
    let noted = Arc::clone(&asked);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    noted.store(signal, Ordering::Relaxed);
                    Progress::new(0, "", style).warning(format!(
                        "{}: finishing the step and writing a checkpoint; once more to end at once",
                        name_of(signal)
                    ));
                }
                Some(at) if at.elapsed() < SAME_REQUEST => {}
                Some(_) => std::process::exit(128 + signal),
            }
        }
    })?;
    Ok(asked)
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        _ => "signal",
    }
}
