//! Gradient accumulation: a step on more images than are computed at once.

use crate::optimizer::Gradient;
use candle_core::{Result, Tensor, Var};

/// The gradients of one step's batches, summed as they come.
///
/// Their mean is the gradient of the mean loss over the global batch, the batches being of one size. Batch norms see one
/// batch at a time, as on several devices that do not exchange their statistics.
#[derive(Clone, Debug, Default)]
pub struct Accumulation {
    batches: usize,
    /// In the order of the parameters.
    sums: Vec<Tensor>,
}

impl Accumulation {
    /// Adds the gradients of one batch, always of the same parameters in the same order.
    ///
    /// # Errors
    /// When they are those of other parameters.
    pub fn add(&mut self, gradients: &[Gradient<'_>]) -> Result<()> {
        if self.batches == 0 {
            self.sums = gradients.iter().map(|g| g.gradient.clone()).collect();
        } else if self.sums.len() == gradients.len() {
            for (sum, Gradient { gradient, .. }) in self.sums.iter_mut().zip(gradients) {
                *sum = (&*sum + gradient)?;
            }
        } else {
            candle_core::bail!("{} gradients after {}", gradients.len(), self.sums.len());
        }
        self.batches += 1;
        Ok(())
    }

    /// The means of what was added, each with its parameter.
    ///
    /// # Errors
    /// When nothing was added, or there are other parameters.
    pub fn mean<'a>(
        self,
        parameters: impl ExactSizeIterator<Item = (&'a String, &'a Var)>,
    ) -> Result<Vec<Gradient<'a>>> {
        let Self { batches, sums } = self;
        if parameters.len() != sums.len() {
            candle_core::bail!("{} gradients of {} parameters", sums.len(), parameters.len());
        }
        let mean = |sum: Tensor| match batches {
            1 => Ok(sum),
            _ => sum.affine(1.0 / batches as f64, 0.0),
        };
        let pairs = parameters.zip(sums);
        pairs
            .map(|((name, parameter), sum)| Ok(Gradient { name, parameter, gradient: mean(sum)? }))
            .collect()
    }
}
