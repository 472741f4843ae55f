//! Times training steps and inference passes of the networks, against the time that they cannot go below.

mod args;
mod floor;
mod machine;
mod measure;
mod memory;
mod operators;
mod report;
mod subject;
mod workload;

use std::process::ExitCode;

use cream_cli::{Failure, OrFail, write_stdout};
use cream_nn::ops::simd;
use cream_train::device;

use args::{Args, Plan, Request};
use machine::Machine;
use report::Row;

/// The program, on the process's command line.
pub fn main() -> ExitCode {
    cream_cli::main("bench", || run(&cream_cli::parse()?))
}

fn run(args: &Args) -> Result<(), Failure> {
    let simd = simd::check().map_err(Failure::input)?;
    let request = args.request()?;
    device::in_pool(args.threads, || {
        eprintln!("bench: with {simd} kernels");
        match &request {
            Request::Network(plan) => time(plan, args),
            Request::Operators => operators::run(args.batch, args.repeats(), args.json),
        }
    })
    .or_input()?
}

fn time(plan: &Plan, args: &Args) -> Result<(), Failure> {
    let device = device::open(&args.device, args.precision).or_input()?;
    if let Some(text) = device::describe(&args.device, &device) {
        eprintln!("bench: {text}");
    }
    let mut runs = Vec::new();
    for &mode in plan.mode.cases() {
        runs.push(measure::run(plan, mode, (&device, args.precision)).or_run()?);
    }
    // After the runs: its buffers would count as theirs in the peak of memory.
    let machine = Machine::measure(&device, args.precision).or_run()?;
    eprintln!("bench: this process reaches {machine}");
    for run in &runs {
        let row = Row::new(plan, args.precision, run, &machine);
        write_stdout(if args.json { row.json() } else { row.line() })?;
    }
    Ok(())
}
