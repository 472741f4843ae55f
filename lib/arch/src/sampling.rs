//! Random paths conditioned on a FLOPs interval, exactly.

use rand_core::Rng;

use crate::{ArchError, ChoiceCosts, FlopsInterval, Path, Space};

/// States kept at most, 8 bytes each.
const MAX_STATES: u64 = 1 << 25;

/// Draws paths from the product of an operator prior over layers, conditioned on the path's FLOPs
/// lying inside an interval.
///
/// Costs add up over layers, so the probability that a prefix can be completed inside the interval
/// depends only on the prefix's cost. Those probabilities are tabulated backwards over layers by
/// cost in units of the greatest common divisor of all cost differences, which loses nothing; a
/// path is then drawn forwards, each choice weighted by prior times the probability of completion.
#[derive(Debug, Clone)]
pub struct PathSampler {
    depths: Vec<usize>,
    prior: Vec<f64>,
    /// Cost of each choice above the layer's cheapest, in bins.
    steps: Vec<Vec<u64>>,
    /// By layers drawn: probability that the rest ends inside the interval.
    completion: Vec<Row<f64>>,
    reachable: (u64, u64),
}

/// A table over the costs of prefixes, in bins above the cheapest, that can still end inside.
#[derive(Debug, Clone)]
struct Row<T> {
    first: u64,
    values: Vec<T>,
}

impl<T: Copy> Row<T> {
    fn get(&self, bin: u64) -> Option<T> {
        let offset = usize::try_from(bin.checked_sub(self.first)?).ok()?;
        self.values.get(offset).copied()
    }
}

impl PathSampler {
    /// Tabulates the space at these layers per stage and this input size. `prior` holds one weight
    /// per choice, of any sum; a choice of weight 0 is never drawn.
    ///
    /// # Errors
    /// If no path lies inside the interval, with the range that paths do cost, or if the table
    /// would be too large.
    pub fn new(
        space: &Space,
        depths: &[usize],
        image_size: usize,
        num_classes: usize,
        interval: FlopsInterval,
        prior: &[f64],
    ) -> Result<Self, ArchError> {
        let interval = interval.validate()?;
        let prior = normalised(prior, space.choices.len())?;
        let costs = space.choice_costs(depths, image_size, num_classes)?;
        let bins = Bins::new(&costs, &prior);
        let (cheapest, costliest) = (bins.cheapest, bins.costliest);
        let FlopsInterval { min, max } = interval;
        let depths = depths.to_vec();
        if max < cheapest || min > costliest {
            return Err(ArchError::EmptyInterval {
                min,
                max,
                image_size,
                depths,
                cheapest,
                costliest,
            });
        }
        let spans = bins.spans(interval);
        let states = spans.iter().map(|&(first, last)| (last + 1).saturating_sub(first)).sum();
        if states > MAX_STATES {
            return Err(ArchError::TooManyStates { image_size, states, limit: MAX_STATES });
        }
        let steps = bins.steps;
        let add = |sum: f64, choice: usize, rest: f64| sum + prior[choice] * rest;
        let completion = complete(&steps, &spans, 1.0, 0.0, add);
        if completion[0].get(0).unwrap_or(0.0) <= 0.0 {
            return Err(ArchError::EmptyInterval {
                min,
                max,
                image_size,
                depths,
                cheapest,
                costliest,
            });
        }
        Ok(Self { depths, prior, steps, completion, reachable: (cheapest, costliest) })
    }

    /// Draws one path.
    pub fn sample(&self, rng: &mut impl Rng) -> Path {
        let mut bin = 0;
        let mut choices = self.steps.iter().enumerate().map(|(layer, steps)| {
            let weights = || {
                let rest = steps.iter().map(|step| self.completion_of(layer + 1, bin + step));
                rest.zip(&self.prior).map(|(rest, prior)| rest * prior)
            };
            let choice = pick(weights, uniform(rng));
            bin += steps[choice];
            choice
        });
        Path(self.depths.iter().map(|&layers| choices.by_ref().take(layers).collect()).collect())
    }

    /// Number of paths inside the interval that can be drawn, saturating at `u128::MAX`.
    pub fn count(&self) -> u128 {
        let spans: Vec<(u64, u64)> = self
            .completion
            .iter()
            .map(|row| (row.first, (row.first + row.values.len() as u64).saturating_sub(1)))
            .collect();
        let add = |sum: u128, choice: usize, rest: u128| {
            sum.saturating_add(if self.prior[choice] > 0.0 { rest } else { 0 })
        };
        complete(&self.steps, &spans, 1, 0, add)[0].get(0).unwrap_or(0)
    }

    /// FLOPs of the cheapest and of the costliest path that could be drawn without the interval.
    pub fn reachable(&self) -> (u64, u64) {
        self.reachable
    }

    /// Probability that a path drawn from the prior lies inside the interval.
    pub fn probability(&self) -> f64 {
        self.completion_of(0, 0)
    }

    fn completion_of(&self, layer: usize, bin: u64) -> f64 {
        self.completion[layer].get(bin).unwrap_or(0.0)
    }
}

/// Costs in whole bins above the cheapest path.
struct Bins {
    /// FLOPs of a bin.
    size: u64,
    /// FLOPs of the cheapest and of the costliest path that can be drawn.
    cheapest: u64,
    costliest: u64,
    /// By layer and choice. Where the choice is never drawn the number means nothing.
    steps: Vec<Vec<u64>>,
    /// Of the costliest choice, by layer.
    widest: Vec<u64>,
}

impl Bins {
    fn new(costs: &ChoiceCosts, prior: &[f64]) -> Self {
        let drawn = |costs: &Vec<u64>| -> Vec<u64> {
            let drawn = costs.iter().zip(prior).filter(|&(_, &weight)| weight > 0.0);
            drawn.map(|(&flops, _)| flops).collect()
        };
        let drawn: Vec<Vec<u64>> = costs.layers().map(drawn).collect();
        let least: Vec<u64> =
            drawn.iter().filter_map(|costs| costs.iter().min().copied()).collect();
        let most: Vec<u64> = drawn.iter().filter_map(|costs| costs.iter().max().copied()).collect();
        let by_layer = drawn.iter().zip(&least);
        let differences = by_layer.flat_map(|(costs, least)| costs.iter().map(move |f| f - least));
        let size = differences.fold(0, greatest_common_divisor).max(1);
        let step = |costs: &Vec<u64>, least: &u64| -> Vec<u64> {
            costs.iter().map(|flops| flops.saturating_sub(*least) / size).collect()
        };
        Self {
            size,
            cheapest: costs.fixed + least.iter().sum::<u64>(),
            costliest: costs.fixed + most.iter().sum::<u64>(),
            steps: costs.layers().zip(&least).map(|(costs, least)| step(costs, least)).collect(),
            widest: most.iter().zip(&least).map(|(most, least)| (most - least) / size).collect(),
        }
    }

    /// First and last bin, by layers drawn, from which the interval can still be reached. The
    /// interval must overlap the range from cheapest to costliest.
    fn spans(&self, interval: FlopsInterval) -> Vec<(u64, u64)> {
        let first = interval.min.saturating_sub(self.cheapest).div_ceil(self.size);
        let last = (interval.max.min(self.costliest) - self.cheapest) / self.size;
        let mut rest: u64 = self.widest.iter().sum();
        let mut drawn = 0;
        let mut spans = vec![(first.saturating_sub(rest), 0)];
        for width in &self.widest {
            drawn += width;
            rest -= width;
            spans.push((first.saturating_sub(rest), drawn.min(last)));
        }
        spans
    }
}

/// The backward table: `inside` for a whole path, and before that the sum over choices, to which
/// `add` adds what follows a choice.
fn complete<T: Copy>(
    steps: &[Vec<u64>],
    spans: &[(u64, u64)],
    inside: T,
    outside: T,
    add: impl Fn(T, usize, T) -> T,
) -> Vec<Row<T>> {
    let row = |(first, last): (u64, u64), value| Row {
        first,
        values: vec![value; (last + 1).saturating_sub(first) as usize],
    };
    let mut next = row(spans[steps.len()], inside);
    let mut rows = vec![next.clone()];
    for (steps, &span) in steps.iter().zip(spans).rev() {
        let mut sums = row(span, outside);
        for (choice, step) in steps.iter().enumerate() {
            // Bin `sums.first + i` goes on to bin `sums.first + i + step` of the next row.
            let reached = sums.first + step;
            let skipped = next.first.saturating_sub(reached) as usize;
            let offset = reached.saturating_sub(next.first) as usize;
            let rest = next.values.get(offset..).unwrap_or_default();
            let sums = sums.values.get_mut(skipped..).unwrap_or_default();
            sums.iter_mut().zip(rest).for_each(|(sum, &rest)| *sum = add(*sum, choice, rest));
        }
        rows.push(sums.clone());
        next = sums;
    }
    rows.reverse();
    rows
}

/// Index drawn in proportion to the weights; never one of weight 0.
fn pick<I: Iterator<Item = f64>>(weights: impl Fn() -> I, uniform: f64) -> usize {
    let mut left = uniform * weights().sum::<f64>();
    let mut last = 0;
    for (index, weight) in weights().enumerate().filter(|&(_, weight)| weight > 0.0) {
        last = index;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Uniform in [0, 1) with 53 bits.
fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn normalised(prior: &[f64], choices: usize) -> Result<Vec<f64>, ArchError> {
    let sum: f64 = prior.iter().sum();
    let sane = prior.iter().all(|weight| (0.0..=1e12).contains(weight)) && sum > 0.0;
    if prior.len() != choices || !sane {
        let allowed = format!("{choices} numbers of at least 0, not all 0");
        return Err(ArchError::value("prior", format!("{prior:?}"), allowed));
    }
    Ok(prior.iter().map(|weight| weight / sum).collect())
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
