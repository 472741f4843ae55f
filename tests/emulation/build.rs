//! Compiles every kernel as C++ for the host, against the shim.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const OPERATORS: &str = "../../lib/nn/src/ops";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={OPERATORS}");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=broken");
    let mut sources = Vec::new();
    for entry in fs::read_dir(OPERATORS)? {
        let kernel = entry?.path().join("kernel.cu");
        if kernel.exists() {
            sources.push(kernel);
        }
    }
    for entry in fs::read_dir("broken")? {
        sources.push(entry?.path());
    }
    sources.sort();
    let mut build = compiler();
    build.file("shim/scheduler.cpp");
    let mut table = String::from("#include \"scheduler.h\"\n");
    let (mut kernels, mut counts) = (String::new(), String::new());
    for (number, source) in sources.iter().enumerate() {
        let names = names(source, &out)?;
        // Inside a namespace without a name, so that what every source includes is its own.
        let mut text = format!(
            "#include \"device.h\"\n#include <cuda_bf16.h>\nnamespace {{\n#include \"{}\"\n}}\n",
            fs::canonicalize(source)?.display()
        );
        writeln!(text, "extern const emulation::Kernel kernels_{number}[] = {{")?;
        names.iter().try_for_each(|name| writeln!(text, "    EMULATED({name}),"))?;
        text += "};\n";
        let file = out.join(format!("source_{number}.cpp"));
        fs::write(&file, text)?;
        build.file(file);
        writeln!(table, "extern const emulation::Kernel kernels_{number}[];")?;
        write!(kernels, "kernels_{number}, ")?;
        write!(counts, "{}, ", names.len())?;
    }
    writeln!(table, "extern const emulation::Kernel *const KERNELS[] = {{{kernels}}};")?;
    writeln!(table, "extern const size_t KERNEL_COUNTS[] = {{{counts}}};")?;
    writeln!(table, "extern const size_t SOURCES = {};", sources.len())?;
    let file = out.join("table.cpp");
    fs::write(&file, table)?;
    build.file(file).try_compile("emulated_kernels")?;
    Ok(())
}

fn compiler() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(1).include("shim").include(format!("{OPERATORS}/cuda"));
    // CUDA's compiler knows these; the comparison of int and unsigned is its idiom.
    build.flag_if_supported("-Wno-unknown-pragmas").flag_if_supported("-Wno-sign-compare");
    build.flag_if_supported("-Wno-unused-function").flag_if_supported("-Wno-subobject-linkage");
    build
}

/// Names of a source's kernels, as they are once macros have made them.
fn names(source: &Path, out: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let file = out.join("expanded.cpp");
    let include = fs::canonicalize(source)?;
    fs::write(&file, format!("#include \"device.h\"\n#include \"{}\"\n", include.display()))?;
    let mut build = compiler();
    let expanded = build.define("__global__", "EMULATED_KERNEL").file(file).try_expand()?;
    let text = String::from_utf8(expanded)?;
    let kernels = text.split("EMULATED_KERNEL void ").skip(1);
    Ok(kernels.filter_map(|text| Some(text.split_once('(')?.0.trim().to_owned())).collect())
}
