//! Trains a supernet and ranks its best paths.

use std::process::ExitCode;

fn main() -> ExitCode {
    supernet_train::main()
}
