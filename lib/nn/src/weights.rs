//! The named tensors of a network: created by its layers, saved and loaded under PyTorch's names.

use crate::NnError;
use crate::ops::finite::is_finite;
use candle_core::{DType, Device, Result, Tensor, Var};
use cream_weights::WeightsError;
use std::collections::BTreeMap;

/// How a tensor starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform in [-bound, bound].
    Uniform(f64),
    /// One value everywhere.
    Constant(f64),
}

/// Where a network's starting values come from. They are asked for by name, so that a tensor's values do
/// not depend on what else the network holds.
pub trait Initialise {
    /// `n` values for the tensor `name`.
    ///
    /// # Errors
    /// When there are no such values to be had.
    fn values(&mut self, name: &str, init: Init, n: usize) -> Result<Vec<f64>>;
}

/// Starts every tensor as a constant (0 where a random draw is asked for), for networks whose
/// weights are loaded right afterwards.
pub struct ToBeLoaded {
    left: usize,
}

impl ToBeLoaded {
    /// For the weights in `tensors`. A network that has far more elements than they is refused before it takes any
    /// memory, whatever the file that describes it claims. One that has a few more gets as far as [`Weights::load`],
    /// which says what is missing.
    pub fn from_tensors(tensors: &BTreeMap<String, Tensor>) -> Self {
        const SLACK: usize = 1 << 22;
        let held: usize = tensors.values().map(Tensor::elem_count).sum();
        Self { left: held.saturating_mul(2).saturating_add(SLACK) }
    }

    /// For weights of a network that exists already.
    pub fn like(weights: &Weights) -> Self {
        Self { left: weights.iter().map(|(_, var)| var.elem_count()).sum() }
    }
}

impl Initialise for ToBeLoaded {
    fn values(&mut self, name: &str, init: Init, n: usize) -> Result<Vec<f64>> {
        match self.left.checked_sub(n) {
            Some(left) => self.left = left,
            None => candle_core::bail!(
                "{name} has {n} elements, more than are left of the weights: they are another network's"
            ),
        }
        Ok(vec![if let Init::Constant(v) = init { v } else { 0.0 }; n])
    }
}

/// All tensors of a network by name.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// What an optimizer changes.
    pub parameters: BTreeMap<String, Var>,
    /// Running statistics.
    pub buffers: BTreeMap<String, Var>,
}

impl Weights {
    /// Parameters and buffers, in the order of their names within each group.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.parameters.iter().chain(&self.buffers)
    }

    /// Every tensor under its name, sharing storage with the network.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
    }

    /// A copy of every tensor, which later steps do not change.
    ///
    /// # Errors
    /// When memory for the copy cannot be had on the device.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.iter()
            .map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().copy()?)))
            .collect()
    }

    /// Takes the values of `tensors`, converting their dtype. Names outside `self` are an error unless
    /// `ignore` accepts them.
    ///
    /// # Errors
    /// When a tensor is missing, unknown, misshapen or not of floating point; the message lists the first few of each, and
    /// nothing has been changed.
    pub fn load(
        &self,
        tensors: &BTreeMap<String, Tensor>,
        ignore: impl Fn(&str) -> bool,
    ) -> std::result::Result<(), NnError> {
        let mut problems = Vec::new();
        let missing = self.iter().filter(|(name, _)| !tensors.contains_key(*name));
        problems.extend(missing.map(|(name, _)| format!("{name} is missing")));
        for (name, tensor) in tensors {
            match self.get(name) {
                Some(var) if var.dims() != tensor.dims() => problems.push(format!(
                    "{name} has shape {:?}, not {:?}",
                    tensor.dims(),
                    var.dims()
                )),
                Some(var) if !tensor.dtype().is_float() => problems.push(format!(
                    "{name} has type {}, not {}",
                    tensor.dtype().as_str(),
                    var.dtype().as_str()
                )),
                // PyTorch's norms count their batches; nothing depends on it.
                None if name.ends_with("num_batches_tracked") => {}
                None if !ignore(name) => {
                    problems.push(format!("{name} is not part of this network"))
                }
                _ => {}
            }
        }
        if !problems.is_empty() {
            return Err(WeightsError::mismatch(&problems).into());
        }
        for (name, var) in self.iter() {
            var.set(&tensors[name].to_dtype(var.dtype())?.to_device(var.device())?.contiguous()?)?;
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Var> {
        self.parameters.get(name).or_else(|| self.buffers.get(name))
    }

    /// Whether every element is a finite number.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn are_finite(&self) -> Result<bool> {
        for (_, var) in self.iter() {
            if !is_finite(var)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Creates the tensors of layers; the path of names through builders is the tensor's name.
pub struct Builder<'a> {
    weights: &'a mut Weights,
    initialise: &'a mut dyn Initialise,
    prefix: String,
    dtype: DType,
    device: Device,
}

impl<'a> Builder<'a> {
    /// A builder at the root of `weights`.
    pub fn new(
        weights: &'a mut Weights,
        initialise: &'a mut dyn Initialise,
        dtype: DType,
        device: &Device,
    ) -> Self {
        Self { weights, initialise, prefix: String::new(), dtype, device: device.clone() }
    }

    /// The builder one name further down.
    pub fn at(&mut self, name: impl std::fmt::Display) -> Builder<'_> {
        Builder {
            prefix: self.full(&name.to_string()),
            weights: self.weights,
            initialise: self.initialise,
            dtype: self.dtype,
            device: self.device.clone(),
        }
    }

    /// A trainable tensor.
    ///
    /// # Errors
    /// When it cannot be allocated on the device.
    pub fn parameter(&mut self, name: &str, dims: &[usize], init: Init) -> Result<Var> {
        let (name, var) = self.create(name, dims, init)?;
        self.weights.parameters.insert(name, var.clone());
        Ok(var)
    }

    /// A running statistic.
    ///
    /// # Errors
    /// When it cannot be allocated on the device.
    pub fn buffer(&mut self, name: &str, dims: &[usize], init: Init) -> Result<Var> {
        let (name, var) = self.create(name, dims, init)?;
        self.weights.buffers.insert(name, var.clone());
        Ok(var)
    }

    fn create(&mut self, name: &str, dims: &[usize], init: Init) -> Result<(String, Var)> {
        let name = self.full(name);
        let elements = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let Some(elements) = elements else {
            candle_core::bail!("{name}: shape {dims:?} is too large")
        };
        let values = self.initialise.values(&name, init, elements)?;
        let tensor = Tensor::from_vec(values, dims, &self.device)?.to_dtype(self.dtype)?;
        Ok((name, Var::from_tensor(&tensor)?))
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}
