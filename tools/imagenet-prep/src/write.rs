//! Reads, checks and makes smaller the images of one part, and writes its shards.
//!
//! Memory: of each thread one decoded image (at most 192 MiB of pixels, and twice as much again while
//! it is resized; a progressive JPEG of that size keeps 512 MiB of coefficients besides) and at most
//! [`CHUNK`] x 4 encoded images that wait for their turn. It does not grow with the number of images,
//! but for the listing and the table of samples.

use std::collections::HashSet;
use std::path::Path;

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail};
use cream_data::encode::{Stored, store};
use cream_data::shards::writer::{SplitWriter, WrittenSplit};
use cream_data::transform::ResizeScratch;
use cream_data::{ImageKind, Split};
use imagenet_prep::source::{Item, SetAside};

use crate::args::Options;
use crate::parallel::in_order;
use crate::resume::{Finished, Records, record_file};

/// Images that a thread takes at once.
const CHUNK: usize = 8;

/// An image ready for a shard, or the reason why it is not.
pub type Checked = Result<(ImageKind, Vec<u8>), String>;

/// A part of the set: its images, and how far an earlier run came with them.
pub struct Part<'a> {
    split: Split,
    items: &'a [Item],
    finished: Finished,
    /// Names of the finished shards and their records.
    kept: HashSet<String>,
}

impl<'a> Part<'a> {
    /// Looks up what is finished.
    pub fn recall(split: Split, items: &'a [Item], records: &Records, options: &Options) -> Self {
        let still_bad = |bad: &[(usize, String)]| {
            let mut all = true;
            let look = |scratch: &mut ResizeScratch, place: usize| {
                let (index, reason) = &bad[place];
                check(&items[*index], options, scratch).is_err_and(|found| found == *reason)
            };
            let collect = |_, same: bool| {
                all &= same;
                Ok(())
            };
            let workers = options.choice.workers;
            in_order(0..bad.len(), workers, ResizeScratch::default, look, collect).is_ok() && all
        };
        let sample = |index: usize| (&*items[index].key, items[index].class);
        let finished = records.recall(split, items.len(), sample, still_bad);
        let names = finished.shards.iter().map(|shard| shard.file.clone());
        let kept = names.flat_map(|file| [record_file(&file), file]).collect();
        Self { split, items, finished, kept }
    }

    /// Whether a file of OUT is one of the finished shards or their records.
    pub fn keeps(&self, file: &str) -> bool {
        self.kept.contains(file)
    }

    /// Images that are done with.
    pub fn done(&self) -> usize {
        self.finished.next
    }

    /// Images that are not.
    pub fn left(&self) -> &'a [Item] {
        &self.items[self.finished.next..]
    }

    /// Writes the shards that are missing, in the order of the listing. Images set aside are added to `bad`.
    ///
    /// # Errors
    /// [`Failure::Run`] when writing fails.
    pub fn write(
        self,
        out: &Path,
        records: &Records,
        options: &Options,
        progress: &Progress,
        bad: &mut Vec<SetAside>,
    ) -> Result<WrittenSplit, Failure> {
        let Self { split, items, finished: Finished { shards, rows, bad: before, next }, .. } =
            self;
        let set_aside = |(index, reason): (usize, String)| {
            let item = &items[index];
            SetAside { class: Some(item.class), name: item.name().into_owned(), reason }
        };
        bad.extend(before.into_iter().map(set_aside));
        let writer = SplitWriter::new(out, split, options.shard_bytes).after(shards, rows);
        let mut noting = Noting { writer, records, indices: Vec::new(), bad: Vec::new() };
        let (workers, count) = (options.choice.workers, items.len());
        let chunk = |number: usize| next + number * CHUNK..count.min(next + (number + 1) * CHUNK);
        let work = |scratch: &mut ResizeScratch, number: usize| -> Vec<Checked> {
            items[chunk(number)].iter().map(|item| check(item, options, scratch)).collect()
        };
        let chunks = (count - next).div_ceil(CHUNK);
        in_order(0..chunks, workers, ResizeScratch::default, work, |number, checked| {
            progress.advance(checked.len() as u64);
            for (index, checked) in chunk(number).zip(checked) {
                match checked {
                    Ok(image) => noting.push(index, &items[index], image)?,
                    Err(reason) => {
                        noting.bad.push((index, reason.clone()));
                        bad.push(set_aside((index, reason)));
                    }
                }
            }
            Ok(())
        })?;
        noting.writer.close_shard().or_run()?;
        noting.note(count)?;
        noting.writer.finish().or_run()
    }
}

/// A writer with a record of every shard that it finishes.
struct Noting<'a> {
    writer: SplitWriter,
    records: &'a Records,
    /// Places in the listing of the open shard's samples.
    indices: Vec<usize>,
    /// Images set aside since the last shard.
    bad: Vec<(usize, String)>,
}

impl Noting<'_> {
    fn push(
        &mut self,
        index: usize,
        item: &Item,
        (kind, bytes): (ImageKind, Vec<u8>),
    ) -> Result<(), Failure> {
        let closed = self.writer.closed().len();
        self.writer.push(&item.key, item.class, kind, &bytes).or_run()?;
        if self.writer.closed().len() > closed {
            // Images before this one that were set aside belong to the shard that it closed.
            self.note(index)?;
        }
        self.indices.push(index);
        Ok(())
    }

    /// Writes the record of the last shard, if its samples are not recorded yet.
    fn note(&mut self, next: usize) -> Result<(), Failure> {
        let (Some(shard), false) = (self.writer.closed().last(), self.indices.is_empty()) else {
            return Ok(());
        };
        let number = self.writer.closed().len() as u32 - 1;
        let rows = self.writer.rows();
        let end = rows.partition_point(|row| row.shard <= number);
        let rows = &rows[end - self.indices.len()..end];
        self.records.add(shard, (&self.indices, rows), &self.bad, next)?;
        self.indices.clear();
        self.bad.clear();
        Ok(())
    }
}

/// Reads an image, decodes it fully and makes it smaller where the options say so.
pub fn check(item: &Item, options: &Options, scratch: &mut ResizeScratch) -> Checked {
    let bytes = item.read()?;
    let stored = store(&bytes, options.shrink, scratch).map_err(|error| error.to_string())?;
    let Stored { kind, remade } = stored;
    Ok((kind, remade.unwrap_or(bytes)))
}
