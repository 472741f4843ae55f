//! The files that an evaluation may leave: predictions, logits, inputs.
//!
//! Each is begun aside before the first image is scored, so that a place that cannot be written is known then, grows
//! batch by batch, and takes its name when all images are through.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use cream_cli::{Failure, OrFail};
use cream_data::files::Aside;
use cream_data::{Batch, DataError, ShardSet, Split};
use cream_nn::file_head;
use cream_train::TrainError;
use cream_train::targets::softmax;
use safetensors::Dtype;
use serde_json::json;

use crate::args::Args;

/// Classes listed per image.
const BEST: usize = 5;

/// The files that were asked for.
pub struct Sinks {
    classes: Vec<String>,
    /// Images that the heads of tensor files promise, less those written.
    left: usize,
    predictions: Option<Sink>,
    logits: Option<Sink>,
    inputs: Option<Sink>,
}

/// A file that grows aside.
struct Sink {
    path: PathBuf,
    file: Aside,
}

impl Sinks {
    /// Begins the files that the flags ask for, for the images of `split` and a network of this input size.
    ///
    /// # Errors
    /// [`Failure::Input`] for a path that cannot be written or is given twice.
    pub fn begin(
        args: &Args,
        data: &ShardSet,
        split: Split,
        image_size: usize,
    ) -> Result<Self, Failure> {
        let given = [&args.predictions, &args.logits, &args.save_inputs];
        let mut names = BTreeSet::new();
        if let Some(twice) = given.into_iter().flatten().find(|path| !names.insert(*path)) {
            let path = twice.display();
            return Err(Failure::input(format!("{path}: given for two files; give each its own")));
        }
        let begin = |path: &Option<PathBuf>| path.as_deref().map(Sink::begin).transpose();
        let mut sinks = Self {
            classes: data.classes().to_vec(),
            left: data.len(split),
            predictions: begin(&args.predictions)?,
            logits: begin(&args.logits)?,
            inputs: begin(&args.save_inputs)?,
        };
        sinks.heads(data, split, image_size).or_run()?;
        Ok(sinks)
    }

    /// Everything that is known before the first image; the labels are, which come before the narrower logits.
    fn heads(&mut self, data: &ShardSet, split: Split, image_size: usize) -> anyhow::Result<()> {
        let (images, classes) = (data.len(split), data.num_classes());
        let description = |format: &str| json!({"format": format, "version": 1});
        if let Some(sink) = &mut self.predictions {
            let mut header = vec!["key".to_owned(), "label".to_owned()];
            for rank in 1..=BEST.min(classes) {
                header.extend([format!("class{rank}"), format!("probability{rank}")]);
            }
            sink.row(&header)?;
        }
        if let Some(sink) = &mut self.logits {
            let shapes =
                [("labels", Dtype::I64, &[images][..]), ("logits", Dtype::F32, &[images, classes])];
            sink.write(&file_head(&description("cream-logits"), &shapes)?)?;
            for sample in data.samples(split) {
                sink.write(&i64::from(data.label(sample)?).to_le_bytes())?;
            }
        }
        if let Some(sink) = &mut self.inputs {
            let shape = [images, image_size, image_size, 3];
            sink.write(&file_head(
                &description("cream-inputs"),
                &[("inputs", Dtype::U8, &shape)],
            )?)?;
        }
        Ok(())
    }

    /// Takes in a batch with its logits `[N, classes]`; batches come in shard order.
    pub fn add(
        &mut self,
        data: &ShardSet,
        batch: &Batch,
        logits: &Tensor,
    ) -> Result<(), TrainError> {
        self.left = self.left.saturating_sub(batch.len());
        if let Some(sink) = &mut self.predictions {
            let name = |class: usize| self.classes.get(class).cloned().unwrap_or_default();
            let probabilities = softmax(&logits.to_dtype(DType::F64)?)?.to_vec2::<f64>()?;
            for (i, row) in probabilities.iter().enumerate() {
                let key = data.key(batch.samples[i])?.to_owned();
                let mut record = vec![key, name(batch.labels[i] as usize)];
                record.extend(best(row).iter().flat_map(|&(c, p)| [name(c), format!("{p:.6}")]));
                sink.row(&record)?;
            }
        }
        if let Some(sink) = &mut self.logits {
            let values = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            for value in values.flatten_all()?.to_vec1::<f32>()? {
                sink.write(&value.to_le_bytes())?;
            }
        }
        if let Some(sink) = &mut self.inputs {
            sink.write(&batch.pixels)?;
        }
        Ok(())
    }

    /// Gives the files their names.
    pub fn finish(self) -> anyhow::Result<()> {
        if self.left > 0 {
            bail!("{} images were not scored; please report this", self.left);
        }
        for Sink { path, file } in
            [self.predictions, self.logits, self.inputs].into_iter().flatten()
        {
            file.commit().map_err(DataError::io(path))?;
        }
        Ok(())
    }
}

impl Sink {
    fn begin(path: &Path) -> Result<Self, Failure> {
        // The file aside would be made beside a folder, and could then not take its name.
        if path.is_dir() {
            let path = path.display();
            return Err(Failure::input(format!("{path}: is a folder; give a file to write")));
        }
        match Aside::create(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = path.display();
                Err(Failure::input(format!(
                    "{path}: {error}; give a file in a folder that is there"
                )))
            }
            Err(error) => Err(DataError::io(path)(error)).or_input(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.file.writer().write_all(bytes).map_err(DataError::io(&self.path))
    }

    fn row(&mut self, fields: &[String]) -> Result<(), DataError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let line = writer.write_record(fields).map_err(io::Error::from).and_then(|()| {
            writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
        });
        self.write(&line.map_err(DataError::io(&self.path))?)
    }
}

/// The most probable classes, the first of equals first.
fn best(row: &[f64]) -> Vec<(usize, f64)> {
    let mut classes: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    classes.truncate(BEST);
    classes
}
