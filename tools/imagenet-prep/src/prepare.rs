//! Makes the set of a listing: its shards, what was set aside, and the index last.

use std::path::Path;

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail};
use cream_data::files::write_whole;
use cream_data::shards::index::Index;
use cream_data::shards::writer::{WrittenSplit, mark_search_validation, write_index};
use cream_data::{DataError, Split};
use imagenet_prep::source::{Listing, SetAside};
use serde_json::{Value, json};

use crate::args::Options;
use crate::out::Claimed;
use crate::resume::Records;
use crate::space;
use crate::write::Part;

/// Name of the report of images set aside.
pub const QUARANTINE: &str = "quarantine.csv";

/// What a run did.
pub struct Report {
    /// The finished set.
    pub index: Index,
    /// Images set aside.
    pub bad: usize,
    /// Files passed over.
    pub ignored: u64,
}

/// Writes the whole set, but for the shards that an earlier run finished.
///
/// # Errors
/// [`Failure::Input`] when the set would not fit on the disk. [`Failure::Run`] when writing fails, or
/// when more images are bad than allowed; the report of these is then there, and no index.
pub fn prepare(
    listing: Listing,
    inputs: Value,
    options: &Options,
    folder: &Claimed,
) -> Result<Report, Failure> {
    let out = folder.path();
    let records = Records::new(out, &inputs);
    let part = |split, items| Part::recall(split, items, &records, options);
    let (train, val) = (part(Split::Train, &listing.train), part(Split::Validation, &listing.val));
    if !options.no_space_check {
        space::check([&train, &val], options, folder)?;
    }
    folder.clear(|file| train.keeps(file) || val.keeps(file))?;
    let total = listing.train.len() + listing.val.len();
    let done = train.done() + val.done();
    let progress = Progress::new(total as u64, "images", options.style).starting_at(done as u64);
    if done > 0 {
        progress.message(format!("going on after {done} images, whose shards are finished"));
    }
    let mut bad = listing.bad;
    let total = total + bad.len();
    let mut train = train.write(out, &records, options, &progress, &mut bad)?;
    let val = val.write(out, &records, options, &progress, &mut bad)?;
    progress.finish();
    write_quarantine(out, &bad, &listing.classes.ids)?;
    judge(&bad, total, options)?;
    if let Some(empty) = first_empty(&train, listing.classes.ids.len()) {
        let class = &listing.classes.ids[empty];
        return Err(Failure::run(format!(
            "class {class}: all its training images are bad; see {QUARANTINE}"
        )));
    }
    mark_search_validation(&mut train.rows, options.search_val_share, options.choice.seed);
    let made = json!({ "by": "imagenet-prep", "inputs": inputs, "quarantined": bad.len() });
    let index = write_index(out, listing.classes, train, val, made).or_run()?;
    Ok(Report { index, bad: bad.len(), ignored: listing.ignored })
}

fn first_empty(train: &WrittenSplit, classes: usize) -> Option<usize> {
    let mut present = vec![false; classes];
    for row in &train.rows {
        present[row.class as usize] = true;
    }
    present.iter().position(|present| !present)
}

fn judge(bad: &[SetAside], total: usize, options: &Options) -> Result<(), Failure> {
    let share = bad.len() as f64 / total.max(1) as f64;
    if bad.is_empty() || share <= options.max_bad_share {
        return Ok(());
    }
    Err(Failure::run(format!(
        "{} of {total} images are bad ({:.2} %, more than --max-bad-share {}), the first {}: {}; \
         see {}, then repair them or allow a larger share",
        bad.len(),
        share * 100.0,
        options.max_bad_share,
        bad[0].name,
        bad[0].reason,
        options.out.join(QUARANTINE).display()
    )))
}

fn write_quarantine(out: &Path, bad: &[SetAside], classes: &[String]) -> Result<(), Failure> {
    let path = out.join(QUARANTINE);
    write_whole(&path, |file| {
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(["source", "class", "reason"])?;
        for SetAside { class, name, reason } in bad {
            let class = class.map_or("", |class| &classes[class as usize]);
            csv.write_record([name, class, reason])?;
        }
        csv.flush()
    })
    .map_err(DataError::io(&path))
    .or_run()
}
