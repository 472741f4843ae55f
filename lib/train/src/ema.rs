//! Exponential moving average of weights and running statistics.

use candle_core::{Result, Tensor};
use cream_nn::Weights;
use cream_nn::ops::update::{self, Item};
use std::collections::BTreeMap;

/// The average of every tensor of a network: `average = decay * average + (1 - decay) * value` after each step.
#[derive(Clone, Debug)]
pub struct Ema {
    decay: f64,
    warmup: bool,
    steps: u64,
    average: BTreeMap<String, Tensor>,
}

impl Ema {
    /// Starts at the network's values. With `warmup` the decay of step t is at most (1 + t) / (10 + t), so that short
    /// runs do not keep their starting values.
    ///
    /// # Errors
    /// When memory for the copy cannot be had.
    pub fn new(weights: &Weights, decay: f64, warmup: bool) -> Result<Self> {
        Ok(Self { decay, warmup, steps: 0, average: weights.snapshot()? })
    }

    /// Takes in the network's values after a step.
    ///
    /// # Errors
    /// When the network is another one.
    pub fn update(&mut self, weights: &Weights) -> Result<()> {
        self.steps += 1;
        let t = self.steps as f64;
        let warm = if self.warmup { (1.0 + t) / (10.0 + t) } else { 1.0 };
        let decay = self.decay.min(warm);
        let mut items = Vec::with_capacity(self.average.len());
        for (name, value) in weights.iter() {
            match self.average.get(name) {
                Some(average) => items.push(Item { targets: [average], source: value, own: 0.0 }),
                None => candle_core::bail!("no average of {name}"),
            }
        }
        update::average_each(&items, decay)
    }

    /// The averages by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.average
    }

    /// Takes up averages again after `steps` steps.
    ///
    /// # Errors
    /// When they are not those of this network.
    pub fn restore(
        &mut self,
        average: BTreeMap<String, Tensor>,
        steps: u64,
    ) -> std::result::Result<(), String> {
        let shapes = |tensors: &BTreeMap<String, Tensor>| -> Vec<(String, Vec<usize>)> {
            tensors.iter().map(|(name, t)| (name.clone(), t.dims().to_vec())).collect()
        };
        if shapes(&average) != shapes(&self.average) {
            return Err("its averages do not fit the network".to_owned());
        }
        (self.average, self.steps) = (average, steps);
        Ok(())
    }
}
