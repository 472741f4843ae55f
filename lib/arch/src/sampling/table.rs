//! The table behind the sampler: by layers drawn and cost so far, what the remaining layers add up
//! to.

use crate::{ChoiceCosts, FlopsInterval};

/// The costs of prefixes of some number of layers, above the cheapest, that can still end inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    first: u64,
    last: u64,
    unit: u64,
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        if self.last < self.first { 0 } else { (self.last - self.first) / self.unit + 1 }
    }

    /// Place of a cost in the span's row; past its end where the cost is beyond the span.
    pub(super) fn index(&self, cost: u64) -> Option<usize> {
        usize::try_from(cost.checked_sub(self.first)? / self.unit).ok()
    }
}

/// What follows a number of layers: a choice of the next layer, or, where the stage may end, the
/// first layer of the next stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    /// Added to the cost.
    pub(super) step: u64,
    /// Probability by the prior.
    pub(super) weight: f64,
    /// Layers behind it, drawn or left out.
    pub(super) row: usize,
}

/// Costs above the cheapest that can be drawn.
#[derive(Debug, Clone)]
pub(super) struct Surplus {
    /// FLOPs of the cheapest path.
    cheapest: u64,
    /// By layers before: the choices in order, then the stage's end where that is possible.
    pub(super) edges: Vec<Vec<Edge>>,
    /// Of the costliest choice, by layer.
    widest: Vec<u64>,
    /// Greatest common divisor of the layer's steps.
    units: Vec<u64>,
}

impl Surplus {
    /// Stages of `least[s]` layers at least; each number of layers up to all of them is as likely.
    pub(super) fn new(costs: &ChoiceCosts, least: &[usize], prior: &[f64]) -> Self {
        let mut surplus =
            Self { cheapest: costs.fixed, edges: vec![], widest: vec![], units: vec![] };
        for (layers, &least) in costs.stages.iter().zip(least) {
            let end = surplus.edges.len() + layers.len();
            for (layer, costs) in layers.iter().enumerate() {
                let may_end = layer >= least;
                // Of the numbers of layers that are still possible, this one.
                let stop = if may_end { 1.0 / (layers.len() - layer + 1) as f64 } else { 0.0 };
                surplus.add_layer(costs, prior, 1.0 - stop, may_end);
                if may_end && let Some(edges) = surplus.edges.last_mut() {
                    edges.push(Edge { step: 0, weight: stop, row: end });
                }
            }
        }
        surplus
    }

    /// The choices of a layer that is there with probability `share`. One that may be left out
    /// costs nothing at least.
    fn add_layer(&mut self, costs: &[u64], prior: &[f64], share: f64, optional: bool) {
        let drawn = || costs.iter().zip(prior).filter(|&(_, &w)| w > 0.0).map(|(&flops, _)| flops);
        let least = if optional { 0 } else { drawn().min().unwrap_or(0) };
        let steps = drawn().map(|flops| flops - least);
        self.cheapest += least;
        self.widest.push(steps.clone().max().unwrap_or(0));
        self.units.push(steps.fold(0, greatest_common_divisor));
        let row = self.edges.len() + 1;
        let edge = |(flops, weight): (&u64, &f64)| Edge {
            step: flops.saturating_sub(least),
            weight: weight * share,
            row,
        };
        self.edges.push(costs.iter().zip(prior).map(edge).collect());
    }

    pub(super) fn range(&self) -> (u64, u64) {
        (self.cheapest, self.cheapest + self.widest.iter().sum::<u64>())
    }

    /// Costs, by layers drawn, from which the interval can still be reached. The interval must
    /// overlap the range from cheapest to costliest.
    pub(super) fn spans(&self, interval: FlopsInterval) -> Vec<Span> {
        let (cheapest, costliest) = self.range();
        let least = interval.min.saturating_sub(cheapest);
        let most = interval.max.min(costliest) - cheapest;
        let mut rest = costliest - cheapest;
        let (mut drawn, mut unit) = (0, 0);
        let span = |rest: u64, drawn: u64, unit: u64| {
            let unit = unit.max(1);
            let first = least.saturating_sub(rest).div_ceil(unit) * unit;
            Span { first, last: drawn.min(most), unit }
        };
        let mut spans = vec![span(rest, 0, 0)];
        for (width, own) in self.widest.iter().zip(&self.units) {
            drawn += width;
            rest -= width;
            unit = greatest_common_divisor(unit, *own);
            spans.push(span(rest, drawn, unit));
        }
        spans
    }

    /// The backward table: `one` for a whole path, and before that the sum over edges, to which
    /// `add` adds what follows one.
    pub(super) fn complete<T: Copy>(
        &self,
        spans: &[Span],
        (zero, one): (T, T),
        add: impl Fn(T, &Edge, T) -> T,
    ) -> Vec<Vec<T>> {
        let mut rows = vec![Vec::new(); spans.len()];
        rows[self.edges.len()] = vec![one; row_len(spans[self.edges.len()])];
        for (layer, edges) in self.edges.iter().enumerate().rev() {
            let mut sums = vec![zero; row_len(spans[layer])];
            for edge in edges {
                let next = (rows[edge.row].as_slice(), spans[edge.row]);
                add_edge(&mut sums, spans[layer], next, edge, &add);
            }
            rows[layer] = sums;
        }
        rows
    }
}

fn row_len(span: Span) -> usize {
    usize::try_from(span.len()).unwrap_or(usize::MAX)
}

/// Adds to every cost of a row what follows through one edge.
fn add_edge<T: Copy>(
    sums: &mut [T],
    span: Span,
    (next, next_span): (&[T], Span),
    edge: &Edge,
    add: impl Fn(T, &Edge, T) -> T,
) {
    // Costs so far are multiples of a unit that the later unit divides, as it does every step; the
    // row of no layers has a single cost and needs no stride.
    let stride = (span.unit / next_span.unit).max(1) as usize;
    let reached = span.first + edge.step;
    let short = next_span.first.saturating_sub(reached);
    let skipped = short.div_ceil(span.unit) as usize;
    let Some(offset) = next_span.index(reached + skipped as u64 * span.unit) else { return };
    let rest = next.get(offset..).unwrap_or_default().iter().step_by(stride);
    let sums = sums.get_mut(skipped..).unwrap_or_default();
    sums.iter_mut().zip(rest).for_each(|(sum, &rest)| *sum = add(*sum, edge, rest));
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
