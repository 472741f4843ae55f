//! Whether the set will fit on the disk, before the first byte of it is written.

use cream_cli::{Failure, OrFail};
use cream_data::DataError;
use cream_data::shards::writer::sample_bytes;
use cream_data::transform::ResizeScratch;
use imagenet_prep::source::Item;

use crate::args::Options;
use crate::out::Claimed;
use crate::parallel::in_order;
use crate::write::{self, Part};

/// Most images that are tried to learn how large they become.
const MOST_TRIED: usize = 64;
/// One of so many is tried, where that is fewer.
const ONE_IN: usize = 50;
/// Bytes per sample in a table and a record, about.
const ROW_BYTES: u64 = 100;

fn compare(needed: u64, free: u64, options: &Options) -> Result<(), Failure> {
    if needed <= free {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{}: needs about {}, but {} are free there; free some space, give an OUT elsewhere or a smaller \
         --short-side, or try it with --no-space-check",
        options.out.display(),
        amount(needed),
        amount(free),
    )))
}

/// Estimates the room that both parts need and looks whether it is there. What the folder will be
/// cleared of counts as free.
///
/// # Errors
/// [`Failure::Input`] when they do not fit, [`Failure::Run`] when the disk cannot be asked.
pub fn check(parts: [&Part; 2], options: &Options, folder: &Claimed) -> Result<(), Failure> {
    let mut needed = 0;
    for part in parts {
        needed += estimate(part.left(), options)?;
    }
    let stale = folder.stale(|file| parts.iter().any(|part| part.keeps(file)));
    let room = rustix::fs::statvfs(folder.path())
        .map_err(|error| DataError::io(folder.path())(error.into()))
        .or_run()?;
    let free = room.f_bavail.saturating_mul(room.f_frsize).saturating_add(stale);
    compare(needed, free, options).inspect_err(|_| folder.abandon())
}

/// Bytes that the samples of these images will take, from evenly spaced ones that are made for it.
fn estimate(items: &[Item], options: &Options) -> Result<u64, Failure> {
    let tried = items.len().div_ceil(ONE_IN).min(MOST_TRIED);
    if tried == 0 {
        return Ok(0);
    }
    let (mut bytes, mut good) = (0, 0);
    let work = |scratch: &mut ResizeScratch, number: usize| {
        let item = &items[number * items.len() / tried];
        let (_, bytes) = write::check(item, options, scratch).ok()?;
        Some(sample_bytes(bytes.len()) + ROW_BYTES)
    };
    in_order(0..tried, options.choice.workers, ResizeScratch::default, work, |_, size| {
        if let Some(size) = size {
            (bytes, good) = (bytes + size, good + 1);
        }
        Ok(())
    })?;
    Ok((bytes * items.len() as u64).checked_div(good).unwrap_or(0))
}

/// Bytes in people's units.
pub fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
