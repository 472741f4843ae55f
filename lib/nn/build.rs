//! With the feature `cuda`, compiles every `src/ops/<op>/kernel.cu` to PTX for compute capability 8.0, which the driver
//! translates for the device that it finds. Without the feature there is nothing to do.
//!
//! The compiler is the one that Candle's kernels need anyway: `NVCC`, or `nvcc` in the path or in the toolkit's folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The oldest compute capability that the kernels run on.
const ARCHITECTURE: &str = "compute_80";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    if let Err(problem) = compile_all() {
        println!("cargo::error={}", problem.replace('\n', " "));
    }
}

fn compile_all() -> Result<(), String> {
    let operators = Path::new("src/ops");
    let variable = |name: &str| env::var_os(name).ok_or(format!("cargo has not set {name}"));
    let out = PathBuf::from(variable("OUT_DIR")?);
    let compiler = compiler()?;
    let headers = operators.join("cuda");
    println!("cargo::rerun-if-changed={}", headers.display());
    let entries = fs::read_dir(operators).map_err(|e| format!("{}: {e}", operators.display()))?;
    for folder in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let source = folder.join("kernel.cu");
        println!("cargo::rerun-if-changed={}", folder.display());
        if let (true, Some(name)) = (source.is_file(), folder.file_name()) {
            let ptx = out.join(name).with_extension("ptx");
            compile(&compiler, &source, &headers, &ptx)?;
        }
    }
    Ok(())
}

/// The first compiler that there is.
fn compiler() -> Result<PathBuf, String> {
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Some(given) = env::var_os("NVCC") {
        return Ok(given.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    let toolkits = toolkits.map(PathBuf::from).chain(["/usr/local/cuda".into()]);
    let folders = env::split_paths(&path).chain(toolkits.map(|toolkit| toolkit.join("bin")));
    let names = folders.map(|folder| folder.join(format!("nvcc{}", env::consts::EXE_SUFFIX)));
    names.into_iter().find(|name| name.is_file()).ok_or_else(|| {
        "the feature cuda needs nvcc: install the CUDA toolkit 12.0 or newer and put nvcc in the path or its name in \
         NVCC, or build without the feature"
            .to_owned()
    })
}

fn compile(compiler: &Path, source: &Path, headers: &Path, ptx: &Path) -> Result<(), String> {
    let output = Command::new(compiler)
        .args(["--ptx", "--std=c++17", "-O3", "-arch", ARCHITECTURE, "-I"])
        .arg(headers)
        .arg("-o")
        .arg(ptx)
        .arg(source)
        .output()
        .map_err(|e| format!("{}: {e}; give the CUDA compiler in NVCC", compiler.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!("{} does not compile {}: {said}", compiler.display(), source.display()))
}
