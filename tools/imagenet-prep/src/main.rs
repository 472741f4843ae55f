//! imagenet-prep SRC OUT: images as people have them, to shards as the trainers read them.

mod args;
mod out;
mod parallel;
mod prepare;
mod resume;
mod show;
mod space;
mod stats;
mod summary;
mod verify;
mod write;

use std::process::ExitCode;

use cream_cli::Failure;
use imagenet_prep::source;

use args::{Cli, Command, Options};

/// The first page of the manual.
const HELP: &str = "\
Turns images as you have them into shards that supernet-train, arch-retrain and evaluate read.

SRC is a folder or a tar, and what it holds is found by looking:
  ILSVRC2012_img_train.tar, ...         ImageNet's archives as downloaded, with ILSVRC2012_img_val.tar
                                        and ILSVRC2012_devkit_t12.tar.gz beside it; read in place
  NAME.tar                              a tar of class folders, or of one tar per class
  train-*.parquet, validation-*.parquet Hugging Face's parquet files (image.bytes, image.path, label),
                                        in SRC or SRC/data; val-* or test-* for want of validation-*
  train/CLASS/*.jpg, val/CLASS/*.jpg    class folders, as every ImageFolder data set
  CLASS/*.jpg                           one folder per class; needs --val-share
  train.csv, val.csv                    lists with the columns path and label; paths are relative
                                        to SRC
  train-images-idx3-ubyte[.gz], ...     the four files of the MNIST family; an optional classes.txt
                                        names the classes, one a line

Images are JPEG or PNG by their content, whatever they are called; IDX images become grey PNGs. Every
image is decoded once. One whose short side is longer than --short-side is made smaller: a JPEG is
written as a JPEG of --quality, a PNG as a PNG. All others keep their bytes, and with --keep-original
every image does, which evaluation to the last digit of a published accuracy takes. An image that
cannot be decoded is set aside in OUT/quarantine.csv with the reason, never replaced; too many fail
the run.

OUT gets train-000000.tar ..., val-000000.tar ... (WebDataset convention: KEY.jpg or KEY.png and
KEY.cls), a table of the samples of each, and index.json, written last: without it the folder is not
taken for whole. The same input and options give the same bytes, for any number of workers. Run again
with the same input and options, the tool does nothing; after an interruption, it goes on after the
shards that are finished. Before it writes, it tries a few images to learn how much room all will
take, and refuses to begin where there is less.

Memory is bounded: for each worker one image being decoded and made smaller, and at most 32 encoded
ones waiting to be written; beside that some 350 bytes for each image of the set.";

const EXAMPLES: &str = "\
Examples:
  imagenet-prep /data/imagenet shards/imagenet
  imagenet-prep /downloads/ILSVRC2012 shards/imagenet
  imagenet-prep tests/data/fashion-mnist data/sample --search-val-share 0.15
  imagenet-prep photos shards/photos --val-share 0.2 --seed 1
  imagenet-prep /data/imagenet shards/small --short-side 160 --quality 95
  imagenet-prep /data/imagenet shards/ranking --random-classes 100 --per-class 250 --val-per-class 50
  imagenet-prep verify shards/imagenet
  imagenet-prep stats shards/imagenet
  imagenet-prep show shards/imagenet --split train --n 32 --augment full --out sheet.png

A source called as one of the commands is given as ./verify. Each command has a --help of its own.

Settings come from flags, then CREAM_* variables, then --config FILE.toml, then defaults.
Exit status: 0 done or up to date; 1 the run failed; 2 the command line, a setting or SRC was wrong.";

fn main() -> ExitCode {
    cream_cli::main("imagenet-prep", || run(&cream_cli::parse()?))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Some(Command::Verify(args)) => return verify::run(args),
        Some(Command::Stats(args)) => return stats::run(args),
        Some(Command::Show(args)) => return show::run(args),
        None => {}
    }
    let resolved = cli.resolve()?;
    if cli.print_config {
        return cream_cli::write_stdout(resolved.print());
    }
    let options = Options::check(cli, &resolved.settings)?;
    let listing = source::list(&options.choice)?;
    let inputs = args::inputs(&listing, &options);
    let Some(folder) = out::claim(&options, &inputs)? else {
        summary::up_to_date(&options);
        return Ok(());
    };
    let report = prepare::prepare(listing, inputs, &options, &folder)?;
    folder.release()?;
    summary::print(&report, &options);
    Ok(())
}
