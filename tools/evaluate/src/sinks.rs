//! The files that an evaluation may leave: predictions, logits, inputs, tables.

use std::collections::BTreeSet;

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use cream_cli::{Failure, OrFail};
use cream_nn::file_head;
use cream_train::TrainError;
use cream_train::evaluate::Scored;
use safetensors::Dtype;
use serde_json::json;

use crate::args::Args;
use crate::predictions::{Predictions, best_of};
use crate::question::Question;
use crate::sink::Sink;
use crate::tables::Tables;

/// The files that were asked for.
pub struct Sinks {
    /// Images that the heads of tensor files promise, less those written.
    left: usize,
    predictions: Option<Predictions>,
    logits: Option<Sink>,
    inputs: Option<Sink>,
    tables: Tables,
}

impl Sinks {
    /// Begins the files that the flags ask for, for a network of this input size.
    ///
    /// # Errors
    /// [`Failure::Input`] for a path that cannot be written or is given twice.
    pub fn begin(args: &Args, question: &Question, image_size: usize) -> Result<Self, Failure> {
        let given =
            [&args.predictions, &args.logits, &args.save_inputs, &args.confusion, &args.per_class];
        let mut names = BTreeSet::new();
        if let Some(twice) = given.into_iter().flatten().find(|path| !names.insert(*path)) {
            let path = twice.display();
            return Err(Failure::input(format!("{path}: given for two files; give each its own")));
        }
        let answers = question.answers.names.len();
        let mut sinks = Self {
            left: question.samples.len(),
            predictions: Predictions::begin(args.predictions.as_deref(), answers)?,
            logits: Sink::begin(args.logits.as_deref())?,
            inputs: Sink::begin(args.save_inputs.as_deref())?,
            tables: Tables::begin(args, question)?,
        };
        sinks.heads(question, args.views().count(), image_size).or_run()?;
        Ok(sinks)
    }

    /// Everything that is known before the first image; the labels are, which come before the narrower logits.
    fn heads(
        &mut self,
        question: &Question,
        views: usize,
        image_size: usize,
    ) -> anyhow::Result<()> {
        let (images, answers) = (question.samples.len(), question.answers.names.len());
        let description = |format: &str| json!({"format": format, "version": 1});
        if let Some(sink) = &mut self.logits {
            let shapes =
                [("labels", Dtype::I64, &[images][..]), ("logits", Dtype::F32, &[images, answers])];
            sink.write(&file_head(&description("cream-logits"), &shapes)?)?;
            for &sample in &question.samples {
                let label = question.label(question.data.label(sample)?);
                sink.write(&i64::from(label).to_le_bytes())?;
            }
        }
        if let Some(sink) = &mut self.inputs {
            let shape = [images * views, image_size, image_size, 3];
            let shapes = [("inputs", Dtype::U8, &shape[..])];
            sink.write(&file_head(&description("cream-inputs"), &shapes)?)?;
        }
        Ok(())
    }

    /// Takes in a batch with the logits of its answers `[N, answers]` and the right ones; batches come in shard order.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(
        &mut self,
        question: &Question,
        scored: &Scored,
        logits: &Tensor,
        labels: &[u32],
    ) -> Result<(), TrainError> {
        self.left = self.left.saturating_sub(labels.len());
        if let Some(predictions) = &mut self.predictions {
            let names = &question.answers.names;
            let name = |label: u32| names.get(label as usize).map_or("", String::as_str);
            let best = best_of(logits)?;
            for ((sample, &label), best) in scored.samples().zip(labels).zip(&best) {
                predictions.add(question.data.key(sample)?, name(label), names, best)?;
            }
        }
        if let Some(sink) = &mut self.logits {
            let values = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            for value in values.flatten_all()?.to_vec1::<f32>()? {
                sink.write(&value.to_le_bytes())?;
            }
        }
        if let Some(sink) = &mut self.inputs {
            sink.write(&scored.batch.pixels)?;
        }
        self.tables.add(logits, labels)
    }

    /// Gives the files their names.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self, question: &Question) -> anyhow::Result<()> {
        if self.left > 0 {
            bail!("{} images were not scored; please report this", self.left);
        }
        if let Some(predictions) = self.predictions {
            predictions.finish()?;
        }
        for sink in [self.logits, self.inputs].into_iter().flatten() {
            sink.finish()?;
        }
        Ok(self.tables.finish(&question.answers.names)?)
    }
}
