//! What the run did, on standard error.

use cream_cli::progress::Progress;
use cream_data::shards::index::{FileRecord, SplitFiles};
use serde_json::json;

use crate::args::Options;
use crate::prepare::{QUARANTINE, Report};

/// Says that there was nothing to do.
pub fn up_to_date(options: &Options) {
    let progress = Progress::new(0, "images", options.style);
    let text = format!("{}: up to date", options.out.display());
    progress.event("up_to_date", json!({ "out": options.out.display().to_string() }), text);
}

/// Says what was written.
pub fn print(report: &Report, options: &Options) {
    let progress = Progress::new(0, "images", options.style);
    let (train, val) = (&report.index.splits.train, &report.index.splits.val);
    let bytes = bytes(train) + bytes(val);
    let fields = json!({
        "out": options.out.display().to_string(),
        "classes": report.index.classes.len(),
        "train": train.samples,
        "search_val": train.search_validation,
        "val": val.samples,
        "quarantined": report.bad,
        "ignored": report.ignored,
        "shards": train.shards.len() + val.shards.len(),
        "bytes": bytes,
    });
    let text = format!(
        "{}: {} classes, {} training images ({} of them for search validation), {} validation images, \
         {} set aside; {:.1} MB in {} shards",
        options.out.display(),
        report.index.classes.len(),
        train.samples,
        train.search_validation,
        val.samples,
        report.bad,
        bytes as f64 / 1e6,
        train.shards.len() + val.shards.len(),
    );
    progress.event("done", fields, text);
    if report.bad > 0 {
        let path = options.out.join(QUARANTINE);
        progress.warning(format!("{} images were set aside; see {}", report.bad, path.display()));
    }
    if report.ignored > 0 {
        progress
            .message(format!("{} files not called like an image were passed over", report.ignored));
    }
}

fn bytes(split: &SplitFiles) -> u64 {
    split.shards.iter().chain([&split.table]).map(|FileRecord { bytes, .. }| bytes).sum()
}
