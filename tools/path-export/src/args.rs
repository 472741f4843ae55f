//! The command line, and the request that it makes.

use clap::{ArgGroup, Parser};
use cream_arch::{FlopsInterval, Path};
use cream_cli::{Failure, OrFail};

const ABOUT: &str = "Print networks as architecture files";

const LONG_ABOUT: &str = "\
Print networks as architecture files: from a search, by name, from index lists, or at random.

One network is printed as an indented document, several as JSON lines; both pipe straight into
flops-count, arch-retrain --arch - and evaluate --arch -.

  path-export runs/imagenet/search-0-200        the best network of a search
  path-export RUN --flops-max 150               the best of at most 150 MFLOPs
  path-export RUN --top 5                       the five best
  path-export RUN --pareto                      the best for each cost
  path-export RUN --sample 1000 --seed 1        random paths of that supernet, inside its limits
  path-export --sample 10 --flops-max 200       random paths of the published space
  path-export --name 287                        a published network or baseline
  path-export --path '[[0],[3,3],[3,3],[1],[3]]' --image-size 64 --classes 1000";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "path-export", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
#[command(group = ArgGroup::new("origin").args(["sample", "path", "name"]))]
#[command(group = ArgGroup::new("what").args(["run", "sample", "path", "name"]).multiple(true).required(true))]
pub struct Args {
    /// A search's run directory, its board.json, or - for a board on standard input
    #[arg(value_name = "RUN|BOARD.json", conflicts_with_all = ["path", "name"])]
    pub run: Option<String>,

    /// The N best entries of the board, as JSON lines
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "origin")]
    pub top: Option<usize>,

    /// The entries that no cheaper one matches in score, cheapest first, as JSON lines
    #[arg(long, conflicts_with = "origin")]
    pub pareto: bool,

    /// Only networks of at least this many million FLOPs, as published
    #[arg(long, value_name = "MILLIONS", conflicts_with_all = ["path", "name"])]
    pub flops_min: Option<f64>,

    /// Only networks of at most this many million FLOPs, as published
    #[arg(long, value_name = "MILLIONS", conflicts_with_all = ["path", "name"])]
    pub flops_max: Option<f64>,

    /// N random paths, uniform among those inside the limits, as JSON lines; a path may come twice
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub sample: Option<usize>,

    /// Seed of --sample: path i depends on the seed and i only
    #[arg(long, value_name = "S", requires = "sample", default_value_t = 0)]
    pub seed: u64,

    /// Search space of --sample and --path, instead of the published one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "name"])]
    pub space: Option<String>,

    /// Layers per searched stage of --sample; by default the limits choose
    #[arg(
        long,
        value_name = "A,B,C,D,E",
        value_delimiter = ',',
        requires = "sample",
        conflicts_with = "run"
    )]
    pub depths: Option<Vec<usize>>,

    /// Input size in pixels; by default the limits choose, or the network's own with --name
    #[arg(long, value_name = "N", conflicts_with = "run")]
    pub image_size: Option<usize>,

    /// Classes; 1000 by default
    #[arg(long, value_name = "N", conflicts_with = "run")]
    pub classes: Option<usize>,

    /// Index lists: one per searched stage, or as the original release prints them with [0] first
    /// and last
    #[arg(long, value_name = "LISTS", requires = "image_size")]
    pub path: Option<String>,

    /// Read --path as the original release built it: a stage of one layer takes that stage's default
    /// block, whatever its index
    #[arg(long, requires = "path")]
    pub released_reading: bool,

    /// A published network (14, 43, 114, 287, 481, 604) or a baseline (mobilenet-v3-large,
    /// efficientnet-b0, efficientnet-b1, efficientnet-lite0)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// No note about what was exported on standard error
    #[arg(long, short)]
    pub quiet: bool,
}

/// What is asked for, of flags that agree with each other.
pub enum Request {
    /// Entries of a board.
    Board {
        /// Run directory, file or `-`.
        run: String,
        /// Which entries.
        selection: Selection,
        /// Costs allowed.
        limits: FlopsInterval,
    },
    /// Random paths.
    Sample(Sample),
    /// Index lists.
    Lists {
        /// As given.
        lists: Path,
        /// Whether single layers take the release's default block.
        released: bool,
        /// Space file, or none for the published space.
        space: Option<String>,
        /// In pixels.
        image_size: usize,
        /// Outputs of the classifier.
        classes: usize,
    },
    /// A network that comes with the program.
    Named {
        /// Its name.
        name: String,
        /// In pixels, if not its own.
        image_size: Option<usize>,
        /// If not its own.
        classes: Option<usize>,
    },
}

/// Entries of a board.
pub enum Selection {
    /// The best one, as a document.
    Best,
    /// So many, as JSON lines.
    Top(usize),
    /// The best per cost.
    Pareto,
}

/// Random paths.
pub struct Sample {
    /// How many.
    pub count: usize,
    /// Their seed.
    pub seed: u64,
    /// Whose supernet and limits, if any.
    pub run: Option<String>,
    /// Space file, or none for the run's or the published space.
    pub space: Option<String>,
    /// Layers per searched stage, or none for what the limits choose.
    pub depths: Option<Vec<usize>>,
    /// In pixels, or none for what the limits choose.
    pub image_size: Option<usize>,
    /// Outputs of the classifier.
    pub classes: usize,
    /// In millions.
    pub flops_min: Option<f64>,
    /// In millions.
    pub flops_max: Option<f64>,
}

/// Classes where nothing says how many: ImageNet's.
const DEFAULT_CLASSES: usize = 1000;

impl Args {
    /// The request that the flags make; clap has refused those that exclude each other.
    pub fn request(self) -> Result<Request, Failure> {
        let classes = self.classes.unwrap_or(DEFAULT_CLASSES);
        if let Some(name) = self.name {
            let (image_size, classes) = (self.image_size, self.classes);
            return Ok(Request::Named { name, image_size, classes });
        }
        if let (Some(path), Some(image_size)) = (self.path, self.image_size) {
            let lists: Path = path.parse().or_input()?;
            let (released, space) = (self.released_reading, self.space);
            return Ok(Request::Lists { lists, released, space, image_size, classes });
        }
        let (flops_min, flops_max) = (self.flops_min, self.flops_max);
        if let Some(count) = self.sample {
            return Ok(Request::Sample(Sample {
                count,
                seed: self.seed,
                run: self.run,
                space: self.space,
                depths: self.depths,
                image_size: self.image_size,
                classes,
                flops_min,
                flops_max,
            }));
        }
        let limits = FlopsInterval::from_millions(flops_min, flops_max).or_input()?;
        let selection = match (self.top, self.pareto) {
            (Some(_), true) => return Err(Failure::input("--top and --pareto: give one of them")),
            (Some(count), false) => Selection::Top(count),
            (None, true) => Selection::Pareto,
            (None, false) => Selection::Best,
        };
        match self.run {
            Some(run) => Ok(Request::Board { run, selection, limits }),
            None => {
                Err(Failure::input("nothing to export: give a run, --name, --path or --sample"))
            }
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
