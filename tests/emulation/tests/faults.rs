//! The emulation finds what is wrong with kernels that are, and nothing with their twins.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

mod numbers;

use cream_emulation::{Fault, Launch};
use numbers::{from_f32, to_f32, unwritten};

fn rising(count: usize) -> Vec<u8> {
    from_f32(&(0..count).map(|i| i as f32).collect::<Vec<_>>())
}

/// A kernel of 64 threads that reads 64 numbers and writes as many.
fn of_64(kernel: &str) -> Launch {
    Launch::new(kernel, [1, 1], [64, 1]).buffer(rising(64)).buffer(unwritten::<f32>(64))
}

fn fault(launch: Launch) -> String {
    let Fault(text) = launch.run().unwrap_err();
    text
}

#[test]
fn a_missing_barrier_is_found() {
    let found = of_64("reverse_f32").run().unwrap();
    assert_eq!(to_f32(&found[1])[..3], [63.0, 62.0, 61.0]);
    let text = fault(of_64("reverse_without_barrier_f32"));
    assert!(text.contains("buffer 1 depends on the order of threads"), "{text}");
}

#[test]
fn barriers_that_not_all_threads_reach_are_found() {
    for kernel in ["halved_barrier_f32", "split_barrier_f32"] {
        let text = fault(of_64(kernel));
        assert!(text.contains("barriers.cu:") && text.contains("where not all come"), "{text}");
    }
    let found = of_64("exchange_f32").int(64).run().unwrap();
    assert_eq!(to_f32(&found[1])[..3], [1.0, 1.0, 5.0]);
    let text = fault(of_64("exchange_f32").int(40));
    assert!(text.contains("where not all come"), "{text}");
}

#[test]
fn an_index_off_by_one_is_found() {
    let copy = |from: i32, count: usize, room: usize| {
        let launch = Launch::new("copy_f32", [1, 1], [64, 1]).buffer(rising(64));
        let launch = launch.buffer(unwritten::<f32>(room));
        launch.argument(cream_emulation::Argument::Int(from)).int(count)
    };
    assert_eq!(to_f32(&copy(0, 64, 64).run().unwrap()[1])[63], 63.0);
    // Written past the end, read past the end, and written before the start.
    for launch in [copy(0, 64, 63), copy(1, 64, 65), copy(-1, 64, 64)] {
        let text = fault(launch);
        assert!(
            text.contains("past the end of a buffer") || text.contains("outside buffer"),
            "{text}"
        );
    }
}

#[test]
fn a_race_is_found() {
    let launch = |kernel, blocks, threads| {
        Launch::new(kernel, [blocks, 1], [threads, 1])
            .buffer(rising(64))
            .buffer(unwritten::<f32>(1))
    };
    assert_eq!(to_f32(&launch("first_f32", 2, 32).run().unwrap()[1]), [0.0]);
    // Between threads, and between blocks.
    for launch in [launch("last_f32", 1, 64), launch("last_f32", 64, 1)] {
        let text = fault(launch);
        assert!(text.contains("depends on the order of threads"), "{text}");
    }
}

#[test]
fn shared_memory_holds_no_number_before_it_is_written() {
    let launch = Launch::new("leftover_f32", [2, 1], [32, 1]).buffer(unwritten::<f32>(64));
    assert!(to_f32(&launch.run().unwrap()[0]).iter().all(|value| value.is_nan()));
}

#[test]
fn a_kernel_that_is_not_there_is_named() {
    let text = fault(of_64("revers_f32"));
    assert!(text.contains("there is no kernel revers_f32 of 2 arguments"), "{text}");
}
