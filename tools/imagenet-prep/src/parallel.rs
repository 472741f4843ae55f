//! Work on all cores whose results come in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cream_cli::Failure;
use crossbeam_channel::{Receiver, Sender, unbounded};

/// Pieces of work begun ahead of the one that is waited for, per thread.
const AHEAD: usize = 4;

/// Does `work` for every number of `range` on `threads` threads and passes the results to `take` in
/// order. `start` makes what each thread keeps from piece to piece.
///
/// A thread takes the next piece when it is done with one, so a slow piece holds up one thread; and
/// at most `4 * threads` pieces are begun and not yet taken, so results waiting for their turn are
/// bounded, too.
///
/// # Errors
/// That of `take`; [`Failure::Run`] when `work` panics.
pub fn in_order<S, T: Send>(
    range: Range<usize>,
    threads: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (to_threads, pieces) = unbounded();
    let (done, results) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(range.len()) {
            let (pieces, done) = (pieces.clone(), done.clone());
            let (start, work) = (&start, &work);
            scope.spawn(move || run(&mut start(), work, &pieces, &done));
        }
        // Moved in, so that leaving early closes the channels and ends the threads.
        let (to_threads, results): (Sender<usize>, Receiver<(usize, Option<T>)>) =
            (to_threads, results);
        let mut ahead = range.clone();
        for number in ahead.by_ref().take(threads * AHEAD) {
            // The receiving end is alive: this function holds it, too.
            let _ = to_threads.send(number);
        }
        let mut early = BTreeMap::new();
        for number in range {
            while !early.contains_key(&number) {
                match results.recv() {
                    Ok((found, Some(result))) => early.insert(found, result),
                    _ => return Err(Failure::run("a thread ended early; please report this")),
                };
            }
            if let Some(result) = early.remove(&number) {
                take(number, result)?;
            }
            if let Some(next) = ahead.next() {
                let _ = to_threads.send(next);
            }
        }
        Ok(())
    })
}

fn run<S, T>(
    state: &mut S,
    work: impl Fn(&mut S, usize) -> T,
    pieces: &Receiver<usize>,
    done: &Sender<(usize, Option<T>)>,
) {
    for number in pieces {
        // A panic must reach the one that waits, or it would wait forever.
        let result = catch_unwind(AssertUnwindSafe(|| work(state, number))).ok();
        // Nobody waits any more after an error.
        if done.send((number, result)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_come_in_order_and_few_wait() {
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut seen = Vec::new();
        let work = |_: &mut (), number: usize| {
            let begun = begun.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(begun <= taken.load(Ordering::SeqCst) + 3 * AHEAD);
            // The first piece is the slowest.
            std::thread::sleep(Duration::from_micros(if number == 5 { 20_000 } else { 50 }));
            number * number
        };
        in_order(
            5..200,
            3,
            || (),
            work,
            |number, square| {
                taken.fetch_add(1, Ordering::SeqCst);
                seen.push((number, square));
                Ok(())
            },
        )
        .unwrap();
        let expected: Vec<(usize, usize)> = (5..200).map(|n| (n, n * n)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn errors_and_panics_end_it() {
        let stop = |number, _| if number == 3 { Err(Failure::run("full")) } else { Ok(()) };
        let error = in_order(0..1000, 2, || (), |_, number| number, stop).unwrap_err();
        assert_eq!(error.error().to_string(), "full");
        let work = |_: &mut (), number: usize| assert!(number != 7, "on purpose");
        let error = in_order(0..1000, 2, || (), work, |_, ()| Ok(())).unwrap_err();
        assert!(error.error().to_string().contains("ended early"));
        in_order(4..4, 2, || (), |_, _| (), |_, ()| Ok(())).unwrap();
    }
}
