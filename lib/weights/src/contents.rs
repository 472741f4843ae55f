//! What a tensor file says of itself, checked: the object in its metadata.

use cream_arch::Architecture;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{METADATA_KEY, WeightsError};

/// The version of every description that this program writes and reads.
const VERSION: u64 = 1;

/// What a tensor file holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Whatever another program put there: it has no description of ours.
    Foreign,
    /// Weights of one network.
    Weights(Box<WeightsDescription>),
    /// A supernet.
    Supernet(Box<SupernetDescription>),
    /// The state of a run of this kind, `search` or `retrain`.
    Checkpoint(String),
    /// What an evaluation left: this format.
    Output(String),
}

/// The description of `model.safetensors`.
#[derive(Clone, Debug)]
pub struct WeightsDescription {
    /// Whether they are an average.
    pub averaged: bool,
    /// The network.
    pub architecture: Architecture,
    /// Names of the classes in the order of the classifier's rows.
    pub classes: Vec<String>,
}

impl WeightsDescription {
    /// The object that a file's metadata holds as text.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "format": "cream-weights",
            "version": VERSION,
            "weights": if self.averaged { "ema" } else { "raw" },
            "architecture": self.architecture,
            "classes": self.classes,
        })
    }
}

/// The description of `supernet.safetensors`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupernetDescription {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u64,
    /// The whole search space, to be read with [`cream_arch::Space::from_json`].
    pub space: Value,
    /// Layers per searched stage.
    pub depths: Vec<usize>,
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Outputs of the classifier.
    pub num_classes: usize,
    /// Seed of the search.
    pub seed: u64,
}

/// The object that a file's metadata holds as text.
pub(crate) fn description(text: &str) -> Result<Value, WeightsError> {
    serde_json::from_str(text).map_err(|error| {
        WeightsError::File(format!(
            "metadata `{METADATA_KEY}` is not JSON: {error}; make the file anew"
        ))
    })
}

impl Contents {
    /// What a file's description says, `Null` standing for a file that has none.
    ///
    /// # Errors
    /// [`WeightsError::File`] for one that is not as its format says, or of another version: the message names the key.
    pub fn of(description: &Value) -> Result<Self, WeightsError> {
        if description.is_null() {
            return Ok(Self::Foreign);
        }
        let run = &description["run"];
        let stated = if run.is_null() { description } else { run };
        let Some(format) = stated["format"].as_str() else {
            return fail("format", "is missing: it is damaged, copy it or make it again");
        };
        match stated["version"].as_u64() {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                let advice = "use the newer program that wrote it, or make it anew with this one";
                return fail(
                    "version",
                    &format!("is {newer}, and this program reads {VERSION}; {advice}"),
                );
            }
            _ => return fail("version", &format!("is not {VERSION}; make the file anew")),
        }
        match format {
            "cream-weights" => Ok(Self::Weights(Box::new(weights(description)?))),
            "cream-supernet" => Ok(Self::Supernet(Box::new(read(description)?))),
            "cream-checkpoint" => {
                Ok(Self::Checkpoint(run["kind"].as_str().unwrap_or_default().to_owned()))
            }
            "cream-logits" | "cream-inputs" => Ok(Self::Output(format.to_owned())),
            other => {
                let other: String = other.chars().take(100).collect();
                fail(
                    "format",
                    &format!("is {other}, which this program does not know; is it the right file?"),
                )
            }
        }
    }
}

fn weights(description: &Value) -> Result<WeightsDescription, WeightsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Stated {
        #[serde(rename = "format")]
        _format: String,
        #[serde(rename = "version")]
        _version: u64,
        weights: Kind,
        architecture: Value,
        classes: Vec<String>,
    }
    #[derive(PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Ema,
        Raw,
    }
    let Stated { weights, architecture, classes, .. } = read(description)?;
    let architecture = Architecture::from_json(&architecture.to_string())
        .or_else(|error| fail("architecture", &error.to_string()))?;
    let (named, outputs) = (classes.len(), architecture.num_classes);
    if named != outputs {
        return fail(
            "classes",
            &format!("names {named} of the {outputs} classes of its architecture"),
        );
    }
    Ok(WeightsDescription { averaged: weights == Kind::Ema, architecture, classes })
}

fn read<T: DeserializeOwned>(description: &Value) -> Result<T, WeightsError> {
    serde_path_to_error::deserialize(description)
        .or_else(|error| fail(&error.path().to_string(), &error.inner().to_string()))
}

fn fail<T>(key: &str, reason: &str) -> Result<T, WeightsError> {
    Err(WeightsError::File(format!("its description: {key} {reason}")))
}
