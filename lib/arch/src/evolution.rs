//! Children of paths: crossover and mutation inside a FLOPs interval, as in the evolutionary search
//! of "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (Guo et al., ECCV
//! 2020, algorithm 1), for stages that may differ in their number of layers too.

use std::collections::HashSet;

use rand_core::Rng;

use crate::sampling::uniform;
use crate::{ArchError, ChoiceCosts, FlopsInterval, Path, PathSampler, Shape, Space};

/// Probability that a layer's choice, or a stage's number of layers, is drawn anew; the paper's.
const MUTATION: f64 = 0.1;

/// Children that are tried before one is drawn at random instead.
const ATTEMPTS: usize = 100;

/// Makes children of paths of one shape.
#[derive(Debug, Clone)]
pub struct Evolution {
    shape: Shape,
    choices: u64,
    costs: ChoiceCosts,
    interval: FlopsInterval,
    sampler: PathSampler,
}

impl Evolution {
    /// For paths of a shape that cost between the limits.
    ///
    /// # Errors
    /// If no path does, or the shape does not fit the space.
    pub fn new(
        space: &Space,
        shape: &Shape,
        num_classes: usize,
        interval: FlopsInterval,
    ) -> Result<Self, ArchError> {
        let uniform = vec![1.0; space.choices.len()];
        let sampler = PathSampler::new(space, shape, num_classes, interval, &uniform)?;
        let costs = space.choice_costs(&shape.depths, shape.image_size, num_classes)?;
        let choices = space.choices.len() as u64;
        Ok(Self { shape: shape.clone(), choices, costs, interval, sampler })
    }

    /// A path that is not among the `known`: of two parents crossed where `number` is even, of one
    /// parent mutated where it is odd, and a random one where a hundred such children are known or
    /// lie outside the interval. `None` where a hundred random paths are known too, or there is no
    /// parent.
    pub fn child(
        &self,
        parents: &[Path],
        known: &HashSet<Path>,
        number: u64,
        rng: &mut impl Rng,
    ) -> Option<Path> {
        let new = |path: &Path| !known.contains(path);
        for _ in 0..ATTEMPTS {
            let parent = parents.get(below(rng, parents.len() as u64) as usize)?;
            let child = if number.is_multiple_of(2) {
                let other = parents.get(below(rng, parents.len() as u64) as usize)?;
                cross(parent, other, rng)
            } else {
                self.mutate(parent, rng)
            };
            let inside = self.costs.flops(&child).is_some_and(|f| self.interval.contains(f));
            if inside && new(&child) {
                return Some(child);
            }
        }
        (0..ATTEMPTS).map(|_| self.sampler.sample(rng)).find(new)
    }

    fn mutate(&self, parent: &Path, rng: &mut impl Rng) -> Path {
        let bounds = self.shape.min_depths.iter().zip(&self.shape.depths);
        let stages = parent.0.iter().zip(bounds).map(|(stage, (&least, &most))| {
            let layers = match uniform(rng) < MUTATION {
                true => least + below(rng, (most - least + 1) as u64) as usize,
                false => stage.len(),
            };
            let choice = |layer: usize| match stage.get(layer) {
                Some(&choice) if uniform(rng) >= MUTATION => choice,
                _ => below(rng, self.choices) as usize,
            };
            (0..layers).map(choice).collect()
        });
        Path(stages.collect())
    }
}

/// Each stage has as many layers as in one of the parents, each layer the choice of one that has it.
fn cross(a: &Path, b: &Path, rng: &mut impl Rng) -> Path {
    let mut first = || uniform(rng) < 0.5;
    let stages = a.0.iter().zip(&b.0).map(|(a, b)| {
        let layers = if first() { a.len() } else { b.len() };
        let choice = |layer: usize| match (a.get(layer), b.get(layer)) {
            (Some(&a), Some(&b)) => Some(if first() { a } else { b }),
            (one, other) => one.or(other).copied(),
        };
        (0..layers).filter_map(choice).collect()
    });
    Path(stages.collect())
}

/// Uniform in 0..n, for an n so small that no number is favoured by more than 1 in 2^50.
fn below(rng: &mut impl Rng, n: u64) -> u64 {
    (uniform(rng) * n as f64) as u64
}
