//! Random paths conditioned on a FLOPs interval, exactly.

use rand_core::Rng;

use crate::{ArchError, FlopsInterval, Path, Space};

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
        let allowed = |costs: &[u64]| -> Vec<u64> {
            let drawn = costs.iter().zip(&prior).filter(|&(_, &weight)| weight > 0.0);
            drawn.map(|(&flops, _)| flops).collect()
        };
        let drawn: Vec<Vec<u64>> = costs.layers().map(|costs| allowed(costs)).collect();
        let sum = |pick: fn(&[u64]) -> u64| drawn.iter().map(|costs| pick(costs)).sum::<u64>();
        let cheapest = costs.fixed + sum(least);
        let costliest = costs.fixed + sum(|costs| costs.iter().max().copied().unwrap_or(0));
        let FlopsInterval { min, max } = interval;
        let empty = || ArchError::EmptyInterval {
            min,
            max,
            image_size,
            depths: depths.to_vec(),
            cheapest,
            costliest,
        };
        if max < cheapest || min > costliest {
            return Err(empty());
        }
        let bin = drawn.iter().flat_map(|costs| {
            let base = least(costs);
            costs.iter().map(move |flops| flops - base)
        });
        let bin = bin.fold(0, greatest_common_divisor).max(1);
        let steps: Vec<Vec<u64>> = costs
            .layers()
            .zip(&drawn)
            // A choice that is never drawn may be cheaper than the cheapest; its step is not used.
            .map(|(costs, drawn)| {
                costs.iter().map(|f| f.saturating_sub(least(drawn)) / bin).collect()
            })
            .collect();
        let target =
            (min.saturating_sub(cheapest).div_ceil(bin), (max.min(costliest) - cheapest) / bin);
        let spans = spans(&steps, &prior, target);
        let states = spans.iter().map(|(first, last)| last + 1 - first.min(&(last + 1))).sum();
        if states > MAX_STATES {
            return Err(ArchError::TooManyStates { image_size, states, limit: MAX_STATES });
        }
        let completion =
            complete(&steps, &spans, 1.0, 0.0, |sum, choice, rest| sum + prior[choice] * rest);
        let reachable = (cheapest, costliest);
        let sampler = Self { depths: depths.to_vec(), prior, steps, completion, reachable };
        if sampler.completion_of(0, 0) > 0.0 { Ok(sampler) } else { Err(empty()) }
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

/// First and last bin, by layers drawn, from which the target can still be reached.
fn spans(steps: &[Vec<u64>], prior: &[f64], target: (u64, u64)) -> Vec<(u64, u64)> {
    let widest = steps.iter().map(|steps| {
        let drawn = steps.iter().zip(prior).filter(|&(_, &weight)| weight > 0.0);
        drawn.map(|(&step, _)| step).max().unwrap_or(0)
    });
    let widest: Vec<u64> = widest.collect();
    let mut rest: u64 = widest.iter().sum();
    let mut spans = vec![(target.0.saturating_sub(rest), 0)];
    let mut drawn = 0;
    for width in widest {
        drawn += width;
        rest -= width;
        spans.push((target.0.saturating_sub(rest), drawn.min(target.1)));
    }
    spans
}

/// The backward table: `inside` for a whole path, and before that the sum over choices.
fn complete<T: Copy>(
    steps: &[Vec<u64>],
    spans: &[(u64, u64)],
    inside: T,
    outside: T,
    add: impl Fn(T, usize, T) -> T,
) -> Vec<Row<T>> {
    let row = |(first, last): (u64, u64), value: &dyn Fn(u64) -> T| {
        let values = (first..=last).map(value).collect();
        Row { first, values }
    };
    let end = spans[steps.len()];
    let mut rows = vec![row(end, &|_| inside)];
    for (steps, &span) in steps.iter().zip(spans).rev() {
        let next = &rows[rows.len() - 1];
        let value = |bin: u64| {
            let choices = steps.iter().enumerate();
            choices.fold(outside, |sum, (choice, step)| {
                next.get(bin + step).map_or(sum, |rest| add(sum, choice, rest))
            })
        };
        let row = row(span, &value);
        rows.push(row);
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

fn least(costs: &[u64]) -> u64 {
    costs.iter().min().copied().unwrap_or(0)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
