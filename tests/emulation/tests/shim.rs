//! The emulation finds what is wrong with broken kernels, and nothing with their twins.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

use cream_emulation::{Fault, Field, Launch};
use half::bf16;

/// What the launch of a kernel of `broken` on these blocks of 64 threads leaves in `y`, or what it did wrong.
fn run(kernel: &str, blocks: usize) -> Result<Vec<f32>, String> {
    let x: Vec<f32> = (0..64 * blocks).map(|i| i as f32).collect();
    let mut y = vec![0.0_f32; x.len()];
    let launch = Launch::new(kernel).input(&x).output(&mut y).sharing(256);
    match launch.over([blocks, 1, 1], [64, 1, 1]) {
        Ok(()) => Ok(y),
        Err(Fault(text)) => Err(text),
    }
}

fn assert_found(kernel: &str, blocks: usize, expected: &str) {
    let text = run(kernel, blocks).unwrap_err();
    assert!(text.starts_with(kernel) && text.contains(expected), "{text}");
}

fn reversed() -> Vec<f32> {
    (0..64).rev().map(|i| i as f32).collect()
}

#[test]
fn kernels_without_fault_pass() {
    assert_eq!(run("right_barrier", 1).unwrap(), reversed());
    assert_eq!(run("right_shared", 1).unwrap(), reversed());
    for same in ["right_second_barrier", "right_uniform_branch", "right_bounds", "right_vectors"] {
        let y = run(same, 1).unwrap();
        assert!(y.iter().enumerate().all(|(i, &v)| v == i as f32), "{same}: {y:?}");
    }
    let y = run("right_warp_barrier", 1).unwrap();
    assert!(y.iter().enumerate().all(|(i, &v)| v == (i ^ 1) as f32), "{y:?}");
    for kernel in ["right_renewal", "right_renewal_in_warp"] {
        assert_eq!(run(kernel, 1).unwrap(), [11.0; 64], "{kernel}");
    }
    assert!(run("right_one_writes", 2).unwrap().iter().all(|&v| v == 0.0));
}

#[test]
fn shuffles_are_those_of_a_warp() {
    let y = run("right_shuffles", 1).unwrap();
    for (i, &v) in y.iter().enumerate() {
        let (lane, first) = (i % 32, i / 32 * 32);
        // At the ends of a warp there is nobody else.
        let after = if lane < 31 { i + 1 } else { i };
        let before = if lane > 0 { i - 1 } else { i };
        let expected = after + 100 * before + 10_000 * first + 1_000_000 * (i ^ 1);
        assert_eq!(v, expected as f32, "thread {i}");
    }
    let y = run("right_shuffle_of_some", 1).unwrap();
    assert!(y.iter().enumerate().all(|(i, &v)| v == (if i % 32 < 16 { i ^ 1 } else { i }) as f32));
}

#[test]
fn missing_barriers_are_found() {
    assert_found("wrong_barrier_missing", 1, "of values, which nobody has written");
    assert_found("wrong_second_barrier_missing", 1, "with no barrier between them");
    assert_found("wrong_warp_barrier_missing", 1, "of values, which nobody has written");
    assert_found("wrong_renewal", 1, "reads with no barrier between them");
    assert_found("wrong_renewal_in_warp", 1, "reads with no barrier between them");
    assert_found("wrong_warp_barrier_between_warps", 1, "with no barrier between them");
}

#[test]
fn barriers_that_not_all_reach_are_found() {
    for kernel in [
        "wrong_barrier_of_half",
        "wrong_exit_before_barrier",
        "wrong_two_barriers",
        "wrong_shuffle_of_some",
    ] {
        assert_found(kernel, 1, "where not all others come");
        assert_found(kernel, 1, "barriers.cu:");
    }
}

#[test]
fn accesses_outside_buffers_are_found() {
    assert_found("wrong_write_past_end", 1, "writes byte 256 of buffer 1");
    assert_found("wrong_write_before_start", 1, "writes byte -4 of buffer 1");
    assert_found("wrong_read_past_end", 1, "reads byte 256 of buffer 0");
    assert_found("wrong_read_before_start", 1, "reads byte -4 of buffer 0");
    assert_found("wrong_read_far_outside", 1, "reads byte 4096 of buffer 0");
    assert_found("wrong_unseen_read_past_end", 1, "reaches outside buffer 0");
    assert_found("wrong_unseen_read_before_start", 1, "reaches outside buffer 0");
    assert_found("wrong_unseen_write", 1, "beside buffer 1: at byte -4");
    assert_found("wrong_vectors_astride", 1, "no multiple of the 16 bytes of a vector");
}

#[test]
fn memory_that_nobody_has_written_is_found() {
    assert_found("wrong_last_unwritten", 1, "nobody writes byte 252 of buffer 1");
    assert_found("wrong_read_of_unwritten", 1, "reads byte 0 of buffer 1, which nobody");
    assert_found("wrong_write_to_input", 1, "buffer 0, which is an input");
    assert_found("wrong_shared_unwritten", 1, "reads byte 256 of values");
    assert_found("wrong_shared_past_end", 1, "writes shared memory beside all variables");
}

#[test]
fn races_are_found() {
    for kernel in ["wrong_all_write", "wrong_all_write_the_same", "wrong_sum_without_atomic"] {
        assert_found(kernel, 1, "with no barrier between them");
    }
    for kernel in ["wrong_blocks_write", "wrong_blocks_read"] {
        assert_found(kernel, 2, "of another block writes with no barrier between them");
    }
}

#[test]
fn atomics_are_no_race_but_their_order_can_show() {
    let x: Vec<f32> = (0..128).map(|i| (7 + i * 37 % 128) as f32).collect();
    let mut least = [1000_i32];
    let launch = Launch::new("right_atomic_least").input(&x).changed(&mut least);
    launch.over([2, 1, 1], [64, 1, 1]).unwrap();
    assert_eq!(least, [7]);
    let mut sum = [0.0_f32];
    let launch = Launch::new("wrong_atomic_sum").input(&x).changed(&mut sum);
    let Fault(text) = launch.over([2, 1, 1], [64, 1, 1]).unwrap_err();
    assert!(text.contains("buffer 1 depends on the order of threads or blocks"), "{text}");
}

#[test]
fn launches_that_do_not_fit_are_refused() {
    let Fault(text) = Launch::new("right").over([1, 1, 1], [1, 1, 1]).unwrap_err();
    assert!(text.contains("no such kernel"), "{text}");
    let x = [0.0_f32; 64];
    for launch in [
        Launch::new("right_barrier").input(&x),
        Launch::new("right_barrier").input(&x).int(1),
        Launch::new("right_barrier").input(&x).structure([Field::Int(1)]),
    ] {
        let Fault(text) = launch.over([1, 1, 1], [64, 1, 1]).unwrap_err();
        assert!(text.contains("2 parameters, which the arguments do not fit"), "{text}");
    }
    let mut y = [0.0_f32; 64];
    let launch = Launch::new("right_barrier").input(&x).output(&mut y);
    let Fault(text) = launch.over([1, 1, 1], [2048, 1, 1]).unwrap_err();
    assert!(text.contains("1024 threads"), "{text}");
}

/// The shim's type against the one of Rust, for every exponent and what rounds up, down, to even, over and out.
#[test]
fn halves_round_to_the_nearest() {
    let upper = (0..=u16::MAX).step_by(7).chain([0x3f80, 0x3f81, 0x7f7f, 0x7f80, 0xff80, 0x0001]);
    let lower = [0_u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
    let x: Vec<f32> = upper
        .flat_map(|upper| lower.map(|lower| f32::from_bits(u32::from(upper) << 16 | lower)))
        .collect();
    let (mut narrow, mut wide) = (vec![bf16::ZERO; x.len()], vec![0.0_f32; x.len()]);
    let launch = Launch::new("right_halves").input(&x).output(&mut narrow).output(&mut wide);
    launch.int(x.len()).over([x.len().div_ceil(64), 1, 1], [64, 1, 1]).unwrap();
    for ((&x, &narrow), &wide) in x.iter().zip(&narrow).zip(&wide) {
        let expected = bf16::from_f32(x);
        if x.is_nan() {
            assert!(narrow.is_nan() && wide.is_nan(), "{:x}", x.to_bits());
        } else {
            assert_eq!(narrow.to_bits(), expected.to_bits(), "{x:e}");
            assert_eq!(wide, expected.to_f32(), "{x:e}");
        }
    }
}

/// Against float64, with the errors that CUDA's manual allows: 2 + 1.173 |x| ulp, 2^-21.41 near 1 and 3 ulp elsewhere, 2 ulp.
#[test]
fn fast_functions_are_as_near_as_on_a_device() {
    let x: Vec<f32> = (1..6400).map(|i| i as f32 * 0.0125).collect();
    let mut y = vec![0.0_f32; 3 * x.len()];
    let launch = Launch::new("right_fast").input(&x).output(&mut y).int(x.len());
    launch.over([x.len().div_ceil(64), 1, 1], [64, 1, 1]).unwrap();
    let ulp = |v: f64| v.abs() * 2.0_f64.powi(-23);
    for (x, y) in x.iter().zip(y.chunks_exact(3)) {
        let (wide, [exp, log, root]) = (f64::from(*x), [y[0], y[1], y[2]].map(f64::from));
        let exact = (-wide).exp();
        assert!((exp - exact).abs() <= (2.0 + 1.173 * wide) * ulp(exact), "e^-{x}");
        let (exact, near) = (wide.ln(), (0.5..=2.0).contains(x));
        let allowed = if near { 2.0_f64.powf(-21.41) } else { 3.0 * ulp(exact) };
        assert!((log - exact).abs() <= allowed, "ln {x}");
        assert!((root - 1.0 / wide.sqrt()).abs() <= 2.0 * ulp(1.0 / wide.sqrt()), "1 / root {x}");
    }
}
