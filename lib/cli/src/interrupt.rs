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
    let heard = [SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = Signals::new(heard)?;
    let asked = Arc::new(AtomicI32::new(0));
    let noted = Arc::clone(&asked);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    noted.store(signal, Ordering::Relaxed);
                    let text = format!(
                        "{}: finishing the step and writing a checkpoint; once more to end at once",
                        name_of(signal)
                    );
                    // Whoever reads it may have stopped, and the next signal must be heard all the same.
                    std::thread::spawn(move || Progress::new(0, "", style).warning(text));
                }
                Some(at) if at.elapsed() < SAME_REQUEST => {}
                Some(_) => signal_hook::low_level::exit(128 + signal),
            }
        }
    })?;
    Ok(asked)
}

/// A shell that starts a program in the background may have it ignore SIGINT, and then that is to be so.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        _ => "signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    /// Not a test: the program that the test below signals. It does not end by itself for a minute.
    #[test]
    #[ignore = "run by another test"]
    fn goes_on_until_it_is_ended() {
        let asked = watch(Style::default()).unwrap();
        println!("\nready");
        while asked.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("\nasked {}", asked.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_secs(60));
    }

    fn signal(child: &Child, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    #[test]
    fn the_first_signal_is_noted_and_a_later_one_ends_the_program() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "interrupt::tests::goes_on_until_it_is_ended",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut until = |text: &str| assert!(lines.any(|line| line.unwrap() == text), "{text}");
        until("ready");
        signal(&child, "TERM");
        until("asked 15");
        // The copy that make or timeout sends of the same request.
        signal(&child, "TERM");
        std::thread::sleep(SAME_REQUEST / 3);
        assert!(child.try_wait().unwrap().is_none(), "ended by a copy of the first request");
        std::thread::sleep(SAME_REQUEST);
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(143));
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert_eq!(said.matches("SIGTERM: finishing the step").count(), 1, "{said}");
    }
}
