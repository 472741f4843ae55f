//! The programs that `tests/gpu/run` starts, in one file: each alone would carry its own copy of the tensor library and
//! of its kernels. Which one it is says the name that it is started by, the first word of its command line.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match name.file_stem().and_then(|stem| stem.to_str()) {
        Some("supernet-train") => supernet_train::main(),
        Some("arch-retrain") => arch_retrain::main(),
        Some("bench") => cream_bench::main(),
        _ => {
            eprintln!(
                "gpu-kit: {}: start it by the name of supernet-train, arch-retrain or bench, as tests/gpu/run does",
                name.display()
            );
            ExitCode::from(2)
        }
    }
}
