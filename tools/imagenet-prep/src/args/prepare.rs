//! `imagenet-prep SRC OUT`: how a set is made.

use std::path::{Path, PathBuf};

use clap::Args;
use cream_cli::Failure;
use cream_cli::progress::Style;
use cream_data::encode::Shrink;
use cream_data::shards::writer::DEFAULT_SHARD_BYTES;
use imagenet_prep::source::{Choice, ClassChoice, Listing, lines};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Cli, count, finite, given, share, some_count, workers};

/// Settings as given by flags.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Flags {
    /// Share of each class's training images set aside for the search to rank paths with [default: 0.04]
    #[arg(long, value_name = "SHARE", value_parser = finite)]
    search_val_share: Option<f64>,
    /// Share of each class's training images that become validation images, where SRC has none
    #[arg(long, value_name = "SHARE", value_parser = finite)]
    val_share: Option<f64>,
    /// What every random choice depends on [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Make images with a longer short side smaller, to N pixels [default: 292]
    #[arg(long, value_name = "N")]
    short_side: Option<u64>,
    /// Quality of the JPEGs that are made smaller, 1 to 100 [default: 90]
    #[arg(long, value_name = "N")]
    quality: Option<u64>,
    /// Keep every image's bytes, however large it is
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_original: Option<bool>,
    /// Largest shard in MiB [default: 256]
    #[arg(long, value_name = "MIB")]
    shard_size: Option<u64>,
    /// Share of bad images above which the run fails [default: 0.001]
    #[arg(long, value_name = "SHARE", value_parser = finite)]
    max_bad_share: Option<f64>,
    /// Take N training images of each class, at random
    #[arg(long, value_name = "N")]
    per_class: Option<u64>,
    /// Take N validation images of each class, at random
    #[arg(long, value_name = "N")]
    val_per_class: Option<u64>,
    /// Take these classes only: names separated by commas, or @FILE with one a line
    #[arg(long, value_name = "NAMES")]
    classes: Option<String>,
    /// Take N classes, at random
    #[arg(long, value_name = "N")]
    random_classes: Option<u64>,
    /// Threads that read and decode [default: the number of processors]
    #[arg(long, value_name = "N")]
    workers: Option<u64>,
}

/// Settings with their defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    search_val_share: f64,
    val_share: Option<f64>,
    seed: u64,
    /// Pixels; 256 for evaluation at 224, and a margin
    short_side: u64,
    quality: u64,
    keep_original: bool,
    /// MiB
    shard_size: u64,
    max_bad_share: f64,
    per_class: Option<u64>,
    val_per_class: Option<u64>,
    classes: Option<String>,
    random_classes: Option<u64>,
    /// The number of processors unless given.
    workers: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            search_val_share: 0.04,
            val_share: None,
            seed: 0,
            short_side: 292,
            quality: 90,
            keep_original: false,
            shard_size: DEFAULT_SHARD_BYTES >> 20,
            max_bad_share: 0.001,
            per_class: None,
            val_per_class: None,
            classes: None,
            random_classes: None,
            workers: None,
        }
    }
}

/// Validated settings; the rest of the program does not check them again.
#[derive(Debug)]
pub struct Options {
    /// The source and which of its images are taken.
    pub choice: Choice,
    pub out: PathBuf,
    pub overwrite: bool,
    pub no_space_check: bool,
    pub style: Style,
    /// How large images become; nothing where all keep their bytes.
    pub shrink: Option<Shrink>,
    pub search_val_share: f64,
    pub shard_bytes: u64,
    pub max_bad_share: f64,
}

impl Options {
    /// Checks every setting's range.
    pub fn check(cli: &Cli, settings: &Settings) -> Result<Self, Failure> {
        let s = settings.clone();
        let shrink = shrink(&s)?;
        let choice = Choice {
            src: given(&cli.src, "SRC")?,
            seed: s.seed,
            val_share: s.val_share.map(|value| share("val-share", value, 0.9)).transpose()?,
            per_class: some_count("per-class", s.per_class)?,
            val_per_class: some_count("val-per-class", s.val_per_class)?,
            classes: class_choice(s.classes, s.random_classes)?,
            workers: workers(s.workers)?,
        };
        Ok(Self {
            choice,
            out: given(&cli.out, "OUT")?,
            overwrite: cli.overwrite,
            no_space_check: cli.no_space_check,
            shrink,
            style: cli.report.style(),
            search_val_share: share("search-val-share", s.search_val_share, 0.5)?,
            shard_bytes: count("shard-size", s.shard_size, 1 << 16)? as u64 * (1 << 20),
            max_bad_share: share("max-bad-share", s.max_bad_share, 1.0)?,
        })
    }
}

/// Everything that decides what the shards hold: two runs with equal inputs give equal bytes.
pub fn inputs(listing: &Listing, options: &Options) -> Value {
    let mut inputs = Map::new();
    for (key, value) in listing.inputs(&options.choice) {
        inputs.insert(key.to_owned(), value);
    }
    inputs.insert("search_val_share".to_owned(), json!(options.search_val_share));
    inputs.insert("short_side".to_owned(), json!(options.shrink.map(|shrink| shrink.short_side)));
    inputs.insert("quality".to_owned(), json!(options.shrink.map(|shrink| shrink.quality)));
    inputs.insert("shard_bytes".to_owned(), json!(options.shard_bytes));
    Value::Object(inputs)
}

fn shrink(settings: &Settings) -> Result<Option<Shrink>, Failure> {
    let short_side = count("short-side", settings.short_side, 1 << 16)?;
    let quality = count("quality", settings.quality, 100)? as u8;
    Ok((!settings.keep_original).then_some(Shrink { short_side, quality }))
}

fn class_choice(names: Option<String>, random: Option<u64>) -> Result<ClassChoice, Failure> {
    let names = match (names, random) {
        (Some(_), Some(_)) => {
            return Err(Failure::input("classes and random-classes exclude each other: give one"));
        }
        (None, None) => return Ok(ClassChoice::All),
        (None, Some(number)) => {
            return Ok(ClassChoice::Random(count("random-classes", number, 1 << 20)?));
        }
        (Some(names), None) => names,
    };
    let names: Vec<String> = match names.strip_prefix('@') {
        Some(file) => lines(Path::new(file))?,
        None => names.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(Failure::input("classes: an empty name: give names separated by commas"));
    }
    Ok(ClassChoice::Named(names))
}
