//! Compiles every kernel of the operators as C++ for the host, without anything that watches it.

#[path = "../../emulation/build/units.rs"]
mod units;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use units::{compiler, sources, write_units};

fn main() {
    if let Err(problem) = compile_all() {
        println!("cargo::error={}", problem.to_string().replace('\n', " "));
    }
}

fn compile_all() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo has not set OUT_DIR")?);
    println!("cargo::rerun-if-changed=shim");
    let (units, list) = write_units(&sources()?, &out)?;
    let mut build = compiler();
    build.opt_level(2).files(units).file(list);
    build.files(["../emulation/shim/run.cpp", "shim/unwatched.cpp", "shim/launch.cpp"]);
    build.try_compile("cream_emulated_kernels")?;
    Ok(())
}
