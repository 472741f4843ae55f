//! Distillation from a teacher network (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).

use crate::TrainError;
use crate::feed::Feed;
use crate::incoming::Sent;
use crate::settings::RetrainSettings;
use crate::targets::softmax;
use candle_core::{DType, Device, Result, Tensor};
use cream_arch::Architecture;
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, ToBeLoaded};
use std::collections::BTreeMap;

/// A teacher as it is given.
#[derive(Clone, Debug)]
pub struct TeacherPlan {
    /// Its network.
    pub architecture: Architecture,
    /// Its weights.
    pub tensors: BTreeMap<String, Tensor>,
}

impl TeacherPlan {
    /// Whether it can teach `student`.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for one of other classes or another input size.
    pub fn check(&self, student: &Architecture) -> std::result::Result<(), TrainError> {
        let own = &self.architecture;
        if own.num_classes != student.num_classes {
            return Err(TrainError::Setting(format!(
                "the teacher has {} classes and the network {}; give a teacher of the same classes",
                own.num_classes, student.num_classes
            )));
        }
        if own.image_size != student.image_size {
            return Err(TrainError::Setting(format!(
                "the teacher takes images of {} pixels and the network of {}; give a teacher for that size, or its \
                 architecture at that size with --teacher-arch",
                own.image_size, student.image_size
            )));
        }
        Ok(())
    }
}

/// A network in inference, that says how sure to be of what.
#[derive(Debug)]
pub struct Teacher {
    network: ChildNet,
    /// Its own, if it wants its input normalised in another way than the student does.
    feed: Option<Feed>,
    share: f64,
    temperature: f64,
}

impl Teacher {
    /// Builds the network and loads its weights.
    ///
    /// # Errors
    /// When it cannot teach `student`, or its weights are not its network's.
    pub fn new(
        plan: &TeacherPlan,
        student: &Architecture,
        settings: &RetrainSettings,
        device: &Device,
    ) -> std::result::Result<Self, TrainError> {
        plan.check(student)?;
        let fault = |error| TrainError::Setting(format!("the teacher's weights: {error}"));
        let mut init = ToBeLoaded::from_tensors(&plan.tensors);
        let network =
            ChildNet::new(&plan.architecture, &mut init, DType::F32, device).map_err(fault)?;
        network.weights().load(&plan.tensors, |_| false).map_err(fault)?;
        let input = &plan.architecture.input;
        let same = (input.mean, input.std) == (student.input.mean, student.input.std);
        let feed =
            (!same).then(|| Feed::new(input, student.num_classes, (device, settings.precision)));
        let RetrainSettings { teacher_weight: share, teacher_temperature: temperature, .. } =
            *settings;
        Ok(Self { network, feed, share, temperature })
    }

    /// The student's loss, its logits being those of `images`, which the batch was fed as.
    ///
    /// # Errors
    /// When shapes disagree.
    pub fn loss(
        &self,
        logits: &Tensor,
        target: &Tensor,
        (sent, images): (&Sent, &Tensor),
    ) -> std::result::Result<Tensor, TrainError> {
        let pass = self.network.pass(Statistics::Running);
        let known = match &self.feed {
            None => self.network.forward(images, &pass)?,
            Some(feed) => self.network.forward(&feed.images_of(sent)?, &pass)?,
        };
        Ok(distillation(logits, target, &known, (self.share, self.temperature))?)
    }
}

/// `(1 - w) CE(z, target) + w T^2 KL(softmax(t / T) || softmax(z / T))`, means over the batch, for the student's logits
/// z and the teacher's t `[N, classes]`, and `(w, T)`. T^2 keeps the gradient's size at any temperature.
///
/// # Errors
/// When the shapes differ.
pub fn distillation(
    logits: &Tensor,
    target: &Tensor,
    teacher: &Tensor,
    (share, temperature): (f64, f64),
) -> Result<Tensor> {
    let cooled = |logits: &Tensor| logits.affine(1.0 / temperature, 0.0);
    let known = cooled(&teacher.detach())?;
    let soft = softmax(&known)?;
    // The divergence is the cross-entropy less the teacher's own entropy.
    let divergence = (cross_entropy(&cooled(logits)?, &soft)? - cross_entropy(&known, &soft)?)?;
    let hard = cross_entropy(logits, target)?;
    hard.affine(1.0 - share, 0.0)? + divergence.affine(share * temperature * temperature, 0.0)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values, (2, 3), &Device::Cpu).unwrap()
    }

    /// A student that says what its teacher says differs from it in nothing, at any temperature.
    #[test]
    fn agreement_costs_nothing() {
        let logits = tensor(&[1.0, -2.0, 0.5, 3.0, 0.0, 0.25]);
        let target = tensor(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        let loss = |w, t| {
            distillation(&logits, &target, &logits, (w, t)).unwrap().to_scalar::<f64>().unwrap()
        };
        let hard = cross_entropy(&logits, &target).unwrap().to_scalar::<f64>().unwrap();
        assert!(loss(1.0, 4.0).abs() < 1e-14);
        assert!((loss(0.25, 2.0) - 0.75 * hard).abs() < 1e-14);
    }
}
