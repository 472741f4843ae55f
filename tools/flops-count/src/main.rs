//! Counts the operations, parameters and memory of networks.

mod args;
mod output;

use std::process::ExitCode;

use anyhow::Context;
use cream_arch::{Architecture, Cost, published_file};
use cream_cli::{Failure, OrFail, read_or_shipped, write_stdout};

use args::Args;
use output::{Memory, Network};

/// Some ten thousand networks.
const MAX_BYTES: u64 = 64 << 20;

fn main() -> ExitCode {
    cream_cli::main("flops-count", || run(&cream_cli::parse()?))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut networks = Vec::new();
    for file in &args.files {
        let text = read_or_shipped(file, MAX_BYTES, published_file)?;
        let what = || if file == "-" { "standard input" } else { file }.to_owned();
        for architecture in Architecture::many_from_json(&text).with_context(what).or_input()? {
            networks.push(count(architecture, file, args).with_context(what).or_input()?);
        }
    }
    write_stdout(output::render(&networks, args.format, args.convention.into()))
}

fn count(architecture: Architecture, file: &str, args: &Args) -> anyhow::Result<Network> {
    let architecture = match args.image_size {
        Some(size) => architecture.with_image_size(size).context("--image-size")?,
        None => architecture,
    };
    let cost = Cost::of(&architecture);
    let memory = match args.batch {
        Some(batch) => Some(Memory {
            batch,
            inference_bytes: cost.inference_memory(batch)?,
            training_bytes: cost.training_memory(batch)?,
        }),
        None => None,
    };
    let file = if file == "-" { None } else { Some(file.to_owned()) };
    Ok(Network { file, architecture, cost, memory })
}
