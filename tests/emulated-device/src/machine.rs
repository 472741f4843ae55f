//! Streams and events: what was put where, and how far it has been done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Work of a stream.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

enum Step {
    Do(Work),
    /// Wait until another stream has done so many steps.
    After {
        stream: u64,
        steps: u64,
    },
}

#[derive(Default)]
struct Stream {
    waiting: VecDeque<Step>,
    /// Steps that were done, and those that were ever put in.
    done: u64,
    put: u64,
}

/// The device's streams and events by their handles.
pub(crate) struct Machine {
    streams: BTreeMap<u64, Stream>,
    /// Where an event was recorded last.
    events: BTreeMap<u64, (u64, u64)>,
    soon: bool,
    next: u64,
}

/// The one machine.
pub(crate) fn machine() -> MutexGuard<'static, Machine> {
    static MACHINE: LazyLock<Mutex<Machine>> = LazyLock::new(|| {
        let soon = std::env::var("EMULATED_DEVICE").is_ok_and(|order| order == "soon");
        Mutex::new(Machine { soon, ..Machine::new() })
    });
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    fn new() -> Self {
        // Smaller handles are those of the streams that exist without being made.
        let (streams, events, soon, next) = (BTreeMap::new(), BTreeMap::new(), false, 0x1000);
        Self { streams, events, soon, next }
    }

    /// A handle that no other thing has.
    pub(crate) fn handle(&mut self) -> u64 {
        self.next += 0x10;
        self.next
    }

    fn put(&mut self, stream: u64, step: Step) {
        let own = self.streams.entry(stream).or_default();
        own.waiting.push_back(step);
        own.put += 1;
        if self.soon {
            self.finish(stream);
        }
    }

    /// Puts work into a stream.
    pub(crate) fn work(&mut self, stream: u64, work: impl FnOnce() + Send + 'static) {
        self.put(stream, Step::Do(Box::new(work)));
    }

    /// Records an event behind all that is in a stream.
    pub(crate) fn record(&mut self, event: u64, stream: u64) {
        let steps = self.streams.entry(stream).or_default().put;
        self.events.insert(event, (stream, steps));
    }

    /// Lets a stream wait for what an event was recorded behind, if it was.
    pub(crate) fn wait(&mut self, stream: u64, event: u64) {
        if let Some(&(other, steps)) = self.events.get(&event) {
            self.put(stream, Step::After { stream: other, steps });
        }
    }

    /// Whether what an event was recorded behind is done. It will be when the next one asks.
    pub(crate) fn query(&mut self, event: u64) -> bool {
        let Some(&(stream, steps)) = self.events.get(&event) else { return true };
        let done = self.streams.get(&stream).is_none_or(|stream| stream.done >= steps);
        self.run(stream, steps);
        done
    }

    /// Does all that an event was recorded behind.
    pub(crate) fn reach(&mut self, event: u64) {
        if let Some(&(stream, steps)) = self.events.get(&event) {
            self.run(stream, steps);
        }
    }

    /// Forgets an event; streams that wait for it go on to do so.
    pub(crate) fn forget(&mut self, event: u64) {
        self.events.remove(&event);
    }

    /// Does all that is in a stream.
    pub(crate) fn finish(&mut self, stream: u64) {
        self.run(stream, u64::MAX);
    }

    /// Does all that is in any stream.
    pub(crate) fn finish_all(&mut self) {
        let streams: Vec<u64> = self.streams.keys().copied().collect();
        streams.into_iter().for_each(|stream| self.finish(stream));
    }

    /// Does a stream's steps up to this number.
    fn run(&mut self, stream: u64, steps: u64) {
        loop {
            let Some(own) = self.streams.get_mut(&stream) else { return };
            if own.done >= steps {
                return;
            }
            let Some(step) = own.waiting.pop_front() else { return };
            match step {
                Step::Do(work) => work(),
                Step::After { stream, steps } => self.run(stream, steps),
            }
            if let Some(own) = self.streams.get_mut(&stream) {
                own.done += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;
    use std::sync::{Arc, Mutex};

    #[test]
    fn work_is_done_when_it_must_be_and_in_its_order() {
        let mut machine = Machine::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let say = |word: &'static str| {
            let seen = Arc::clone(&seen);
            move || seen.lock().unwrap().push(word)
        };
        machine.work(1, say("copied"));
        machine.record(7, 1);
        machine.work(1, say("later"));
        machine.work(2, say("before"));
        machine.wait(2, 7);
        machine.work(2, say("after"));
        assert!(seen.lock().unwrap().is_empty());
        machine.finish(2);
        assert_eq!(*seen.lock().unwrap(), ["before", "copied", "after"]);
        machine.record(8, 1);
        assert!(!machine.query(8) && machine.query(8));
        assert_eq!(seen.lock().unwrap().last(), Some(&"later"));
        // An event that was never recorded is not waited for.
        machine.wait(2, 9);
        assert!(machine.query(9));
    }
}
