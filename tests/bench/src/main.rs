//! Times training steps and inference passes of the networks, against the time that they cannot go below.

use std::process::ExitCode;

fn main() -> ExitCode {
    cream_bench::main()
}
