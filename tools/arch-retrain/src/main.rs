//! Trains one network from scratch.

use std::process::ExitCode;

fn main() -> ExitCode {
    arch_retrain::main()
}
