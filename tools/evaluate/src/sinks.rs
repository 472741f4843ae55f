//! The files that an evaluation may leave: predictions, logits, inputs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use cream_data::files::write_whole;
use cream_data::{Batch, ShardSet};
use cream_nn::TensorFile;
use cream_train::TrainError;
use cream_train::targets::softmax;

use crate::args::Args;

/// Classes listed per image.
const BEST: usize = 5;

/// Gathers what is to be written, which happens once all images are through.
pub struct Sinks {
    classes: Vec<String>,
    predictions: Option<(PathBuf, Vec<Prediction>)>,
    logits: Option<(PathBuf, Vec<Tensor>, Vec<i64>)>,
    inputs: Option<(PathBuf, Vec<Tensor>)>,
}

struct Prediction {
    key: String,
    label: u32,
    /// Class and probability, best first.
    best: Vec<(usize, f64)>,
}

impl Sinks {
    /// The files that the flags ask for.
    pub fn new(args: &Args, classes: &[String]) -> Self {
        Self {
            classes: classes.to_vec(),
            predictions: args.predictions.clone().map(|path| (path, Vec::new())),
            logits: args.logits.clone().map(|path| (path, Vec::new(), Vec::new())),
            inputs: args.save_inputs.clone().map(|path| (path, Vec::new())),
        }
    }

    /// Takes in a batch with its logits `[N, classes]`.
    pub fn add(
        &mut self,
        data: &ShardSet,
        batch: &Batch,
        logits: &Tensor,
    ) -> Result<(), TrainError> {
        if let Some((_, rows)) = &mut self.predictions {
            let probabilities = softmax(&logits.to_dtype(DType::F64)?)?.to_vec2::<f64>()?;
            for (i, row) in probabilities.iter().enumerate() {
                let key = data.key(batch.samples[i])?.to_owned();
                rows.push(Prediction { key, label: batch.labels[i], best: best(row) });
            }
        }
        if let Some((_, all, labels)) = &mut self.logits {
            all.push(logits.to_device(&Device::Cpu)?);
            labels.extend(batch.labels.iter().map(|&label| i64::from(label)));
        }
        if let Some((_, all)) = &mut self.inputs {
            let shape = (batch.len(), batch.image_size, batch.image_size, 3);
            all.push(Tensor::from_slice(&batch.pixels, shape, &Device::Cpu)?);
        }
        Ok(())
    }

    /// Writes the files, each whole or not at all.
    pub fn write(self) -> anyhow::Result<()> {
        let classes = &self.classes;
        if let Some((path, rows)) = &self.predictions {
            write(path, &predictions(rows, classes)?)?;
        }
        if let Some((path, all, labels)) = self.logits {
            let labels = Tensor::from_vec(labels.clone(), labels.len(), &Device::Cpu)?;
            let tensors =
                [("logits".to_owned(), Tensor::cat(&all, 0)?), ("labels".to_owned(), labels)];
            write(&path, &tensor_file("cream-logits", tensors.into())?)?;
        }
        if let Some((path, all)) = self.inputs {
            let inputs = BTreeMap::from([("inputs".to_owned(), Tensor::cat(&all, 0)?)]);
            write(&path, &tensor_file("cream-inputs", inputs)?)?;
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use anyhow::Context;
    write_whole(path, |writer| writer.write_all(bytes)).with_context(|| path.display().to_string())
}

fn tensor_file(format: &str, tensors: BTreeMap<String, Tensor>) -> anyhow::Result<Vec<u8>> {
    let description = serde_json::json!({"format": format, "version": 1});
    Ok(TensorFile { description, tensors }.to_bytes()?)
}

/// The most probable classes, the first of equals first.
fn best(row: &[f64]) -> Vec<(usize, f64)> {
    let mut classes: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    // A list of its own: a truncated one keeps room for every class.
    classes.iter().take(BEST).copied().collect()
}

fn predictions(rows: &[Prediction], classes: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["key".to_owned(), "label".to_owned()];
    for rank in 1..=BEST.min(classes.len()) {
        header.extend([format!("class{rank}"), format!("probability{rank}")]);
    }
    writer.write_record(&header)?;
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    for row in rows {
        let mut record = vec![row.key.clone(), name(row.label as usize)];
        record.extend(row.best.iter().flat_map(|&(class, p)| [name(class), format!("{p:.6}")]));
        writer.write_record(&record)?;
    }
    Ok(writer.into_inner()?)
}
