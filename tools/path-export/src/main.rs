//! Prints networks as architecture files, and exports trained ones.

mod args;
mod board;
mod export;
mod offspring;
mod request;
mod sample;
mod scores;

use std::process::ExitCode;

use anyhow::Context;
use cream_arch::{
    Architecture, Convention, Cost, Path, Provenance, Reading, Source, Space, published,
};
use cream_cli::{Failure, OrFail, read_text, write_stdout};

use args::Args;
use request::Request;

const MAX_BYTES: u64 = 64 << 20;

fn main() -> ExitCode {
    cream_cli::main("path-export", || run(cream_cli::parse()?))
}

fn run(args: Args) -> Result<(), Failure> {
    let note = Note { quiet: args.quiet };
    match args.request()? {
        Request::Board { run, scores, selection, limits } => {
            board::export(&run, scores.as_deref(), &selection, limits, note)
        }
        Request::Sample(request) => sample::export(&request, note),
        Request::Offspring(request) => offspring::export(&request, note),
        Request::Lists { lists, released, space, image_size, classes } => {
            let reading = if released { Reading::Released } else { Reading::Literal };
            let network = of_lists(&lists, reading, &open_space(space)?, image_size, classes)?;
            print_one(&network, note)
        }
        Request::Named { name, image_size, classes } => {
            print_one(&named(&name, image_size, classes).context("--name").or_input()?, note)
        }
        Request::Weights(request) => export::export(&request, note),
    }
}

/// A note for people on standard error.
#[derive(Clone, Copy)]
struct Note {
    quiet: bool,
}

impl Note {
    fn say(self, text: &str) {
        if !self.quiet {
            eprintln!("path-export: {text}");
        }
    }
}

fn of_lists(
    lists: &Path,
    reading: Reading,
    space: &Space,
    image_size: usize,
    classes: usize,
) -> Result<Architecture, Failure> {
    let path = space.path_from_lists(lists, reading).context("--path").or_input()?;
    let mut network = space.architecture(&path, image_size, classes).or_input()?;
    network.provenance = Some(counted(&network, Source::Lists, space, path));
    Ok(network)
}

fn named(
    name: &str,
    image_size: Option<usize>,
    classes: Option<usize>,
) -> anyhow::Result<Architecture> {
    let mut network = published(name)?;
    if image_size.is_none() && classes.is_none() {
        return Ok(network);
    }
    network.num_classes = classes.unwrap_or(network.num_classes);
    let size = image_size.unwrap_or(network.image_size);
    let mut network = network.with_image_size(size)?;
    let cost = Cost::of(&network);
    // The published counts are those of the published size and classes.
    if let Some(provenance) = &mut network.provenance {
        provenance.flops = Some(cost.flops(Convention::Published));
        provenance.params = Some(cost.params());
    }
    Ok(network)
}

/// Where a network came from, with its counts.
fn counted(network: &Architecture, source: Source, space: &Space, path: Path) -> Provenance {
    let cost = Cost::of(network);
    Provenance {
        space: Some(space.name.clone()),
        path: Some(path),
        flops: Some(cost.flops(Convention::Published)),
        params: Some(cost.params()),
        ..Provenance::from(source)
    }
}

fn open_space(file: Option<String>) -> Result<Space, Failure> {
    match file {
        Some(file) => Space::from_toml(&read_text(&file, MAX_BYTES)?).context(file).or_input(),
        None => Ok(Space::published()),
    }
}

fn print_one(network: &Architecture, note: Note) -> Result<(), Failure> {
    write_stdout(network.to_json())?;
    note.say(&described(network));
    Ok(())
}

/// One line about a network for people.
fn described(network: &Architecture) -> String {
    let cost = Cost::of(network);
    let provenance = network.provenance.as_ref();
    let path = provenance.and_then(|provenance| provenance.path.as_ref());
    let what = match (&network.name, path) {
        (Some(name), _) => name.clone(),
        (None, Some(path)) => format!("path {path}"),
        (None, None) => "a network".to_owned(),
    };
    let (size, classes) = (network.image_size, network.num_classes);
    let flops = millions(cost.flops(Convention::Published));
    let params = millions(cost.params());
    let mut text =
        format!("{what} at {size} px for {classes} classes: {flops} MFLOPs, {params} M parameters");
    let validation = provenance.and_then(|provenance| provenance.validation_top1);
    let batch = provenance.and_then(|provenance| provenance.batch_top1);
    if let Some(top1) = validation {
        text += &format!(", search-validation top-1 {:.1} % with inherited weights", top1 * 100.0);
    } else if let Some(top1) = batch {
        text += &format!(", training-batch top-1 {:.1} % (not validated)", top1 * 100.0);
    }
    text
}

/// Raw counts in millions, to four digits or more.
fn millions(count: u64) -> String {
    format!("{:.3}", count as f64 / 1e6)
}
