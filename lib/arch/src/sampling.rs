//! Random paths conditioned on a FLOPs interval, exactly.

mod table;

use rand_core::Rng;

use crate::{ArchError, FlopsInterval, Path, Shape, Space};
use table::{Edge, Span, Surplus};

/// States kept at most, 8 bytes each: half a gibibyte. The deepest published space at 224 px needs
/// 20 million.
const MAX_STATES: u64 = 1 << 26;

/// Draws paths from the product of an operator prior over layers, conditioned on the path's FLOPs
/// lying inside an interval. Where stages may have fewer layers, every number of them is as likely
/// before the condition.
///
/// Costs add up over layers, so the probability that a prefix can be completed inside the interval
/// depends only on the prefix's cost. Those probabilities are tabulated backwards over layers, by
/// cost above the cheapest in units of the greatest common divisor of the cost differences so far,
/// which loses nothing; a path is then drawn forwards, each choice weighted by prior times the
/// probability of completion.
#[derive(Debug, Clone)]
pub struct PathSampler {
    depths: Vec<usize>,
    choices: usize,
    surplus: Surplus,
    spans: Vec<Span>,
    /// By layers drawn: probability that the rest ends inside the interval.
    completion: Vec<Vec<f64>>,
}

impl PathSampler {
    /// Tabulates the space at this shape. `prior` holds one weight per choice, of any sum; a
    /// choice of weight 0 is never drawn.
    ///
    /// # Errors
    /// If no path lies inside the interval, with the range that paths do cost, or if the table
    /// would be too large.
    pub fn new(
        space: &Space,
        shape: &Shape,
        num_classes: usize,
        interval: FlopsInterval,
        prior: &[f64],
    ) -> Result<Self, ArchError> {
        let interval = interval.validate()?;
        let prior = normalised(prior, space.choices.len())?;
        space.check_shape(shape)?;
        let Shape { image_size, depths, min_depths } = shape.clone();
        let costs = space.choice_costs(&depths, image_size, num_classes)?;
        let surplus = Surplus::new(&costs, &min_depths, &prior);
        let (cheapest, costliest) = surplus.range();
        let FlopsInterval { min, max } = interval;
        let empty =
            |depths| ArchError::EmptyInterval { min, max, image_size, depths, cheapest, costliest };
        if max < cheapest || min > costliest {
            return Err(empty(depths));
        }
        let spans = surplus.spans(interval);
        let states = spans.iter().map(Span::len).sum();
        if states > MAX_STATES {
            return Err(ArchError::TooManyStates { image_size, states, limit: MAX_STATES });
        }
        let add = |sum: f64, edge: &Edge, rest: f64| sum + edge.weight * rest;
        let completion = surplus.complete(&spans, (0.0, 1.0), add);
        if completion[0].first().is_none_or(|&probability| probability <= 0.0) {
            return Err(empty(depths));
        }
        Ok(Self { depths, choices: prior.len(), surplus, spans, completion })
    }

    /// Draws one path.
    pub fn sample(&self, rng: &mut impl Rng) -> Path {
        let (mut cost, mut row) = (0, 0);
        let mut path = Vec::with_capacity(self.depths.len());
        let mut end = 0;
        for &layers in &self.depths {
            end += layers;
            let mut stage = Vec::with_capacity(layers);
            while row < end {
                let edges = &self.surplus.edges[row];
                let completed = |edge: &Edge| self.completion_of(edge.row, cost + edge.step);
                let weights = || edges.iter().map(|edge| completed(edge) * edge.weight);
                let drawn = pick(weights, uniform(rng));
                let Edge { step, row: next, .. } = edges[drawn];
                // The edge past the choices is the stage's end.
                if drawn < self.choices {
                    stage.push(drawn);
                }
                (cost, row) = (cost + step, next);
            }
            path.push(stage);
        }
        Path(path)
    }

    /// Number of paths inside the interval that can be drawn, saturating at `u128::MAX`.
    pub fn count(&self) -> u128 {
        let add = |sum: u128, edge: &Edge, rest: u128| {
            sum.saturating_add(if edge.weight > 0.0 { rest } else { 0 })
        };
        let rows = self.surplus.complete(&self.spans, (0, 1), add);
        rows[0].first().copied().unwrap_or(0)
    }

    /// FLOPs of the cheapest and of the costliest path that could be drawn without the interval.
    pub fn reachable(&self) -> (u64, u64) {
        self.surplus.range()
    }

    /// Probability that a path drawn from the prior lies inside the interval.
    pub fn probability(&self) -> f64 {
        self.completion_of(0, 0)
    }

    fn completion_of(&self, layer: usize, cost: u64) -> f64 {
        let index = self.spans[layer].index(cost);
        index.and_then(|index| self.completion[layer].get(index)).copied().unwrap_or(0.0)
    }
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
pub(crate) fn uniform(rng: &mut impl Rng) -> f64 {
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
