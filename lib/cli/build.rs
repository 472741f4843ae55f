//! Tells the tools which commit they are built from: sets `CREAM_VERSION` for `cream_cli::VERSION`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For who builds outside a repository, as from a release's archive.
const OVERRIDE: &str = "CREAM_COMMIT";

/// So many digits name a commit uniquely in any repository that this one can become.
const DIGITS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    watch(&root.join("lib/cli/build.rs"));
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let given = env::var(OVERRIDE).unwrap_or_default();
    let commit = if !given.is_empty() {
        Some(checked(given)?)
    } else if env::var("PROFILE")? != "release" {
        // Following every edit and commit would relink all tools each time.
        Some("debug".to_owned())
    } else {
        from_git(&root)?
    };
    let package = env::var("CARGO_PKG_VERSION")?;
    let version = commit.map_or(package.clone(), |commit| format!("{package} ({commit})"));
    println!("cargo::rustc-env=CREAM_VERSION={version}");
    Ok(())
}

/// A line break would end cargo's line; `--version` prints one line, too.
fn checked(given: String) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    if given.len() <= 64 && given.chars().all(plain) {
        return Ok(given);
    }
    Err(format!("{OVERRIDE}={given:?}: give a commit: at most 64 letters, digits and .-_+"))
}

/// The commit that is checked out, as `1a2b3c4d5e6f[, modified]`; nothing without git or where the
/// sources are not the top of a repository: an archive unpacked inside one has a version of its own.
fn from_git(root: &Path) -> Result<Option<String>, Box<dyn Error>> {
    let Some(commit) = git(root, &["rev-parse", "HEAD"]) else { return Ok(None) };
    if git(root, &["rev-parse", "--show-prefix"]).is_none_or(|prefix| !prefix.is_empty()) {
        return Ok(None);
    }
    watch_head(root);
    let commit = commit.get(..DIGITS).unwrap_or(&commit);
    let sources = sources(root)?;
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(sources.iter().map(String::as_str));
    let clean = git(root, &status).is_some_and(|changes| changes.is_empty());
    sources.iter().for_each(|source| watch(&root.join(source)));
    Ok(Some(if clean { commit.to_owned() } else { format!("{commit}, modified") }))
}

/// What goes into the binaries, from the root on.
fn sources(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut sources =
        ["Cargo.toml", "Cargo.lock", "configs/arch", "configs/space"].map(str::to_owned).to_vec();
    for family in ["lib", "tools"] {
        for package in fs::read_dir(root.join(family))? {
            let package = format!("{family}/{}", package?.file_name().to_string_lossy());
            let parts = ["src", "Cargo.toml", "build.rs"].map(|part| format!("{package}/{part}"));
            sources.extend(parts.into_iter().filter(|part| root.join(part).exists()));
        }
    }
    sources.sort();
    Ok(sources)
}

/// A commit, a checkout and a reset change HEAD, the branch that it names, or, where that branch has
/// no file of its own, the packed ones. The log of HEAD records each, too.
fn watch_head(root: &Path) {
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"].map(str::to_owned);
    for name in names.into_iter().chain(branch) {
        let path = git(root, &["rev-parse", "--git-path", &name]);
        // Cargo would take a file that is missing for one that has always just changed.
        if let Some(path) = path.map(|path| root.join(path)).filter(|path| path.exists()) {
            watch(&path);
        }
    }
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// What git prints; nothing if there is no git or it has no answer.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // Set inside git's hooks, they would name another repository or index.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output =
        command.arg("--no-optional-locks").args(arguments).current_dir(root).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim_end().to_owned())
}
