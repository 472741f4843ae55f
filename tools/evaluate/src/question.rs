//! Which images of a data set are scored, and which answers count.

use std::sync::Arc;

use candle_core::Tensor;
use cream_cli::Failure;
use cream_data::{SampleId, ShardSet, Split};
use cream_train::TrainError;

use crate::args::Args;
use crate::classes::Outputs;

/// The answers that count.
pub struct Answers {
    /// What each is called, in the order of the network's outputs.
    pub names: Vec<String>,
    /// The network's outputs that they are; all of them if there is no `--subset`.
    columns: Option<Vec<usize>>,
}

impl Answers {
    /// All outputs of these names, or those that `--subset` leaves.
    ///
    /// # Errors
    /// [`Failure::Input`] for a subset that cannot be read or names what is no output.
    pub fn of(args: &Args, outputs: &Outputs, mut names: Vec<String>) -> Result<Self, Failure> {
        let columns = args.subset.as_deref().map(|file| outputs.subset(file)).transpose()?;
        if let Some(columns) = &columns {
            names = columns.iter().filter_map(|&column| names.get(column).cloned()).collect();
        }
        Ok(Self { names, columns })
    }

    /// The answer that an output is.
    fn of_output(&self, output: usize) -> Option<u32> {
        let place = match &self.columns {
            None => Some(output),
            Some(columns) => columns.binary_search(&output).ok(),
        };
        place.map(|place| place as u32)
    }

    /// The output that an answer is.
    pub fn output(&self, answer: usize) -> usize {
        self.columns.as_ref().and_then(|columns| columns.get(answer).copied()).unwrap_or(answer)
    }

    /// The logits of the answers: `[N, outputs]` to `[N, answers]`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn select(&self, logits: &Tensor) -> Result<Tensor, TrainError> {
        let Some(columns) = &self.columns else { return Ok(logits.clone()) };
        let columns: Vec<u32> = columns.iter().map(|&column| column as u32).collect();
        let columns = Tensor::from_vec(columns, self.names.len(), logits.device())?;
        Ok(logits.index_select(&columns, 1)?)
    }
}

/// Labelled images and the answers to choose from.
pub struct Question {
    /// The shards.
    pub data: Arc<ShardSet>,
    /// The part of them.
    pub split: Split,
    /// The images, in shard order.
    pub samples: Vec<SampleId>,
    /// The answers.
    pub answers: Answers,
    /// By the data's class number: the right answer; none for what `--subset` leaves out.
    right: Vec<Option<u32>>,
}

impl Question {
    /// What the flags ask of a network with these outputs.
    ///
    /// # Errors
    /// [`Failure::Input`] for data whose classes are not the network's, or without images.
    pub fn new(args: &Args, data: Arc<ShardSet>, mut outputs: Outputs) -> Result<Self, Failure> {
        let places = outputs.place(data.classes(), data.class_names())?;
        let answers = Answers::of(args, &outputs, outputs.ids())?;
        let right: Vec<Option<u32>> = places.iter().map(|&o| answers.of_output(o)).collect();
        let split = args.split.unwrap_or(Split::Validation);
        let mut samples = data.samples(split);
        if samples.is_empty() {
            return Err(Failure::input(format!(
                "the data has no images in split {split}; give another --split"
            )));
        }
        samples.retain(|&sample| {
            data.label(sample)
                .is_ok_and(|class| right.get(class as usize).copied().flatten().is_some())
        });
        if samples.is_empty() {
            return Err(Failure::input(format!(
                "the split {split} has no images of the classes in --subset; give another --split or --subset"
            )));
        }
        Ok(Self { data, split, samples, answers, right })
    }

    /// The right answer to an image of this class of the data.
    pub fn label(&self, class: u32) -> u32 {
        self.right.get(class as usize).copied().flatten().unwrap_or_default()
    }

    /// The answers that are right for some class of the data, ascending.
    pub fn labels(&self) -> Vec<u32> {
        let mut labels: Vec<u32> = self.right.iter().flatten().copied().collect();
        labels.sort_unstable();
        labels
    }
}
