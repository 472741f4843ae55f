//! Every operator by itself.
//!
//! A forward pass is timed as it stands. A backward pass is that of the sum of the operator's outputs: its forward
//! pass runs before, untimed, and what is timed holds besides the operator's own gradient what the tensor library adds
//! to each: ones as the gradient of the sum, zeros for every input, and the gradient added to them.
//!
//! Rates count the necessary traffic, every operand read once and every result written once, 4 bytes an
//! element, however often an operator really passes over them.

mod cases;

use std::time::{Duration, Instant};

use candle_core::Result;
use cream_cli::{Failure, OrFail, write_stdout};
use serde::Serialize;

use crate::args::Repeats;
use crate::measure::Spread;

/// Runs once and says how long what is to be timed of it took.
type Run = Box<dyn Fn() -> Result<Duration>>;

/// An operator at a shape.
struct Case {
    name: String,
    work: Work,
    /// Makes the inputs; apart, so that only one case's are in memory.
    prepare: Box<dyn Fn() -> Result<Run>>,
}

/// What one run must do.
#[derive(Clone, Copy)]
struct Work {
    /// Elements read and written.
    elements: usize,
    /// Multiplications and additions, where they and not the traffic bound the operator.
    flops: Option<usize>,
}

/// A case that was timed.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    threads: usize,
    ms: f64,
    ms_low: f64,
    ms_high: f64,
    gb_per_s: f64,
    gflop_per_s: Option<f64>,
}

/// Least seconds that a case is timed for: many runs of what takes microseconds.
const LEAST_SECONDS: f64 = 0.05;

/// Times every operator on batches of `batch` images and prints a line for each.
///
/// # Errors
/// When an operator fails, or standard output.
pub fn run(batch: usize, repeats: Repeats, json: bool) -> std::result::Result<(), Failure> {
    for case in cases::all(batch) {
        let spread = time(&case, repeats).or_run()?;
        let row = Row::new(&case, spread);
        write_stdout(if json { row.json() } else { row.line() })?;
    }
    Ok(())
}

fn time(case: &Case, repeats: Repeats) -> anyhow::Result<Spread> {
    let run = (case.prepare)()?;
    for _ in 0..repeats.warmup {
        run()?;
    }
    let start = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < repeats.timed || start.elapsed().as_secs_f64() < LEAST_SECONDS {
        seconds.push(run()?.as_secs_f64());
    }
    Spread::of(&seconds).ok_or_else(|| anyhow::anyhow!("{}: no run was timed", case.name))
}

impl<'a> Row<'a> {
    fn new(case: &'a Case, seconds: Spread) -> Self {
        let giga_per_second = |count: usize| count as f64 / seconds.median / 1e9;
        Self {
            name: &case.name,
            threads: rayon::current_num_threads(),
            ms: seconds.median * 1e3,
            ms_low: seconds.low * 1e3,
            ms_high: seconds.high * 1e3,
            gb_per_s: giga_per_second(4 * case.work.elements),
            gflop_per_s: case.work.flops.map(giga_per_second),
        }
    }

    fn line(&self) -> String {
        let Self { name, threads, ms, ms_low, ms_high, gb_per_s, .. } = self;
        let flops = self.gflop_per_s.map_or(String::new(), |rate| format!("  {rate:>6.1} GFLOP/s"));
        format!(
            "{name:<56} threads {threads}  {ms:>8.3} ms ({ms_low:.3} to {ms_high:.3})  {gb_per_s:>6.1} GB/s{flops}\n"
        )
    }

    fn json(&self) -> String {
        // A plain struct of numbers and texts cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}
