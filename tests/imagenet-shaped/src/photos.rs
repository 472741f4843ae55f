//! The photos that come with the project, decoded.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cream_data::RgbImage;
use cream_data::keyed::{ChaCha8Rng, below, chance};

/// The share of images that are made from photographs; the others are made from micrographs, which
/// are too small to be all that there is.
const PHOTOGRAPHS: f64 = 0.85;

/// Sources of pixels.
#[derive(Debug)]
pub struct Photos {
    photographs: Vec<RgbImage>,
    micrographs: Vec<RgbImage>,
}

impl Photos {
    /// Reads the project's.
    pub fn load() -> Result<Self> {
        let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut micrographs = Vec::new();
        for class in sorted(&tests.join("data/plankton"))? {
            if class.is_dir() {
                micrographs.extend(load(&class)?);
            }
        }
        Ok(Self { photographs: load(&tests.join("golden/photos"))?, micrographs })
    }

    /// One of them at random.
    pub fn pick(&self, rng: &mut ChaCha8Rng) -> &RgbImage {
        let photos = if chance(rng, PHOTOGRAPHS) { &self.photographs } else { &self.micrographs };
        &photos[below(rng, photos.len() as u64) as usize]
    }
}

/// The folder's images, by name; there is at least one.
fn load(folder: &Path) -> Result<Vec<RgbImage>> {
    let mut images = Vec::new();
    for path in sorted(folder)? {
        let named = || path.display().to_string();
        let bytes = fs::read(&path).with_context(named)?;
        images.push(cream_data::decode(&bytes).with_context(named)?);
    }
    anyhow::ensure!(!images.is_empty(), "{}: no photos: restore the folder", folder.display());
    Ok(images)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let named = || format!("{}: run this from the project's source", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        paths.push(entry.with_context(named)?.path());
    }
    paths.sort();
    Ok(paths)
}
