//! The matching network: which prioritized path should teach a student, and how much it is trusted.
//!
//! One linear layer M scores board entry i by `M(softmax(student(probe_i)) - soft_i)`; the entry of the highest
//! score s teaches with weight rho = sigmoid(-s) ("Cream of the Crop", section 3.2). M learns by how well
//! the student does on held-out images after a step on the teacher's labels. M's inputs are constants
//! there, so the gradient has a closed form and needs no gradient of a gradient.

use crate::dot::{dot, dot_all};
use crate::optimizer::gradients;
use crate::targets::softmax;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use cream_arch::Path;
use cream_nn::layers::Statistics;
use cream_nn::ops::{cross_entropy::cross_entropy, update};
use cream_nn::{Builder, Init, Initialise, NnError, SuperNet, Weights};

/// What a board entry keeps to be compared with students.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Normalised images `[slice, H, W, 3]`.
    pub images: Tensor,
    /// The entry's own soft labels on them `[slice, classes]`.
    pub soft_labels: Tensor,
}

/// The layer M.
#[derive(Clone, Debug)]
pub struct Matching {
    weight: Var,
    bias: Var,
    weights: Weights,
}

/// A chosen teacher.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Index of the board entry.
    pub entry: usize,
    /// Every entry's score.
    pub scores: Vec<f64>,
    /// sigmoid(-score) of the chosen one: the weight of its labels.
    pub rho: f64,
    /// M's input for the chosen one, `[slice * classes]`.
    pub difference: Tensor,
}

/// The gradient of one update of M.
#[derive(Clone, Debug)]
pub struct MatchingGradient {
    /// With respect to the weight, `[1, slice * classes]`.
    pub weight: Tensor,
    /// With respect to the bias.
    pub bias: f64,
    /// rho times the distillation loss of the inner step.
    pub inner_loss: f64,
    /// Loss on held-out images after the inner step.
    pub validation_loss: f64,
}

impl Matching {
    /// M for probes of `slice` images, uniform within 1 / sqrt(outputs) = 1 as every linear layer here.
    ///
    /// # Errors
    /// When its tensors cannot be allocated.
    pub fn new(
        slice: usize,
        classes: usize,
        initialise: &mut dyn Initialise,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let mut weights = Weights::default();
        let mut b = Builder::new(&mut weights, initialise, dtype, device);
        let mut layer = b.at("meta_layer");
        let weight = layer.parameter("weight", &[1, slice * classes], Init::Uniform(1.0))?;
        let bias = layer.parameter("bias", &[1], Init::Constant(0.0))?;
        Ok(Self { weight, bias, weights })
    }

    /// Its tensors, `meta_layer.weight` and `meta_layer.bias`.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Scores every probe for the student `path` and chooses the best as teacher (the first of equals). One
    /// forward pass over all probes, with that batch's statistics.
    ///
    /// # Errors
    /// When there is no probe, or shapes do not fit.
    pub fn choose(
        &self,
        supernet: &SuperNet,
        path: &Path,
        probes: &[&Probe],
    ) -> std::result::Result<Choice, NnError> {
        let images: Vec<&Tensor> = probes.iter().map(|p| &p.images).collect();
        let soft: Vec<&Tensor> = probes.iter().map(|p| &p.soft_labels).collect();
        let pass = supernet.pass(Statistics::Batch);
        let student = softmax(&supernet.forward(&Tensor::cat(&images, 0)?, path, &pass)?)?;
        let differences = (student - Tensor::cat(&soft, 0)?)?.reshape((probes.len(), ()))?;
        let scores = differences
            .matmul(&self.weight.as_detached_tensor().t()?)?
            .broadcast_add(&self.bias.as_detached_tensor())?
            .squeeze(D::Minus1)?
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?;
        let entry =
            (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        let rho = 1.0 / (1.0 + scores[entry].exp());
        Ok(Choice { entry, rho, difference: differences.get(entry)?, scores })
    }

    /// The gradient of M from one batch: the student steps by `rate` on the teacher's labels of
    /// `images[0..k]`, and its loss on `images[k..2k]` with `targets` says whether that helped. With
    /// g = grad of the inner loss without rho, v = grad of the outer loss at the moved weights, it is
    /// `-rate * <g, v> * d rho / d M`. The student's weights are as before afterwards.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn gradient(
        &self,
        supernet: &SuperNet,
        student: &Path,
        teacher: &Path,
        choice: &Choice,
        batch: &MatchingBatch,
        rate: f64,
    ) -> std::result::Result<MatchingGradient, NnError> {
        let pass = supernet.pass(Statistics::Batch);
        let soft = softmax(&supernet.forward(&batch.inner_images, teacher, &pass)?)?;
        let pass = pass.with_gradients();
        let parameters = supernet.path_parameters(student)?;
        let backward = |images: &Tensor, target: &Tensor| {
            let loss = cross_entropy(&supernet.forward(images, student, &pass)?, target)?;
            let grads = gradients(&mut pass.backward(&loss)?, parameters.iter().copied())?;
            Ok::<_, NnError>((loss.to_dtype(DType::F64)?.to_scalar::<f64>()?, grads))
        };
        let (inner_loss, inner) = backward(&batch.inner_images, &soft)?;
        let before: Vec<Tensor> =
            parameters.iter().map(|(_, p)| p.as_detached_tensor().copy()).collect::<Result<_>>()?;
        let steps = inner.iter().map(|g| {
            let targets = [g.parameter.as_tensor()];
            update::Item { targets, source: &g.gradient, own: 0.0 }
        });
        update::step_each(&steps.collect::<Vec<_>>(), rate * choice.rho)?;
        let outer = backward(&batch.outer_images, &batch.outer_targets);
        for ((_, parameter), value) in parameters.iter().zip(&before) {
            parameter.set(value)?;
        }
        let (validation_loss, outer) = outer?;
        let pairs = inner.iter().zip(&outer).map(|(g, v)| (&g.gradient, &v.gradient));
        let agreement = dot_all(pairs)?;
        // d rho / d score = -rho (1 - rho), and the score's gradient is M's input.
        let factor = rate * agreement * choice.rho * (1.0 - choice.rho);
        let weight = choice.difference.affine(factor, 0.0)?.unsqueeze(0)?;
        let inner_loss = choice.rho * inner_loss;
        Ok(MatchingGradient { weight, bias: factor, inner_loss, validation_loss })
    }

    /// One plain SGD step at `rate`, the gradient clipped to norm 1.
    ///
    /// # Errors
    /// When the gradient does not fit.
    pub fn step(&self, gradient: &MatchingGradient, rate: f64) -> Result<()> {
        let norm = (dot(&gradient.weight, &gradient.weight)? + gradient.bias.powi(2)).sqrt();
        let rate = rate * (1.0 / (norm + 1e-6)).min(1.0);
        update::step(&self.weight, &gradient.weight.contiguous()?, rate)?;
        let bias =
            Tensor::new(&[gradient.bias], self.bias.device())?.to_dtype(self.bias.dtype())?;
        update::step(&self.bias, &bias, rate)
    }
}

/// The images of one update of M.
#[derive(Clone, Debug)]
pub struct MatchingBatch {
    /// Images that the teacher labels, `[k, H, W, 3]`.
    pub inner_images: Tensor,
    /// Held-out images, `[k, H, W, 3]`.
    pub outer_images: Tensor,
    /// Their targets, `[k, classes]`.
    pub outer_targets: Tensor,
}
