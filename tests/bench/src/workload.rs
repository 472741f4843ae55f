//! The steps that are timed, as the trainers run them.

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use cream_data::keyed::{Key, Purpose, below, normal};
use cream_nn::layers::{Pass, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, SuperNet};
use cream_train::KeyedInitialisation;
use cream_train::optimizer::{Kind, Optimizer, Rule, gradients};
use cream_train::precision::Precision;
use cream_train::targets::smoothed;

use crate::subject::{CLASSES, Subject, Supernet};

const SEED: u64 = 0;
const LEARNING_RATE: f64 = 0.01;
const LABEL_SMOOTHING: f64 = 0.1;

/// SGD with Nesterov's momentum and coupled weight decay; the other constants are not its.
const RULE: Rule =
    Rule { kind: Kind::Sgd, momentum: 0.9, alpha: 0.0, epsilon: 0.0, weight_decay: 1e-4 };

/// A network with random weights, one batch of random images and labels, and an optimizer.
pub struct Workload<'a> {
    network: Network<'a>,
    optimizer: Optimizer,
    /// `[N, H, W, 3]`, in the precision of all activations.
    images: Tensor,
    /// Smoothed labels `[N, classes]`.
    target: Tensor,
}

enum Network<'a> {
    Child(Box<ChildNet>),
    Super(Box<SuperNet>, &'a Supernet),
}

impl<'a> Workload<'a> {
    /// Before the first step. `batch` counts images.
    ///
    /// # Errors
    /// When the tensors cannot be allocated.
    pub fn new(
        subject: &'a Subject,
        batch: usize,
        (device, precision): (&Device, Precision),
    ) -> Result<Self> {
        let mut init = KeyedInitialisation::new(SEED);
        let network = match subject {
            Subject::Child { architecture, .. } => {
                let net = ChildNet::new(architecture, &mut init, DType::F32, device)?;
                Network::Child(Box::new(net))
            }
            Subject::Supernet(s) => {
                let (space, depths) = (&s.space, &s.depths);
                let net = SuperNet::new(space, depths, CLASSES, &mut init, DType::F32, device)?;
                Network::Super(Box::new(net), s)
            }
        };
        let size = subject.size();
        let mut rng = Key::new(SEED, Purpose::Synthetic).rng(&[0, 0]);
        let pixels = batch * size * size * 3;
        let pixels: Vec<f32> = (0..pixels).map(|_| normal(&mut rng) as f32).collect();
        let labels: Vec<u32> = (0..batch).map(|_| below(&mut rng, CLASSES as u64) as u32).collect();
        let images = Tensor::from_vec(pixels, (batch, size, size, 3), device)?;
        Ok(Self {
            network,
            optimizer: Optimizer::new(RULE),
            images: images.to_dtype(precision.dtype())?,
            target: smoothed(&labels, CLASSES, LABEL_SMOOTHING, DType::F32, device)?,
        })
    }

    /// Forward, backward and update; returns the loss.
    ///
    /// # Errors
    /// When an operator refuses its input.
    pub fn train(&mut self, step: u64) -> Result<f32> {
        let pass = self.network.pass(Statistics::Update).with_gradients();
        let logits = self.network.forward(&self.images, step, &pass)?;
        let loss = cross_entropy(&logits, &self.target)?;
        let gradients = gradients(&mut pass.backward(&loss)?, self.network.parameters(step)?)?;
        let value = loss.detach();
        drop((loss, logits));
        self.optimizer.step(&gradients, LEARNING_RATE)?;
        Ok(value.to_scalar::<f32>()?)
    }

    /// Forward with running statistics; returns the logits `[N, classes]`.
    ///
    /// # Errors
    /// When an operator refuses its input.
    pub fn infer(&self, step: u64) -> Result<Tensor> {
        self.network.forward(&self.images, step, &self.network.pass(Statistics::Running))
    }
}

impl Network<'_> {
    fn pass(&self, statistics: Statistics) -> Pass {
        match self {
            Self::Child(net) => net.pass(statistics),
            Self::Super(net, _) => net.pass(statistics),
        }
    }

    fn forward(&self, images: &Tensor, step: u64, pass: &Pass) -> Result<Tensor> {
        match self {
            Self::Child(net) => Ok(net.forward(images, pass)?),
            Self::Super(net, supernet) => Ok(net.forward(images, &supernet.path_of(step), pass)?),
        }
    }

    fn parameters(&self, step: u64) -> Result<Vec<(&str, &Var)>> {
        match self {
            Self::Child(net) => {
                let parameters = net.weights().parameters.iter();
                Ok(parameters.map(|(name, var)| (name.as_str(), var)).collect())
            }
            Self::Super(net, supernet) => Ok(net.path_parameters(&supernet.path_of(step))?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_lowers_the_loss_on_its_batch() {
        let subject = Subject::path("14", Some(32)).unwrap();
        let mut workload = Workload::new(&subject, 4, (&Device::Cpu, Precision::F32)).unwrap();
        let losses: Vec<f32> = (0..8).map(|step| workload.train(step).unwrap()).collect();
        // A network that knows nothing gives every class 1 / 1000.
        assert!((losses[0] - 1000_f32.ln()).abs() < 1.0, "{losses:?}");
        assert!(losses[7] < losses[0] - 0.5, "{losses:?}");
        assert_eq!(workload.infer(0).unwrap().dims(), [4, CLASSES]);
    }

    #[test]
    fn a_step_of_a_supernet_trains_its_path_alone() {
        let subject = Subject::supernet(&[1, 1, 1, 1, 1], Some(32)).unwrap();
        let mut workload = Workload::new(&subject, 2, (&Device::Cpu, Precision::F32)).unwrap();
        workload.train(0).unwrap();
        let (momentum, _, _) = workload.optimizer.state();
        let trained = workload.network.parameters(0).unwrap();
        assert!(trained.iter().all(|(name, _)| momentum.contains_key(*name)));
        assert_eq!(momentum.len(), trained.len());
        assert_ne!(subject.path_of(0), subject.path_of(1));
    }
}
