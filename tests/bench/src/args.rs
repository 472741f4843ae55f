//! The command line, and the plan that it makes.

use clap::{ArgGroup, Parser, ValueEnum};
use cream_cli::Failure;
use cream_train::precision::Precision;

use crate::subject::Subject;

const ABOUT: &str = "Time training and inference of the networks";

const LONG_ABOUT: &str = "\
Time training and inference of the networks, on made-up images.

  bench --path 287 --batch 16                  a published network at its own input size
  bench --path '[[0],[3,3],[3,3],[1],[3]]'     a path of the published space
  bench --supernet 1,2,3,2,2 --mode train      another random path of this supernet every step
  bench --operators                            every operator by itself, at the shapes of network 287

One line per case: images per second as the median over the timed steps, with the slowest and the
fastest; the time of a step; the floor, which no step can go below, and its share of the time; and
the most memory that the process held. An operator has its time and its rate instead.";

/// Flags as given.
#[derive(Debug, Parser)]
#[command(name = "bench", version = cream_cli::VERSION, about = ABOUT, long_about = LONG_ABOUT)]
#[command(group = ArgGroup::new("what").args(["path", "supernet", "operators"]).required(true))]
pub struct Args {
    /// A published network (14, 43, 114, 287, 481, 604), or index lists of the published space
    #[arg(long, value_name = "NAME|LISTS")]
    pub path: Option<String>,

    /// Layers per searched stage of a supernet, of which every step runs another path
    #[arg(long, value_name = "A,B,C,D,E", value_delimiter = ',')]
    pub supernet: Option<Vec<usize>>,

    /// Every operator by itself
    #[arg(long, conflicts_with_all = ["size", "mode"])]
    pub operators: bool,

    /// Input size in pixels; by default a published network's own, otherwise 224
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,

    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub batch: usize,

    /// What to time
    #[arg(long, value_enum, default_value_t = ModeName::Both)]
    pub mode: ModeName,

    /// Threads; by default one per core
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// auto, cpu or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value = "auto", conflicts_with = "operators")]
    pub device: String,

    /// Of activations and products; parameters, statistics and the loss are f32
    #[arg(long, value_name = "f32|tf32|bf16", default_value_t = Precision::F32, conflicts_with = "operators")]
    pub precision: Precision,

    /// Steps that are timed
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = at_least_one)]
    pub repeat: usize,

    /// Steps before those
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub warmup: usize,

    /// Print one object per case and line
    #[arg(long)]
    pub json: bool,
}

/// Modes as flags name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Forward, backward and update
    Train,
    /// Forward, with running statistics
    Infer,
    /// One after the other
    Both,
}

impl ModeName {
    /// The cases, inference first: it needs less memory, and the peak only grows.
    pub fn cases(self) -> &'static [Mode] {
        match self {
            Self::Train => &[Mode::Train],
            Self::Infer => &[Mode::Infer],
            Self::Both => &[Mode::Infer, Mode::Train],
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forward, backward and update.
    Train,
    /// Forward, with running statistics.
    Infer,
}

/// How often something runs.
#[derive(Debug, Clone, Copy)]
pub struct Repeats {
    /// Before anything is timed.
    pub warmup: usize,
    /// Timed.
    pub timed: usize,
}

/// What is asked for, of flags that agree with each other.
#[derive(Debug)]
pub enum Request {
    /// Steps of a network.
    Network(Box<Plan>),
    /// Every operator by itself.
    Operators,
}

/// A network and the steps that are timed.
#[derive(Debug)]
pub struct Plan {
    /// The network or supernet.
    pub subject: Subject,
    /// Images per step.
    pub batch: usize,
    /// What a step does.
    pub mode: ModeName,
    /// Steps.
    pub repeats: Repeats,
}

impl Args {
    /// The request that the flags make; clap has refused those that exclude each other.
    ///
    /// # Errors
    /// [`Failure::Input`] for a network that there is not.
    pub fn request(&self) -> Result<Request, Failure> {
        let subject = match (&self.path, &self.supernet) {
            (Some(path), _) => Subject::path(path, self.size)?,
            (None, Some(depths)) => Subject::supernet(depths, self.size)?,
            (None, None) => return Ok(Request::Operators),
        };
        let (batch, mode, repeats) = (self.batch, self.mode, self.repeats());
        Ok(Request::Network(Box::new(Plan { subject, batch, mode, repeats })))
    }

    /// How often every case runs.
    pub fn repeats(&self) -> Repeats {
        Repeats { warmup: self.warmup, timed: self.repeat }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, Failure> {
        Args::try_parse_from(line.split(' ')).map_err(Failure::input)?.request()
    }

    fn name_and_size(line: &str) -> (String, usize) {
        match request(line).unwrap() {
            Request::Network(plan) => (plan.subject.name().to_owned(), plan.subject.size()),
            Request::Operators => panic!("{line} is no network"),
        }
    }

    #[test]
    fn a_published_network_has_its_own_size_unless_told() {
        assert_eq!(name_and_size("bench --path 14"), ("14".to_owned(), 64));
        assert_eq!(name_and_size("bench --path 14 --size 96"), ("14".to_owned(), 96));
        let lists = "[[0],[3,3],[3,3],[1],[3]]";
        let line = format!("bench --path {lists}");
        assert_eq!(name_and_size(&line), (lists.to_owned(), 224));
        let supernet = ("supernet 1,2,3,2,2".to_owned(), 224);
        assert_eq!(name_and_size("bench --supernet 1,2,3,2,2"), supernet);
    }

    #[test]
    fn what_there_is_not_is_refused() {
        for (line, part) in [
            ("bench --path 15", "15"),
            ("bench --path [[0],[3,3],[3,3],[1],[6]]", "choice 6"),
            ("bench --path [[0],[3,3]", "write lists such as"),
            ("bench --supernet 1,2,3", "depths"),
            ("bench --path 14 --supernet 1,2,3,2,2", "cannot be used with"),
            ("bench --path 14 --batch 0", "at least 1"),
            ("bench --operators --size 64", "cannot be used with"),
            ("bench", "required"),
        ] {
            let failure = request(line).unwrap_err();
            assert_eq!(failure.status(), 2, "{line}");
            let text = format!("{:#}", failure.error());
            assert!(text.contains(part), "{line}: {text}");
        }
    }
}
