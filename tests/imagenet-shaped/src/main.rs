//! imagenet-shaped OUT: a data set of any size with ImageNet's sizes, names and layouts.

mod args;
mod draw;
mod encode;
mod forms;
mod matlab;
mod photos;
mod picture;
mod plan;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail};
use cream_data::files::write_whole;
use serde_json::json;

use args::{Cli, Form, Options};
use draw::Images;
use forms::{archives, folders, parquet};
use photos::Photos;
use plan::Plan;

/// The first page of the manual.
const HELP: &str = "\
Makes a data set of any size with ImageNet's sizes, names and layouts, from the photos in tests/golden
and tests/data/plankton: random crops of them at random sizes, flipped, with colours changed and grain
added. No two are alike, and each is a function of (seed, split, number). For tests and benchmarks of
whatever reads ImageNet; nothing can be learnt from it, as a class is no more than a name.

OUT gets, as --form says:
  folders/train/n01440764/n01440764_10026.JPEG, folders/val/n01440764/ILSVRC2012_val_00000293.JPEG
  archives/ILSVRC2012_img_train.tar, a tar of one tar per class; ILSVRC2012_img_val.tar, flat; and
      ILSVRC2012_devkit_t12.tar.gz with the validation images' classes
  parquet/data/train-00000-of-00004.parquet, validation-00000-of-00001.parquet, rows shuffled
and set.json, written last: without it the set is not whole. Equal flags give equal bytes, and the forms
hold the same images, for any number of threads (RAYON_NUM_THREADS).

--hazards, of every 2,000 images of a split: a PNG named .JPEG, a CMYK JPEG, a grey and a progressive
one, one that is cut, one a pixel wide, one with broken EXIF and one whose EXIF asks for a rotation.";

fn main() -> ExitCode {
    cream_cli::main("imagenet-shaped", || run(&cream_cli::parse::<Cli>()?.check()?))
}

fn run(options: &Options) -> Result<(), Failure> {
    claim(&options.out)?;
    let plan = Plan::new(options);
    let photos = Photos::load().or_input()?;
    let total = (options.train + options.val) * options.forms.len();
    let progress = Progress::new(total as u64, "images", options.style);
    for &form in &options.forms {
        // What was just written is read sooner than drawn again.
        let images = match (form, options.forms.first()) {
            (Form::Archives | Form::Parquet, Some(Form::Folders)) => {
                Images::written(&plan, &options.out)
            }
            _ => Images::drawn(&plan, &photos),
        };
        progress.note(form.name());
        let out = options.out.join(form.name());
        match form {
            Form::Folders => folders::write(&images, &out, &progress),
            Form::Archives => archives::write(&images, &out, &progress),
            Form::Parquet => parquet::write(&images, options.rows_per_file, &out, &progress),
        }
        .or_run()?;
    }
    progress.finish();
    finish(options).or_run()
}

/// Makes the folder, or takes an empty one.
fn claim(out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out).with_context(|| out.display().to_string()).or_input()?;
    let mut entries = fs::read_dir(out).with_context(|| out.display().to_string()).or_input()?;
    if entries.next().is_some() {
        let what = "is not empty: remove it or give another folder";
        return Err(Failure::input(format!("{}: {what}", out.display())));
    }
    Ok(())
}

/// Says what the set is, once it is whole.
fn finish(o: &Options) -> anyhow::Result<()> {
    let forms: Vec<&str> = o.forms.iter().map(|form| form.name()).collect();
    let text = json!({ "train": o.train, "val": o.val, "classes": o.classes, "seed": o.seed,
                       "forms": forms, "hazards": o.hazards, "rows_per_file": o.rows_per_file });
    let path = o.out.join("set.json");
    write_whole(&path, |file| writeln!(file, "{text:#}"))
        .with_context(|| path.display().to_string())
}
