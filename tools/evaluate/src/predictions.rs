//! The best answers to an image, and the CSV of them.

use std::path::Path;

use candle_core::{DType, Tensor};
use cream_cli::{Failure, OrFail};
use cream_data::DataError;
use cream_train::TrainError;
use cream_train::targets::softmax;

use crate::sink::Sink;

/// Answers listed per image.
const BEST: usize = 5;

/// Answers with their probabilities, the most probable first.
pub type Best = Vec<(usize, f64)>;

/// The best answers of every row of logits `[N, answers]`.
///
/// # Errors
/// When the device has no room.
pub fn best_of(logits: &Tensor) -> Result<Vec<Best>, TrainError> {
    let probabilities = softmax(&logits.to_dtype(DType::F64)?)?.to_vec2::<f64>()?;
    Ok(probabilities.iter().map(|row| best(row)).collect())
}

/// The most probable classes, the first of equals first.
fn best(row: &[f64]) -> Best {
    let mut classes: Best = row.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    classes.truncate(BEST);
    classes
}

/// The file of `--predictions`.
pub struct Predictions(Sink);

impl Predictions {
    /// Begins the file, if one was asked for, for this many answers.
    ///
    /// # Errors
    /// [`Failure::Input`] for a path that cannot be written.
    pub fn begin(path: Option<&Path>, answers: usize) -> Result<Option<Self>, Failure> {
        let Some(mut sink) = Sink::begin(path)? else { return Ok(None) };
        let mut header = vec!["key".to_owned(), "label".to_owned()];
        for rank in 1..=BEST.min(answers) {
            header.extend([format!("class{rank}"), format!("probability{rank}")]);
        }
        sink.row(&header).or_run()?;
        Ok(Some(Self(sink)))
    }

    /// Adds an image: its key, the right answer's name if it is known, and the best answers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(
        &mut self,
        key: &str,
        label: &str,
        names: &[String],
        best: &[(usize, f64)],
    ) -> Result<(), DataError> {
        let mut record = vec![key.to_owned(), label.to_owned()];
        for &(class, probability) in best {
            record.push(names.get(class).cloned().unwrap_or_default());
            record.push(format!("{probability:.6}"));
        }
        self.0.row(&record)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self) -> Result<(), DataError> {
        self.0.finish()
    }
}
