//! Which classes are taken for which: the files of `--confusion` and `--per-class`.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use cream_cli::Failure;
use cream_data::DataError;
use cream_train::TrainError;
use cream_train::score::rank;

use crate::args::Args;
use crate::question::Question;
use crate::sink::Sink;

/// Most classes of a confusion matrix: a hundred million cells.
const MAX_CLASSES: usize = 10_000;

/// Counts of right and wrong answers, and the files they are for.
pub struct Tables {
    confusion: Option<Sink>,
    per_class: Option<Sink>,
    /// Right answers that occur in the data, ascending.
    labels: Vec<u32>,
    /// By (right, best answer), where there are any.
    answered: BTreeMap<(u32, u32), u64>,
    /// By right answer.
    counts: BTreeMap<u32, Count>,
}

/// Images of a class.
#[derive(Clone, Copy, Default)]
struct Count {
    images: u64,
    top1: u64,
    top5: u64,
}

impl Tables {
    /// Begins the files that the flags ask for.
    ///
    /// # Errors
    /// [`Failure::Input`] for a path that cannot be written, or a matrix of too many classes.
    pub fn begin(args: &Args, question: &Question) -> Result<Self, Failure> {
        let answers = question.answers.names.len();
        if args.confusion.is_some() && answers > MAX_CLASSES {
            return Err(Failure::input(format!(
                "--confusion is for at most {MAX_CLASSES} classes and there are {answers}; take --per-class"
            )));
        }
        Ok(Self {
            confusion: Sink::begin(args.confusion.as_deref())?,
            per_class: Sink::begin(args.per_class.as_deref())?,
            labels: question.labels(),
            answered: BTreeMap::new(),
            counts: BTreeMap::new(),
        })
    }

    /// Counts a batch of logits `[N, answers]` with the right answers.
    ///
    /// # Errors
    /// When the logits are no matrix.
    pub fn add(&mut self, logits: &Tensor, labels: &[u32]) -> Result<(), TrainError> {
        if self.confusion.is_none() && self.per_class.is_none() {
            return Ok(());
        }
        let rows: Vec<Vec<f64>> = logits.to_dtype(DType::F64)?.to_vec2()?;
        for (row, &label) in rows.iter().zip(labels) {
            let place = rank(row, label as usize);
            let count = self.counts.entry(label).or_default();
            count.images += 1;
            count.top1 += u64::from(place == 0);
            count.top5 += u64::from(place < 5);
            if let Some(answer) = first_best(row) {
                *self.answered.entry((label, answer)).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(mut self, names: &[String]) -> Result<(), DataError> {
        if let Some(mut sink) = self.confusion.take() {
            sink.row(std::iter::once("label").chain(names.iter().map(String::as_str)))?;
            for &label in &self.labels {
                let counts = (0..names.len() as u32)
                    .map(|answer| self.answered.get(&(label, answer)).unwrap_or(&0).to_string());
                sink.row(std::iter::once(name(names, label)).chain(counts))?;
            }
            sink.finish()?;
        }
        if let Some(mut sink) = self.per_class.take() {
            sink.row(["class", "images", "top1", "top5", "confused_with", "confused"])?;
            for &label in &self.labels {
                sink.row(self.row(names, label))?;
            }
            sink.finish()?;
        }
        Ok(())
    }

    /// A class with its shares of right answers and the most frequent wrong one, the first of equals.
    fn row(&self, names: &[String], label: u32) -> [String; 6] {
        let Count { images, top1, top5 } = self.counts.get(&label).copied().unwrap_or_default();
        let share = |count: u64| {
            if images == 0 { String::new() } else { format!("{:.6}", count as f64 / images as f64) }
        };
        let mut wrong = (String::new(), 0);
        for (&(_, answer), &count) in self.answered.range((label, 0)..=(label, u32::MAX)) {
            if answer != label && count > wrong.1 {
                wrong = (name(names, answer), count);
            }
        }
        let confused = if wrong.1 == 0 { String::new() } else { share(wrong.1) };
        [name(names, label), images.to_string(), share(top1), share(top5), wrong.0, confused]
    }
}

fn name(names: &[String], answer: u32) -> String {
    names.get(answer as usize).cloned().unwrap_or_default()
}

/// The answer of the highest logit, the first of equals; none where all are no numbers.
fn first_best(row: &[f64]) -> Option<u32> {
    let mut best: Option<(u32, f64)> = None;
    for (answer, &logit) in (0..).zip(row) {
        if !logit.is_nan() && best.is_none_or(|(_, highest)| logit > highest) {
            best = Some((answer, logit));
        }
    }
    best.map(|(answer, _)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_answer_is_the_first_of_equals_and_a_number() {
        assert_eq!(first_best(&[f64::NAN, 1.0, 2.0, 2.0]), Some(2));
        assert_eq!(first_best(&[f64::NEG_INFINITY, f64::NAN]), Some(0));
        assert_eq!(first_best(&[f64::NAN; 2]), None);
    }
}
