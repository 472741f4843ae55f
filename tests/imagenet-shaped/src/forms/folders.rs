//! `train/CLASS/NAME.JPEG` and `val/CLASS/NAME.JPEG`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cream_cli::progress::Progress;

use crate::draw::{Images, folder_path};
use crate::plan::Split;

/// Writes both splits into `out`.
pub fn write(images: &Images, out: &Path, progress: &Progress) -> Result<()> {
    for (split, name) in [(Split::Train, "train"), (Split::Val, "val")] {
        for class in &images.plan.synsets {
            let folder = out.join(name).join(class);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        images.each(&images.plan.entries(split), |entry, bytes| {
            let path = out.join(folder_path(images.plan, entry));
            progress.advance(1);
            fs::write(&path, bytes).with_context(|| path.display().to_string())
        })?;
    }
    Ok(())
}
