//! Replays the seeds and the cases that fuzzers found, whole, cut and damaged. A reader that panics
//! is named with the file and what was done to it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

/// Readings of damaged copies per seed.
const DAMAGED: usize = 200;
/// Longest seed that is read damaged too.
const DAMAGED_BYTES: usize = 2_600;

/// Reads every seed of `target`, each at every length and with single bytes changed, in steps that
/// keep to [`DAMAGED`] of either.
fn replay(target: &str, read: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 10, "{}: seeds are missing", folder.display());
    for path in names {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(folder.parent().unwrap()).unwrap().display().to_string();
        let checked = |what: &dyn Fn() -> String, bytes: &[u8]| {
            let start = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| read(bytes))).is_err() {
                panic!("{name}, {}: see the panic above", what());
            }
            let seconds = start.elapsed().as_secs_f64();
            assert!(seconds < 10.0, "{name}, {}: took {seconds:.1} s", what());
        };
        checked(&|| "as it is".to_owned(), &bytes);
        if bytes.len() > DAMAGED_BYTES {
            continue;
        }
        let step = bytes.len().div_ceil(DAMAGED).max(1);
        for length in (0..bytes.len()).step_by(step) {
            checked(&|| format!("cut to {length} bytes"), &bytes[..length]);
        }
        let mut damaged = bytes.clone();
        for at in (0..bytes.len()).step_by(step) {
            // One bit, another one at each place, so that digits and letters become others.
            damaged[at] ^= 1 << (at % 8);
            checked(&|| format!("bit {} of byte {at} flipped", at % 8), &damaged);
            damaged[at] = bytes[at];
        }
    }
}

#[test]
fn architectures() {
    replay("architecture", cream_malformed::architecture);
}

#[test]
fn archives() {
    replay("archive", cream_malformed::archive);
}

#[test]
fn boards() {
    replay("board", cream_malformed::board);
}

#[test]
fn configs() {
    replay("config", cream_malformed::config);
}

#[test]
fn idx_files() {
    replay("idx", cream_malformed::idx);
}

#[test]
fn images() {
    replay("image", cream_malformed::image);
}

#[test]
fn list_files() {
    replay("list", cream_malformed::list);
}

#[test]
fn parquet_files() {
    replay("parquet", cream_malformed::parquet);
}

#[test]
fn pytorch_checkpoints() {
    replay("pth", cream_malformed::pth);
}

#[test]
fn shard_sets() {
    replay("shards", cream_malformed::shards);
}

#[test]
fn tensor_files() {
    replay("tensors", cream_malformed::tensors);
}
