//! What is timed: one network, or a supernet with another path every step.

use anyhow::Context;
use cream_arch::{
    ArchError, Architecture, FlopsInterval, Path, PathSampler, Shape, Space, published,
};
use cream_cli::{Failure, OrFail};
use cream_data::keyed::{Key, Purpose};

/// Classes, as ImageNet has.
pub const CLASSES: usize = 1000;

/// Input size in pixels where nothing says another.
const SIZE: usize = 224;

/// Of the paths that a supernet's steps run.
const SEED: u64 = 0;

/// One network, or a supernet.
#[derive(Debug)]
pub enum Subject {
    /// The same network every step.
    Child {
        /// As it was asked for.
        name: String,
        /// At the size to be timed.
        architecture: Architecture,
    },
    /// Another path every step.
    Supernet(Supernet),
}

/// A supernet and the paths that are drawn from it.
#[derive(Debug)]
pub struct Supernet {
    name: String,
    /// What it holds the choices of.
    pub space: Space,
    /// Layers per searched stage.
    pub depths: Vec<usize>,
    size: usize,
    sampler: PathSampler,
}

impl Subject {
    /// A published network by name, or a path of the published space by index lists, at `size` pixels.
    ///
    /// # Errors
    /// [`Failure::Input`] when there is none, or not at this size.
    pub fn path(text: &str, size: Option<usize>) -> Result<Self, Failure> {
        let architecture = || {
            if !text.starts_with('[') {
                let network = published(text)?;
                let size = size.unwrap_or(network.image_size);
                return network.with_image_size(size);
            }
            Space::published().architecture(&text.parse()?, size.unwrap_or(SIZE), CLASSES)
        };
        let architecture = architecture().context("--path").or_input()?;
        Ok(Self::Child { name: text.to_owned(), architecture })
    }

    /// The supernet of the published space with `depths[s]` layers in searched stage s, at `size` pixels. All its
    /// paths are equally likely.
    ///
    /// # Errors
    /// [`Failure::Input`] when the space has none such, or not at this size.
    pub fn supernet(depths: &[usize], size: Option<usize>) -> Result<Self, Failure> {
        let (space, size) = (Space::published(), size.unwrap_or(SIZE));
        let prior = vec![1.0; space.choices.len()];
        let shape = Shape::fixed(size, depths.to_vec());
        let sampler = PathSampler::new(&space, &shape, CLASSES, FlopsInterval::ALL, &prior)
            .context("--supernet")
            .or_input()?;
        let words: Vec<String> = depths.iter().map(usize::to_string).collect();
        let name = format!("supernet {}", words.join(","));
        Ok(Self::Supernet(Supernet { name, space, depths: depths.to_vec(), size, sampler }))
    }

    /// Name for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Child { name, .. } | Self::Supernet(Supernet { name, .. }) => name,
        }
    }

    /// Input size in pixels.
    pub fn size(&self) -> usize {
        match self {
            Self::Child { architecture, .. } => architecture.image_size,
            Self::Supernet(supernet) => supernet.size,
        }
    }

    /// The path that a step runs; `None` for a network that has no choice.
    pub fn path_of(&self, step: u64) -> Option<Path> {
        match self {
            Self::Child { .. } => None,
            Self::Supernet(supernet) => Some(supernet.path_of(step)),
        }
    }

    /// The network that a step runs.
    ///
    /// # Errors
    /// When the space does not build it.
    pub fn network_of(&self, step: u64) -> Result<Architecture, ArchError> {
        match self {
            Self::Child { architecture, .. } => Ok(architecture.clone()),
            Self::Supernet(s) => s.space.architecture(&s.path_of(step), s.size, CLASSES),
        }
    }
}

impl Supernet {
    /// The path that a step runs, a function of the step alone.
    pub fn path_of(&self, step: u64) -> Path {
        self.sampler.sample(&mut Key::new(SEED, Purpose::Path).rng(&[step, 0]))
    }
}
