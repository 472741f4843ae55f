//! IDX files, plain or gzipped: the format of the MNIST family.
//!
//! A big-endian header (two zero bytes, 8 for unsigned bytes, the number of dimensions, then each
//! dimension as 32 bits) and the values. Images are [count, rows, columns], labels [count].

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cream_cli::Failure;
use cream_data::shards::checksum;
use flate2::read::MultiGzDecoder;

use super::{Found, Item, Origin, fault, lines};

/// Name of the file that names the classes, one a line; they are numbers without it.
const CLASS_NAMES: &str = "classes.txt";
/// Most bytes of values in a file.
const MAX_VALUES: u64 = 1 << 32;
/// Longest side of an image.
const MAX_SIDE: usize = 1 << 14;

/// The images of one file.
#[derive(Debug)]
pub struct IdxImages {
    /// The file's name, without `.gz`.
    pub name: String,
    /// Rows of each image.
    rows: usize,
    /// Columns of each image.
    columns: usize,
    values: Vec<u8>,
}

impl IdxImages {
    /// Image `index` as grey PNG: lossless, and quick to decode.
    pub fn png(&self, index: usize) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.columns as u32, self.rows as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.write_header()?.write_image_data(self.image(index))?;
        Ok(bytes)
    }

    /// The grey values of image `index`, row by row; empty when there is none.
    fn image(&self, index: usize) -> &[u8] {
        let size = self.rows * self.columns;
        self.values.get(index * size..(index + 1) * size).unwrap_or_default()
    }
}

/// Whether `src` holds IDX training images.
pub fn is_in(src: &Path) -> bool {
    path_of(src, "train-images-idx3-ubyte").is_some()
}

fn path_of(src: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].map(|n| src.join(n)).into_iter().find(|p| p.is_file())
}

/// Reads the four files of `src`.
pub fn find(src: &Path) -> Result<Found, Failure> {
    let (train_images, train_labels) = part(src, "train")?;
    let (val_images, val_labels) = part(src, "t10k")?;
    let highest = train_labels.iter().chain(&val_labels).copied().max().unwrap_or(0);
    let names = src.join(CLASS_NAMES);
    let classes = if names.is_file() {
        lines(&names)?
    } else {
        (0..=highest).map(|label| label.to_string()).collect()
    };
    if usize::from(highest) >= classes.len() {
        let reason = format!("{} names, but a label is {highest}; add the rest", classes.len());
        return Err(fault(&names, reason));
    }
    let sums = [&train_images.values, &train_labels, &val_images.values, &val_labels]
        .map(|values| checksum::of_bytes(values));
    let fingerprint = checksum::of_bytes(sums.concat().as_bytes());
    let train = items("train", &train_images, &train_labels);
    let val = items("t10k", &val_images, &val_labels);
    Ok(Found { kind: "IDX files", train, val, fingerprint, ..Found::of(classes) })
}

fn items(part: &str, images: &Arc<IdxImages>, labels: &[u8]) -> Vec<Item> {
    let digits = labels.len().to_string().len().max(5);
    let item = |(index, &label): (usize, &u8)| {
        let key = format!("{part}-{index:0digits$}");
        let origin = Origin::Idx(Arc::clone(images), index as u32);
        Item { class: label.into(), key: key.into(), origin }
    };
    labels.iter().enumerate().map(item).collect()
}

/// Images and labels of one part.
fn part(src: &Path, name: &str) -> Result<(Arc<IdxImages>, Vec<u8>), Failure> {
    let find = |name: String| {
        path_of(src, &name).ok_or_else(|| fault(&src.join(&name), "missing, and so is its .gz"))
    };
    let images_path = find(format!("{name}-images-idx3-ubyte"))?;
    let labels_path = find(format!("{name}-labels-idx1-ubyte"))?;
    let ([count, rows, columns], values) = read::<3>(&images_path)?;
    let ([label_count], labels) = read::<1>(&labels_path)?;
    if count != label_count {
        let reason = format!("{label_count} labels, but there are {count} images");
        return Err(fault(&labels_path, reason));
    }
    if !(1..=MAX_SIDE).contains(&rows) || !(1..=MAX_SIDE).contains(&columns) {
        let reason = format!("images of {rows} x {columns}; sides must be 1 to {MAX_SIDE}");
        return Err(fault(&images_path, reason));
    }
    let name = format!("{name}-images-idx3-ubyte");
    Ok((Arc::new(IdxImages { name, rows, columns, values }), labels))
}

/// The dimensions and values of a file.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>), Failure> {
    let file = File::open(path).map_err(|error| fault(path, error))?;
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    parse(BufReader::new(file), gzipped).map_err(|reason| fault(path, reason))
}

/// The dimensions and values that a file's bytes state.
///
/// # Errors
/// The broken rule.
pub fn parse<const D: usize>(
    file: impl Read,
    gzipped: bool,
) -> Result<([usize; D], Vec<u8>), String> {
    let mut plain;
    let mut unpacked;
    let stream: &mut dyn Read = if gzipped {
        unpacked = MultiGzDecoder::new(file);
        &mut unpacked
    } else {
        plain = file;
        &mut plain
    };
    let mut word = [0; 4];
    let mut next = || stream.read_exact(&mut word).map(|()| word);
    let magic = next().map_err(|error| format!("no IDX header: {error}"))?;
    if magic != [0, 0, 8, D as u8] {
        let found = u32::from_be_bytes(magic);
        return Err(format!("magic number {found:#010x}, not {:#010x}", 0x800 + D));
    }
    let mut dimensions = [0_usize; D];
    for dimension in &mut dimensions {
        let word = next().map_err(|error| format!("no IDX header: {error}"))?;
        *dimension = u32::from_be_bytes(word) as usize;
    }
    let promised = dimensions.iter().try_fold(1_u64, |size, &d| size.checked_mul(d as u64));
    let Some(promised) = promised.filter(|&size| size <= MAX_VALUES) else {
        return Err(format!("dimensions {dimensions:?} make more than {MAX_VALUES} values"));
    };
    // Memory grows with what is there, not with what is promised.
    let mut values = Vec::new();
    stream.take(promised + 1).read_to_end(&mut values).map_err(|error| error.to_string())?;
    if values.len() as u64 != promised {
        let found = if values.len() as u64 > promised { "more" } else { "fewer" };
        return Err(format!("{found} than the {promised} values it promises"));
    }
    Ok((dimensions, values))
}
