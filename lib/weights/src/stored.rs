//! The tensors of a safetensors file, as those of one network.

use std::collections::BTreeMap;

use cream_arch::Architecture;
use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::Value;

use crate::expected::is_variance;
use crate::values::to_f32;
use crate::{Contents, METADATA_KEY, WeightsError, expected_tensors, explain, rename_foreign};

/// A file's tensors where they lie, and what the file says of itself.
#[derive(Debug)]
pub struct StoredTensors<'a> {
    /// What the file says of itself; `Null` in a foreign file.
    pub description: Value,
    /// The same, checked.
    pub contents: Contents,
    views: BTreeMap<String, TensorView<'a>>,
}

/// A tensor in float32.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Sides, the first one outermost.
    pub shape: Vec<usize>,
    /// Values in the order of the file: the last side runs fastest.
    pub values: Vec<f32>,
}

/// Every tensor of one network by its name, in the shapes that [`expected_tensors`] states; all values are finite and
/// variances not negative.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkTensors(BTreeMap<String, Tensor>);

impl<'a> StoredTensors<'a> {
    /// Reads a file's bytes. Every length is checked against them before anything is allocated.
    ///
    /// # Errors
    /// [`WeightsError::File`] when they are not safetensors, or the description is not as its format says.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let not_ours = |error| WeightsError::File(explain(bytes, &error));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_ours)?;
        let description = match header.metadata().as_ref().and_then(|all| all.get(METADATA_KEY)) {
            Some(text) => crate::contents::description(text)?,
            None => Value::Null,
        };
        let contents = Contents::of(&description)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_ours)?;
        Ok(Self { description, contents, views: tensors.tensors().into_iter().collect() })
    }

    /// The tensors of the network that `architecture` describes, converted to float32. In a foreign file, names of
    /// other programs are [turned into ours](rename_foreign). PyTorch's counts of batches are passed over.
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] when a tensor is missing, unknown, misshapen or not of floating point: the message
    /// lists the first few of each. [`WeightsError::Value`] for a value that is not finite or a variance below 0.
    pub fn of_network(&self, architecture: &Architecture) -> Result<NetworkTensors, WeightsError> {
        let expected = expected_tensors(architecture);
        let mut left = match self.contents {
            Contents::Foreign => rename_foreign(self.views.clone(), architecture)?,
            _ => self.views.clone(),
        };
        left.retain(|name, _| !name.ends_with("num_batches_tracked"));
        let mut problems = Vec::new();
        let mut tensors = BTreeMap::new();
        for wanted in expected {
            let name = wanted.name;
            let Some(view) = left.remove(&name) else {
                problems.push(format!("{name} is missing"));
                continue;
            };
            if view.shape() != wanted.shape {
                problems.push(format!(
                    "{name} has shape {:?}, not {:?}",
                    view.shape(),
                    wanted.shape
                ));
                continue;
            }
            match to_f32(view.dtype(), view.data()) {
                Some(values) => drop(tensors.insert(name, Tensor { shape: wanted.shape, values })),
                None => problems.push(format!("{name} has type {}, not F32", view.dtype())),
            }
        }
        problems.extend(left.keys().map(|name| format!("{name} is not part of this network")));
        if !problems.is_empty() {
            return Err(WeightsError::mismatch(&problems));
        }
        tensors.iter().try_for_each(|(name, tensor)| check_values(name, &tensor.values))?;
        Ok(NetworkTensors(tensors))
    }
}

fn check_values(name: &str, values: &[f32]) -> Result<(), WeightsError> {
    let broken = |value: &f32| !value.is_finite() || (is_variance(name) && *value < 0.0);
    let Some(index) = values.iter().position(broken) else { return Ok(()) };
    let value = values[index];
    let rule = if value.is_finite() { "no variance is below 0" } else { "weights are finite" };
    Err(WeightsError::Value { name: name.to_owned(), value, index, rule })
}

impl NetworkTensors {
    /// The tensor of this name.
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] for a name that is none of the network's.
    pub fn get(&self, name: &str) -> Result<&Tensor, WeightsError> {
        let missing = || WeightsError::mismatch(&[format!("{name} is missing")]);
        self.0.get(name).ok_or_else(missing)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}
