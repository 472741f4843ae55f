//! Checkpoints: groups of named tensors with the state of a loop as JSON, and what the run is.

use crate::TrainError;
use crate::run_folder::Found;
use candle_core::{Device, Tensor};
use cream_nn::TensorFile;
use cream_nn::ops::finite::is_finite;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a checkpoint belongs to. A run goes on only with the settings and data that it was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    format: String,
    version: u32,
    /// `search` or `retrain`.
    kind: String,
    /// The settings that results depend on.
    settings: Map<String, Value>,
    /// Checksum of the data set.
    data: String,
}

/// Settings that results do not depend on: a run may go on with others.
pub const FREE: [&str; 7] = [
    "threads",
    "workers",
    "device",
    "checkpoint-steps",
    "keep-checkpoints",
    "keep-best",
    "skip-nonfinite",
];

const FORMAT: &str = "cream-checkpoint";
const VERSION: u32 = 1;

impl Identity {
    /// The identity of a run of `kind` with `settings` on the data set of that checksum.
    pub fn new(kind: &str, settings: &impl Serialize, data: &str) -> Self {
        let settings = match serde_json::to_value(settings) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let settings = settings.into_iter().filter(|(key, _)| !FREE.contains(&key.as_str()));
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            kind: kind.to_owned(),
            settings: settings.collect(),
            data: data.to_owned(),
        }
    }

    /// Adds something else that results depend on.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.settings.insert(key.to_owned(), value);
        self
    }

    /// What differs in `self`, a checkpoint's, from `current`.
    fn differences(&self, current: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, now) in &current.settings {
            match self.settings.get(key) {
                Some(then) if then == now => {}
                Some(_) if now.is_object() => differences.push(format!("{key} is another one")),
                Some(then) => differences.push(format!("{key} is {now}, was {then}")),
                None => differences.push(format!("{key} is {now}, was not set")),
            }
        }
        for key in self.settings.keys().filter(|key| !current.settings.contains_key(*key)) {
            differences.push(format!("{key} was set, and is no setting any more"));
        }
        if self.data != current.data {
            differences.push("the data set is another one".to_owned());
        }
        differences
    }
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    identity: Identity,
    state: Value,
    tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// A checkpoint without tensors.
    ///
    /// # Errors
    /// When the state cannot be written as JSON.
    pub fn new(identity: Identity, state: &impl Serialize) -> Result<Self, TrainError> {
        let state = serde_json::to_value(state)
            .map_err(|e| TrainError::Setting(format!("the state cannot be saved: {e}")))?;
        Ok(Self { path: PathBuf::new(), identity, state, tensors: BTreeMap::new() })
    }

    /// Adds a group of tensors.
    pub fn put(&mut self, group: &str, tensors: BTreeMap<String, Tensor>) {
        self.tensors.extend(tensors.into_iter().map(|(name, t)| (format!("{group}/{name}"), t)));
    }

    /// The name of a tensor that is not finite, if there is one: it would only show many steps later.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn non_finite(&self) -> Result<Option<&str>, TrainError> {
        for (name, tensor) in &self.tensors {
            if tensor.dtype().is_float() && !is_finite(tensor)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The file to write.
    pub fn into_file(self) -> TensorFile {
        let description = serde_json::json!({"run": self.identity, "state": self.state});
        TensorFile { description, tensors: self.tensors }
    }

    /// Takes the tensors of a file that was found, if it belongs to the run that `current` identifies.
    ///
    /// # Errors
    /// When it is no checkpoint, or one of another run: the message lists what differs.
    pub fn from_file(
        path: PathBuf,
        found: &mut Found,
        current: &Identity,
    ) -> Result<Self, TrainError> {
        let fail = |reason: String| TrainError::Checkpoint { path: path.clone(), reason };
        let mut description = std::mem::take(&mut found.file.description);
        let tensors = std::mem::take(&mut found.file.tensors);
        let mut take = |key: &str| description.get_mut(key).map(Value::take).unwrap_or_default();
        let (run, state) = (take("run"), take("state"));
        let identity: Identity = serde_json::from_value(run).map_err(|_| {
            fail("not a checkpoint of a run; give one from its checkpoints folder".to_owned())
        })?;
        if (identity.format.as_str(), identity.version) != (FORMAT, VERSION) {
            let found = format!("{} version {}", identity.format, identity.version);
            return Err(fail(format!("is {found}; this program reads {FORMAT} version {VERSION}")));
        }
        if identity.kind != current.kind {
            return Err(fail(format!(
                "belongs to a {}, not a {}; give one of this run or --resume auto",
                identity.kind, current.kind
            )));
        }
        let differences = identity.differences(current);
        if !differences.is_empty() {
            let list = differences.join("; ");
            return Err(fail(format!(
                "was made with other settings: {list}; use the same ones (only {} may change), start anew with --resume never, or \
                 use another --out",
                FREE.join(", ")
            )));
        }
        Ok(Self { path, identity, state, tensors })
    }

    /// The state of the loop.
    ///
    /// # Errors
    /// When it has another form.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, TrainError> {
        serde_json::from_value(self.state.clone()).map_err(|e| TrainError::Checkpoint {
            path: self.path.clone(),
            reason: format!("its state cannot be read: {e}"),
        })
    }

    /// Takes out a group of tensors; empty when there is none.
    pub fn take(&mut self, group: &str) -> BTreeMap<String, Tensor> {
        take_group(&mut self.tensors, group)
    }

    /// The same on `device`, for a run that goes on there.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn take_to(
        &mut self,
        group: &str,
        device: &Device,
    ) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let tensors = self.take(group).into_iter();
        tensors.map(|(name, tensor)| Ok((name, tensor.to_device(device)?))).collect()
    }
}

/// Whether a checkpoint is to be written after `step` steps, of which every `every`-th has one; 0 for none.
pub(crate) fn is_due(every: u64, step: u64) -> bool {
    every > 0 && step.is_multiple_of(every)
}

/// The steps of a position must be those of its epochs and batches.
///
/// # Errors
/// Says what does not fit.
pub(crate) fn check_position(
    epoch: usize,
    batch: usize,
    step: u64,
    skipped: u64,
    steps_per_epoch: usize,
) -> Result<(), String> {
    if skipped > batch as u64 {
        return Err(format!(
            "{skipped} of {batch} steps of an epoch are skipped; start anew with --resume never"
        ));
    }
    let expected = epoch.checked_mul(steps_per_epoch).and_then(|steps| steps.checked_add(batch));
    // After its last batch an epoch is still to be scored.
    if batch <= steps_per_epoch && expected.map(|steps| steps as u64) == Some(step) {
        return Ok(());
    }
    Err(format!(
        "step {step} is not batch {batch} of epoch {epoch}; start anew with --resume never"
    ))
}

/// Takes the tensors under `group/` out of a map, without the prefix.
pub fn take_group(tensors: &mut BTreeMap<String, Tensor>, group: &str) -> BTreeMap<String, Tensor> {
    let prefix = format!("{group}/");
    let (taken, left) =
        std::mem::take(tensors).into_iter().partition(|(name, _)| name.starts_with(&prefix));
    *tensors = left;
    let taken: BTreeMap<String, Tensor> = taken;
    taken.into_iter().map(|(name, t)| (name[prefix.len()..].to_owned(), t)).collect()
}
