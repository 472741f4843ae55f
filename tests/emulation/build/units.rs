//! Kernels as C++ for the host, for the build scripts that compile them.
//!
//! A source is preprocessed behind the shim, so that the names of kernels that macros make can be seen; then it becomes a
//! translation unit with a table of them. All of a source is in a namespace without a name: kernels.cu of different
//! operators have functions of the same name.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

// As they lie beside the crates that are built by this, which are siblings.
const FOLDER: &str = "../emulation";
const OPERATORS: &str = "../../lib/nn/src/ops";

/// The compiler of everything here.
pub fn compiler() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(1).debug(false).warnings(true).extra_warnings(true);
    build.include(Path::new(FOLDER).join("shim")).include(Path::new(OPERATORS).join("cuda"));
    // Fused products and sums would make the results another machine's; fibers jump between stacks.
    build.flag("-ffp-contract=off").flag("-U_FORTIFY_SOURCE");
    // What CUDA's compiler knows or does not mind.
    build.flag("-Wno-unknown-pragmas").flag("-Wno-sign-compare");
    build
}

/// The sources of all operators, in the order of their names. Cargo is told to look at what they are made of.
pub fn sources() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    // A new operator changes the list of them; the rest of their folders is none of this.
    for place in [&format!("{OPERATORS}/mod.rs"), FOLDER] {
        println!("cargo::rerun-if-changed={place}");
    }
    for entry in fs::read_dir(Path::new(OPERATORS).join("cuda"))? {
        println!("cargo::rerun-if-changed={}", entry?.path().display());
    }
    let mut sources = Vec::new();
    for entry in fs::read_dir(OPERATORS)? {
        sources.push(entry?.path().join("kernel.cu"));
    }
    sources.retain(|source| source.is_file());
    sources.sort();
    Ok(sources)
}

/// Writes the translation units of sources, and a list of their tables; returns the units and the list.
pub fn write_units(
    sources: &[PathBuf],
    out: &Path,
) -> Result<(Vec<PathBuf>, PathBuf), Box<dyn Error>> {
    let (mut units, mut tables) = (Vec::new(), Vec::new());
    for (number, source) in sources.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", source.display());
        let unit = out.join(format!("unit{number}.cpp"));
        fs::write(&unit, translation_unit(source, out, number)?)?;
        units.push(unit);
        tables.push(format!("TABLE_{number}"));
    }
    let list = out.join("tables.cpp");
    fs::write(&list, list_of(&tables)?)?;
    Ok((units, list))
}

/// A source after the preprocessor, without what only CUDA knows, and a table of its kernels.
fn translation_unit(source: &Path, out: &Path, number: usize) -> Result<String, Box<dyn Error>> {
    let wrapper = out.join(format!("wrapper{number}.cpp"));
    let source = fs::canonicalize(source)?;
    let include = format!("#include \"{}\"", source.display());
    fs::write(&wrapper, format!("#include \"cuda_runtime.h\"\nnamespace {{\n{include}\n}}\n"))?;
    let marks = ["__global__", "__shared__"].map(|word| (word, format!("EMULATED{word}")));
    let mut preprocessor = compiler();
    for (word, mark) in &marks {
        preprocessor.define(word, mark.as_str());
    }
    let text = String::from_utf8(preprocessor.file(&wrapper).try_expand()?)?;
    let [kernel, shared] = marks.map(|(_, mark)| mark);
    let mut entries = String::new();
    for rest in text.split(&kernel).skip(1) {
        let declared = rest.split_once('(').map_or("", |(declared, _)| declared);
        let name = declared.trim().trim_start_matches("void").trim();
        writeln!(entries, "    emulation::entry<&{name}>(\"{name}\"),")?;
    }
    let text = with_shared_memory(&text.replace(&kernel, ""), &shared)?;
    Ok(format!(
        "{text}\nextern const emulation::Kernel TABLE_{number}[] = {{\n{entries}}};\n\
         extern const size_t TABLE_{number}_LENGTH = sizeof TABLE_{number} / sizeof *TABLE_{number};\n"
    ))
}

/// Shared memory as references to what the shim has of it; that whose size a launch gives, as a pointer. The address of a
/// static variable is the key, of which every instance of a template has its own.
fn with_shared_memory(text: &str, mark: &str) -> Result<String, String> {
    let mut pieces = text.split(mark);
    let mut done = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (declared, rest) = piece.split_once(';').unwrap_or_default();
        let (declared, external) = (declared.trim(), done.trim_end().ends_with("extern"));
        let (first, sides) = declared.split_once('[').unwrap_or((declared, ""));
        let (kind, name) = first.trim().rsplit_once(' ').unwrap_or_default();
        if name.is_empty() || declared.contains(',') || external != (sides.trim() == "]") {
            return Err(format!("shared memory that the emulation cannot read: {declared}"));
        }
        if external {
            done.truncate(done.trim_end().len() - "extern".len());
            write!(done, "{kind} *{name} = ({kind} *)emulation::dynamic_shared();{rest}")
        } else {
            write!(
                done,
                "static char key_of_{name}; typedef {kind} type_of_{name}{}; type_of_{name} &{name} = \
                 *(type_of_{name} *)emulation::share(sizeof(type_of_{name}), &key_of_{name}, \"{name}\");{rest}",
                &declared[first.len()..]
            )
        }
        .map_err(|e| e.to_string())?;
    }
    Ok(done)
}

/// The source that lists the tables for the shim.
fn list_of(tables: &[String]) -> Result<String, std::fmt::Error> {
    let mut list = "#include \"emulation.h\"\n".to_owned();
    for table in tables {
        writeln!(list, "extern const emulation::Kernel {table}[];")?;
        writeln!(list, "extern const size_t {table}_LENGTH;")?;
    }
    let lengths: Vec<String> = tables.iter().map(|table| format!("&{table}_LENGTH")).collect();
    writeln!(list, "extern const emulation::Kernel *const KERNELS[] = {{{}}};", tables.join(", "))?;
    writeln!(list, "extern const size_t *const KERNEL_COUNTS[] = {{{}}};", lengths.join(", "))?;
    writeln!(list, "extern const size_t SOURCES = {};", tables.len())?;
    Ok(list)
}
