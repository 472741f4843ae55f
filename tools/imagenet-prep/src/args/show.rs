//! `imagenet-prep show OUT`: which images are drawn, and how they are augmented. The settings have the
//! names that they have in the trainers, and a trainer's recipe is taken for them.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use cream_cli::config::{Resolved, resolve_part};
use cream_cli::{Failure, ReportArgs};
use cream_data::Split;
use serde::{Deserialize, Serialize};

use super::{count, finite, split};

/// The manual's first page.
pub const HELP: &str = "\
Draw training images on a sheet, as a trainer gets them.

The images are the first of an epoch, in the order that a trainer with the same seed has them,
through the same loader: cropped, augmented, with noise where they are erased, and mixed. Of
--split train the sheet is arch-retrain's epoch, of search-train supernet-train's, and what is
not given is as that trainer has it by default. Images of search-val and val are cut as for
evaluation, and the seed draws which are shown.

--config takes a trainer's recipe or the config.toml of its run: what it says of augmentation,
and its seed, batch and image-size, are taken, its other settings passed over.

The sheet is a PNG of --n tiles in rows; standard output says what each is, a line for a tile,
from the top left: row, column, key, class, and the class in words where that is known, separated
by tabs. Of mixed images a last column has the class of the other and its share. With --out - the
PNG goes to standard output and these lines to standard error.";

/// What the manual ends with.
pub const EXAMPLES: &str = "\
Examples:
  imagenet-prep show shards/imagenet --split train --n 32 --augment full --out sheet.png
  imagenet-prep show shards/imagenet --split search-train --epoch 3 --out sheet.png
  imagenet-prep show shards/imagenet --augment basic --mixup 0.2 --cutmix 1 --out sheet.png
  imagenet-prep show data/fashion-mnist --config run/config.toml --size 32 --out sheet.png
  imagenet-prep show shards/imagenet --split val --out - | display -

Settings come from flags, then CREAM_* variables, then --config FILE.toml, then defaults.";

/// `show`: which images, and where to.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Folder of shards
    pub set: PathBuf,
    /// Which images are shown
    #[arg(long, value_name = "SPLIT", value_parser = split(), default_value = "train")]
    pub split: Split,
    /// How many tiles the sheet has
    #[arg(long, value_name = "N", default_value_t = 32)]
    n: u64,
    /// The sheet, a PNG; - for standard output
    #[arg(long, value_name = "FILE", required_unless_present = "print_config")]
    out: Option<PathBuf>,
    /// Which epoch's order and augmentation, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub epoch: u64,
    #[command(flatten)]
    flags: ShowFlags,
    /// Recipe of a trainer, a TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings and where each comes from, and do nothing
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    pub report: ReportArgs,
}

/// Settings as given by flags.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShowFlags {
    /// How training images are augmented [default: full; of search-train, basic]
    #[arg(long, value_name = "WHICH")]
    augment: Option<Augment>,
    /// How images are cut [default: resized-crop]
    #[arg(long, value_name = "CROP")]
    transform: Option<CropKind>,
    /// Smallest and largest area of a resized-crop, as shares of the image [default: 0.08 1]
    #[arg(long, value_names = ["LOW", "HIGH"], num_args = 2, value_parser = finite)]
    scale: Option<Vec<f64>>,
    /// Largest shift of a pad-crop in pixels [default: 4]
    #[arg(long, value_name = "N")]
    shift: Option<u64>,
    /// Probability of a horizontal flip [default: 0.5]
    #[arg(long, value_name = "P", value_parser = finite)]
    flip: Option<f64>,
    /// Operations of RandAugment for every image [default: 2]
    #[arg(long, value_name = "N")]
    rand_operations: Option<u64>,
    /// Mean magnitude of these operations, of 10 [default: 9]
    #[arg(long, value_name = "M", value_parser = finite)]
    rand_magnitude: Option<f64>,
    /// Brightness, contrast and saturation are scaled by up to 1 +- this [default: 0; of search-train, 0.4]
    #[arg(long, value_name = "J", value_parser = finite)]
    colour_jitter: Option<f64>,
    /// Probability of erasing a rectangle [default: 0.2]
    #[arg(long, value_name = "P", value_parser = finite)]
    erasing: Option<f64>,
    /// Alpha of mixup; 0 for none [default: 0]
    #[arg(long, value_name = "ALPHA", value_parser = finite)]
    mixup: Option<f64>,
    /// Alpha of cutmix; 0 for none [default: 0]
    #[arg(long, value_name = "ALPHA", value_parser = finite)]
    cutmix: Option<f64>,
    /// Images of the trainer's batch, each of which is mixed in its own way [default: 128]
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Side of the images in pixels [default: 224]
    #[arg(long, value_name = "N", visible_alias = "size")]
    image_size: Option<u64>,
    /// Seed of every random draw [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Which augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// The evaluation transform
    None,
    /// Random crop, flip, colour jitter and erasing
    Basic,
    /// The same with RandAugment after the flip
    Full,
}

/// How training images are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CropKind {
    /// A random rectangle, resized: photographs
    ResizedCrop,
    /// No resizing; padded or cropped to size and shifted: small images
    PadCrop,
}

/// Settings with their defaults, which are the trainers'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShowSettings {
    /// By default what the split's trainer does.
    pub augment: Option<Augment>,
    pub transform: Option<CropKind>,
    pub scale: [f64; 2],
    pub shift: usize,
    pub flip: f64,
    pub rand_operations: usize,
    pub rand_magnitude: f64,
    /// By default what the split's trainer does.
    pub colour_jitter: Option<f64>,
    pub erasing: f64,
    pub mixup: f64,
    pub cutmix: f64,
    pub batch: usize,
    pub image_size: Option<usize>,
    pub seed: u64,
}

impl Default for ShowSettings {
    fn default() -> Self {
        Self {
            augment: None,
            transform: None,
            scale: [0.08, 1.0],
            shift: 4,
            flip: 0.5,
            rand_operations: 2,
            rand_magnitude: 9.0,
            colour_jitter: None,
            erasing: 0.2,
            mixup: 0.0,
            cutmix: 0.0,
            batch: 128,
            image_size: None,
            seed: 0,
        }
    }
}

impl ShowArgs {
    /// Flags, environment, recipe, defaults.
    pub fn resolve(&self) -> Result<Resolved<ShowSettings>, Failure> {
        resolve_part(&self.flags, self.config.as_deref())
    }

    /// That the flags go with the split.
    pub fn check(&self) -> Result<(), Failure> {
        let trains = matches!(self.split, Split::Train | Split::SearchTrain);
        let augments = self.flags.augment.is_some_and(|augment| augment != Augment::None);
        if augments && !trains {
            let (split, advice) = (self.split, "leave it out, or give --split train");
            return Err(Failure::input(format!("augment: {split} is never augmented; {advice}")));
        }
        Ok(())
    }

    /// Tiles of the sheet, checked.
    pub fn tiles(&self) -> Result<usize, Failure> {
        count("n", self.n, 10_000)
    }

    /// Where the sheet goes; nothing for standard output.
    pub fn out(&self) -> Result<Option<&Path>, Failure> {
        match self.out.as_deref() {
            None => Err(Failure::input("--out is missing: give a file for the sheet, or -")),
            Some(out) => Ok(Some(out).filter(|out| *out != Path::new("-"))),
        }
    }
}
