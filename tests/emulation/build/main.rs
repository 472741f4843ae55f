//! Compiles every kernel of the operators, and the broken ones of the tests, as C++ for the host.

mod units;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};
use units::{compiler, sources, write_units};

fn main() {
    if let Err(problem) = compile_all() {
        println!("cargo::error={}", problem.to_string().replace('\n', " "));
    }
}

fn compile_all() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo has not set OUT_DIR")?);
    let mut sources = sources()?;
    for entry in fs::read_dir("broken")? {
        sources.push(entry?.path());
    }
    sources.sort();
    let (units, list) = write_units(&sources, &out)?;
    let mut kernels = compiler();
    // Its calls tell of every access; the sanitizer's own runtime is not there.
    kernels.flag("-fsanitize=thread").files(units);
    let objects = kernels.try_compile_intermediates()?;
    let mut shim = compiler();
    shim.file(list).objects(objects);
    for file in ["emulate.cpp", "run.cpp", "watch.cpp", "hooks.cpp"] {
        shim.file(Path::new("shim").join(file));
    }
    shim.try_compile("cream_emulation")?;
    Ok(())
}
