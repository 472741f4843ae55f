//! `imagenet-prep show OUT`: images as a trainer gets them, on a sheet.

mod sheet;
mod transform;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use cream_cli::progress::{LogFormat, Progress, Style};
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::encode::rgb_png;
use cream_data::files::Aside;
use cream_data::{Batch, DataError, Loader, LoaderSettings, ShardSet};
use serde_json::json;

use crate::args::{ShowArgs, ShowSettings};
use sheet::Sheet;

/// Draws the sheet and says what is on it.
///
/// # Errors
/// [`Failure::Input`] when the set or a setting is wrong, or the sheet cannot be made where it is to be;
/// [`Failure::Run`] when writing it fails.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    args.check()?;
    let resolved = args.resolve()?;
    if args.print_config {
        return write_stdout(resolved.print());
    }
    let settings = &resolved.settings;
    let transform = transform::of(settings, args.split)?;
    let set = Arc::new(ShardSet::open(&args.set).or_input()?);
    let tiles = args.tiles()?.min(set.len(args.split));
    if tiles == 0 {
        let (set, split) = (args.set.display(), args.split);
        return Err(Failure::input(format!("{set}: no images in {split}; give another --split")));
    }
    let mut sheet = Sheet::new(tiles, transform.image_size())?;
    let file = args.out()?.map(|path| begin(path).map(|file| (path, file))).transpose()?;
    let loading = loading(settings, tiles);
    let batches = Loader::train(&set, args.split, transform, loading, args.epoch, 0).or_input()?;
    let mut lines = Vec::new();
    for batch in batches {
        let batch = batch.or_input()?;
        let room = tiles - lines.len();
        sheet.draw(&batch, lines.len(), room);
        for place in 0..batch.len().min(room) {
            lines.push(line(&set, &batch, place, sheet.place(lines.len())).or_input()?);
        }
        if lines.len() == tiles {
            break;
        }
    }
    let png = rgb_png(&sheet.into_image()).or_run()?;
    match file {
        Some((path, file)) => {
            finish(file, &png).map_err(DataError::io(path)).or_run()?;
            write_stdout(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        }
        None => {
            say(&lines, args.report.style());
            write_stdout(png)
        }
    }
}

/// Each batch as the trainer has it, or as much of its first as the sheet shows: a whole pair at the
/// end, since partners are mixed.
fn loading(settings: &ShowSettings, tiles: usize) -> LoaderSettings {
    let batch = settings.batch.min(tiles.next_multiple_of(2));
    LoaderSettings { batch, workers: 0, seed: settings.seed, ..LoaderSettings::default() }
}

fn begin(path: &Path) -> Result<Aside, Failure> {
    // The file aside would be made beside a folder, and could then not take its name.
    if path.is_dir() {
        let path = path.display();
        return Err(Failure::input(format!("{path}: is a folder; give a file to write")));
    }
    Aside::create(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let path = path.display();
            Failure::input(format!("{path}: {error}; give a file in a folder that is there"))
        }
        _ => Failure::Input(DataError::io(path)(error).into()),
    })
}

fn finish(mut file: Aside, png: &[u8]) -> std::io::Result<()> {
    file.writer().write_all(png)?;
    file.commit()
}

/// What a tile is, its columns parted by tabs.
fn line(
    set: &ShardSet,
    batch: &Batch,
    place: usize,
    (row, column): (usize, usize),
) -> Result<String, DataError> {
    // A name is a folder's, and may hold anything.
    let name = |names: &[String], label: u32| {
        let name = names.get(label as usize).map_or("", String::as_str);
        name.replace(|c: char| c.is_control(), " ")
    };
    let key = set.key(batch.samples[place])?;
    let (label, partner, own) =
        batch.mixed_labels().nth(place).unwrap_or((batch.labels[place], batch.labels[place], 1.0));
    let class = name(set.classes(), label);
    let mut line = format!("{}\t{}\t{key}\t{class}", row + 1, column + 1);
    let words = set.class_names().map(|names| name(names, label));
    if words.is_some() || batch.mix.is_some() {
        line += &format!("\t{}", words.unwrap_or_default());
    }
    if batch.mix.is_some() {
        line += &format!("\t{} {:.3}", name(set.classes(), partner), 1.0 - own);
    }
    Ok(line)
}

/// The lines for people, when standard output has the sheet.
fn say(lines: &[String], style: Style) {
    let progress = Progress::new(0, "images", style);
    for line in lines {
        match style.log_format {
            LogFormat::Text => progress.message(line),
            LogFormat::Json => progress.event("tile", json!({ "tile": line }), ""),
        }
    }
}
