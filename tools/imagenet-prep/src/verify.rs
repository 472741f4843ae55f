//! `imagenet-prep verify OUT`: every file of a set against its checksum.

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::shards::checksum;
use cream_data::shards::index::{FileRecord, Index};
use cream_data::{DataError, ShardSet};
use serde_json::json;
use std::path::Path;

use crate::args::VerifyArgs;
use crate::parallel::in_order;

/// Reads every shard and table in parallel. Those that differ are named on standard output, one a line,
/// with the reason; then the tables' rules are checked.
///
/// # Errors
/// [`Failure::Input`] when a file is missing or differs, or the index is broken.
pub fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let (index, _) = Index::read(&args.out).or_input()?;
    let splits = &index.splits;
    let files: Vec<&FileRecord> = [&splits.train, &splits.val]
        .into_iter()
        .flat_map(|split| split.shards.iter().chain([&split.table]))
        .collect();
    let progress = Progress::new(files.len() as u64, "files", args.report.style());
    let mut broken = Vec::new();
    let work = |(): &mut (), number: usize| compare(&args.out, files[number]);
    in_order(
        0..files.len(),
        args.workers()?,
        || (),
        work,
        |number, fault| {
            progress.advance(1);
            broken.extend(fault.map(|fault| (&*files[number].file, fault)));
            Ok(())
        },
    )?;
    progress.finish();
    let lines = broken.iter().map(|(file, fault)| format!("{file}: {fault}\n"));
    write_stdout(lines.collect::<String>())?;
    let out = args.out.display();
    if let Some((first, _)) = broken.first() {
        let (count, of) = (broken.len(), files.len());
        return Err(Failure::input(format!(
            "{out}: broken files: {count} of {of}, the first {first}; copy them again or make the set \
             anew with --overwrite"
        )));
    }
    let set = ShardSet::open(&args.out).or_input()?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let fields = json!({ "out": args.out, "files": files.len(), "bytes": bytes });
    let text = format!(
        "{out}: {} files of {:.1} MB agree with their checksums; {} classes",
        files.len(),
        bytes as f64 / 1e6,
        set.num_classes()
    );
    progress.event("verified", fields, text);
    Ok(())
}

/// How a file differs from what the index says of it.
fn compare(dir: &Path, record: &FileRecord) -> Option<String> {
    let path = dir.join(&record.file);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("missing".to_owned()),
        Err(error) => Some(DataError::io(&path)(error).to_string()),
        Ok(found) if found.len() != record.bytes => {
            Some(format!("{} bytes, but index.json says {}", found.len(), record.bytes))
        }
        Ok(_) => match checksum::of_file(&path) {
            Err(error) => Some(DataError::io(&path)(error).to_string()),
            Ok(sum) if sum != record.sha256 => {
                Some(format!("its SHA-256 is {sum}, but index.json says {}", record.sha256))
            }
            Ok(_) => None,
        },
    }
}
