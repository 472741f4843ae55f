//! Images in an order that is asked for, made on all cores and with a bounded number in memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::encode::{Hazard, encode};
use crate::photos::Photos;
use crate::picture::{Grain, paint, size};
use crate::plan::{Draw, Entry, Plan, Split};

/// Images of one thread that are in memory together.
const IMAGES_PER_THREAD: usize = 32;

/// A set's images.
pub struct Images<'a> {
    pub plan: &'a Plan,
    origin: Origin<'a>,
}

enum Origin<'a> {
    Drawn { photos: &'a Photos, grain: Grain },
    Written { folders: PathBuf },
}

impl<'a> Images<'a> {
    /// Drawn from photos.
    pub fn drawn(plan: &'a Plan, photos: &'a Photos) -> Self {
        Self { plan, origin: Origin::Drawn { photos, grain: Grain::new() } }
    }

    /// Read from the class folders of the set in `out`.
    pub fn written(plan: &'a Plan, out: &Path) -> Self {
        let folders = out.join(crate::args::Form::Folders.name());
        Self { plan, origin: Origin::Written { folders } }
    }

    /// Calls `take` with each entry and its file's bytes, in the order given.
    pub fn each(
        &self,
        entries: &[Entry],
        mut take: impl FnMut(Entry, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        for entries in entries.chunks(IMAGES_PER_THREAD * rayon::current_num_threads()) {
            let images: Vec<Result<Vec<u8>>> =
                entries.par_iter().map(|&entry| self.bytes(entry)).collect();
            for (&entry, bytes) in entries.iter().zip(images) {
                take(entry, bytes?)?;
            }
        }
        Ok(())
    }

    fn bytes(&self, entry: Entry) -> Result<Vec<u8>> {
        match &self.origin {
            Origin::Drawn { photos, grain } => draw(self.plan, photos, grain, entry),
            Origin::Written { folders } => {
                let path = folders.join(folder_path(self.plan, entry));
                std::fs::read(&path).with_context(|| path.display().to_string())
            }
        }
    }
}

/// Where the image lies in class folders.
pub fn folder_path(plan: &Plan, entry: Entry) -> PathBuf {
    let split = match entry.split {
        Split::Train => "train",
        Split::Val => "val",
    };
    let class = &plan.synsets[plan.class(entry)];
    Path::new(split).join(class).join(plan.file_name(entry))
}

fn draw(plan: &Plan, photos: &Photos, grain: &Grain, entry: Entry) -> Result<Vec<u8>> {
    let mut rng = match entry.split {
        Split::Train => plan.rng(Draw::TrainImage, entry.index),
        Split::Val => plan.rng(Draw::ValImage, entry.index),
    };
    let hazard = Hazard::of(entry.index).filter(|_| plan.hazards);
    let (mut width, height) = size(&mut rng);
    if hazard == Some(Hazard::OnePixelWide) {
        width = 1;
    }
    let image = paint(photos, grain, (width, height), &mut rng)?;
    encode(&image, hazard, &mut rng).with_context(|| plan.file_name(entry))
}
