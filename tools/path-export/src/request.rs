//! The request that the command line makes.

use std::path::PathBuf;

use cream_arch::{FlopsInterval, Path};
use cream_cli::{Failure, OrFail};
use cream_onnx::{BatchNorm, Normalisation, Opset, Options};

use crate::args::{Args, Format, WeightsArgs};

/// What is asked for, of flags that agree with each other.
pub enum Request {
    /// Entries of a board, or scored paths in their place.
    Board {
        /// Run directory, file or `-`.
        run: String,
        /// Scored paths: a file or `-`.
        scores: Option<String>,
        /// Which entries.
        selection: Selection,
        /// Costs allowed.
        limits: FlopsInterval,
    },
    /// Random paths.
    Sample(Sample),
    /// Children of scored paths.
    Offspring(Offspring),
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
    /// A network's weights in another form.
    Weights(Weights),
}

/// Weights, and what they become.
pub struct Weights {
    /// A safetensors file, or the folder of a retraining.
    pub file: PathBuf,
    /// Architecture of foreign weights: a file, a name or `-`.
    pub arch: Option<String>,
    /// In pixels, if not the network's own.
    pub image_size: Option<usize>,
    /// What is written.
    pub target: Target,
}

/// A form that other programs read.
pub enum Target {
    /// A model of operators.
    Onnx {
        /// Where it goes, or none for standard output.
        out: Option<PathBuf>,
        /// How.
        options: Options,
    },
    /// A folder of `config.json` and `model.safetensors`.
    HuggingFace {
        /// Its name.
        folder: PathBuf,
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
    /// Layers per searched stage at least, or none for all.
    pub min_depths: Option<Vec<usize>>,
    /// Whether costs are spread over what can be reached.
    pub spread: bool,
    /// In pixels, or none for what the limits choose.
    pub image_size: Option<usize>,
    /// Outputs of the classifier.
    pub classes: usize,
    /// In millions.
    pub flops_min: Option<f64>,
    /// In millions.
    pub flops_max: Option<f64>,
}

/// Children of scored paths.
pub struct Offspring {
    /// Whose supernet.
    pub run: String,
    /// Scored paths: a file or `-`.
    pub scores: String,
    /// How many.
    pub count: usize,
    /// How many of the best are parents.
    pub parents: usize,
    /// Their seed.
    pub seed: u64,
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
        if let (None, Some(flag)) = (&self.weights.weights, self.weights.given()) {
            return Err(Failure::input(format!("{flag}: is for --weights; leave it out")));
        }
        if let Some(file) = self.weights.weights.clone() {
            let target = self.weights.target()?;
            let (arch, image_size) = (self.weights.arch, self.image_size);
            return Ok(Request::Weights(Weights { file, arch, image_size, target }));
        }
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
                min_depths: self.min_depths,
                spread: self.spread,
                image_size: self.image_size,
                classes,
                flops_min,
                flops_max,
            }));
        }
        if let (Some(run), Some(scores), Some(count)) = (&self.run, &self.scores, self.offspring) {
            let (run, scores) = (run.clone(), scores.clone());
            let Self { parents, seed, .. } = self;
            let offspring = Offspring { run, scores, count, parents, seed, flops_min, flops_max };
            return Ok(Request::Offspring(offspring));
        }
        let limits = FlopsInterval::from_millions(flops_min, flops_max).or_input()?;
        let selection = match (self.top, self.pareto) {
            (Some(_), true) => return Err(Failure::input("--top and --pareto: give one of them")),
            (Some(count), false) => Selection::Top(count),
            (None, true) => Selection::Pareto,
            (None, false) => Selection::Best,
        };
        match self.run {
            Some(run) => Ok(Request::Board { run, scores: self.scores, selection, limits }),
            None => Err(Failure::input(
                "nothing to export: give a run, --name, --path, --sample or --weights",
            )),
        }
    }
}

impl WeightsArgs {
    fn target(&self) -> Result<Target, Failure> {
        match self.format {
            None => Err(Failure::input(
                "--weights: give --format onnx or --format huggingface, to say what they become",
            )),
            Some(Format::Onnx) => {
                let out = self.out.clone().filter(|out| out.as_os_str() != "-");
                Ok(Target::Onnx { out, options: self.options()? })
            }
            Some(Format::Huggingface) => match (self.for_onnx(), &self.out) {
                (Some(flag), _) => {
                    Err(Failure::input(format!("{flag}: is for --format onnx; leave it out")))
                }
                (None, Some(folder)) if folder.as_os_str() != "-" => {
                    Ok(Target::HuggingFace { folder: folder.clone() })
                }
                _ => Err(Failure::input("--format huggingface: name the folder with --out DIR")),
            },
        }
    }

    /// A flag that shapes what weights become.
    fn given(&self) -> Option<&'static str> {
        let given = [
            ("--arch", self.arch.is_some()),
            ("--format", self.format.is_some()),
            ("--out", self.out.is_some()),
        ];
        let given = given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag);
        given.or(self.for_onnx())
    }

    /// A flag that only ONNX models have.
    fn for_onnx(&self) -> Option<&'static str> {
        let given = [
            ("--opset", self.opset.is_some()),
            ("--batch", self.batch.is_some()),
            ("--keep-batch-norm", self.keep_batch_norm),
            ("--include-normalisation", self.include_normalisation),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    fn options(&self) -> Result<Options, Failure> {
        let opset = self
            .opset
            .map(Opset::new)
            .transpose()
            .map_err(|error| Failure::input(format!("--opset: {error}")))?;
        let batch_norm = if self.keep_batch_norm { BatchNorm::Kept } else { BatchNorm::Folded };
        let inside = self.include_normalisation;
        Ok(Options {
            opset: opset.unwrap_or_default(),
            batch: self.batch.unwrap_or_default(),
            batch_norm,
            normalisation: if inside { Normalisation::Inside } else { Normalisation::Outside },
        })
    }
}
