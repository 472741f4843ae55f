//! Reads, checks and writes every image of a listing.
//!
//! Worker w of W takes chunks w, w + W, ... of the listing into a bounded channel of its own, and
//! the writer takes from the channels in turn, so the shards do not depend on timing.

use std::path::Path;

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail};
use cream_data::decode::validate;
use cream_data::files::write_whole;
use cream_data::shards::index::Index;
use cream_data::shards::writer::{SplitWriter, WrittenSplit, mark_search_validation, write_index};
use cream_data::{DataError, ImageKind, Split};
use crossbeam_channel::{Receiver, Sender, bounded};
use imagenet_prep::source::{Item, Listing, SetAside};
use serde_json::{Value, json};

use crate::args::Options;
use crate::out::Claimed;

/// Name of the report of images set aside.
pub const QUARANTINE: &str = "quarantine.csv";
/// Images that a worker hands over at once, and chunks it works ahead.
const CHUNK: usize = 16;
const AHEAD: usize = 4;

/// What a run did.
pub struct Report {
    /// The finished set.
    pub index: Index,
    /// Images set aside.
    pub bad: usize,
    /// Files passed over.
    pub ignored: u64,
}

/// An image ready for a shard, or the reason why it is not.
type Checked = Result<(ImageKind, Vec<u8>), String>;

/// Writes the whole set.
///
/// # Errors
/// [`Failure::Run`] when writing fails, or when more images are bad than allowed; the report of
/// these is then there, and no index.
pub fn prepare(
    listing: Listing,
    inputs: Value,
    options: &Options,
    folder: &Claimed,
) -> Result<Report, Failure> {
    let out = folder.path();
    let total = listing.train.len() + listing.val.len();
    let progress = Progress::new(total as u64, "images", options.style);
    let mut bad = listing.bad;
    let total = total + bad.len();
    let mut part =
        |split, items: &[Item]| write_part(split, items, options, out, &progress, &mut bad);
    let mut train = part(Split::Train, &listing.train)?;
    let val = part(Split::Validation, &listing.val)?;
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

/// Writes the shards of one part.
fn write_part(
    split: Split,
    items: &[Item],
    options: &Options,
    out: &Path,
    progress: &Progress,
    bad: &mut Vec<SetAside>,
) -> Result<WrittenSplit, Failure> {
    let mut writer = SplitWriter::new(out, split, options.shard_bytes);
    let chunks = items.len().div_ceil(CHUNK);
    std::thread::scope(|scope| {
        let receivers: Vec<Receiver<Vec<Checked>>> = (0..options.choice.workers.min(chunks))
            .map(|worker| {
                let (sender, receiver) = bounded(AHEAD);
                scope.spawn(move || work(items, worker, options.choice.workers, &sender));
                receiver
            })
            .collect();
        for (number, chunk) in items.chunks(CHUNK).enumerate() {
            // A closed channel means a panic, which the scope passes on when it ends.
            let Ok(checked) = receivers[number % receivers.len()].recv() else {
                return Err(Failure::run("a reading thread ended early; please report this"));
            };
            for (item, checked) in chunk.iter().zip(checked) {
                match checked {
                    Ok((kind, bytes)) => {
                        writer.push(&item.key, item.class, kind, &bytes).or_run()?;
                    }
                    Err(reason) => {
                        let (class, name) = (Some(item.class), item.name().into_owned());
                        bad.push(SetAside { class, name, reason });
                    }
                }
            }
            progress.advance(chunk.len() as u64);
        }
        Ok(())
    })?;
    writer.finish().or_run()
}

fn work(items: &[Item], first: usize, step: usize, sender: &Sender<Vec<Checked>>) {
    for chunk in items.chunks(CHUNK).skip(first).step_by(step) {
        let checked = chunk.iter().map(check).collect();
        // The writer is gone when it met an error.
        if sender.send(checked).is_err() {
            return;
        }
    }
}

/// Reads and fully decodes an image; its bytes are kept as they are.
fn check(item: &Item) -> Checked {
    let bytes = item.read()?;
    let (kind, _) = validate(&bytes).map_err(|error| error.to_string())?;
    Ok((kind, bytes))
}
