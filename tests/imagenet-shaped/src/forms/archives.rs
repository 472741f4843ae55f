//! The official archives: a tar of one tar per class, a flat tar of the validation images, and the
//! development kit.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cream_cli::progress::Progress;
use cream_data::files::write_whole;

use super::devkit;
use crate::draw::Images;
use crate::plan::{Entry, Split};

const BLOCK: u64 = 512;

/// Writes the three archives into `out`.
pub fn write(images: &Images, out: &Path, progress: &Progress) -> Result<()> {
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    whole(&out.join("ILSVRC2012_img_train.tar"), |file| train(images, file, progress))?;
    whole(&out.join("ILSVRC2012_img_val.tar"), |file| {
        flat(images, &images.plan.entries(Split::Val), file, progress)
    })?;
    whole(&out.join("ILSVRC2012_devkit_t12.tar.gz"), |file| devkit::write(images.plan, file))
}

/// A file that appears whole or not at all.
fn whole(path: &Path, fill: impl FnOnce(&mut io::BufWriter<fs::File>) -> Result<()>) -> Result<()> {
    write_whole(path, |file| fill(file).map_err(io::Error::other))
        .with_context(|| path.display().to_string())
}

/// A class's archive is written in place, and its header when its length is known, so that memory
/// does not depend on the size of a class.
fn train(images: &Images, file: &mut (impl Write + Seek), progress: &Progress) -> Result<()> {
    for (class, synset) in images.plan.synsets.iter().enumerate() {
        let entries: Vec<Entry> = images
            .plan
            .train_range(class)
            .map(|index| Entry { split: Split::Train, index })
            .collect();
        let start = file.stream_position()?;
        file.write_all(&[0; BLOCK as usize])?;
        flat(images, &entries, file, progress)?;
        let end = file.stream_position()?;
        file.seek(SeekFrom::Start(start))?;
        let header = header(&format!("{synset}.tar"), end - start - BLOCK)?;
        file.write_all(header.as_bytes())?;
        // A tar's length is a multiple of the block, so no padding follows.
        file.seek(SeekFrom::Start(end))?;
    }
    Ok(file.write_all(&[0; 2 * BLOCK as usize])?)
}

fn flat(
    images: &Images,
    entries: &[Entry],
    file: &mut impl Write,
    progress: &Progress,
) -> Result<()> {
    let mut archive = tar::Builder::new(file);
    images.each(entries, |entry, bytes| {
        let header = header(&images.plan.file_name(entry), bytes.len() as u64)?;
        progress.advance(1);
        Ok(archive.append(&header, bytes.as_slice())?)
    })?;
    archive.finish()?;
    Ok(())
}

/// The header of a file; owner and time are the same for all.
pub fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    // 10 June 2012.
    header.set_mtime(1_339_286_400);
    header.set_cksum();
    Ok(header)
}
