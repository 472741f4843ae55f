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

/// Costs above the cheapest that can be drawn.
#[derive(Debug, Clone)]
pub(super) struct Surplus {
    /// FLOPs of the cheapest path.
    cheapest: u64,
    /// By layer and choice. Where the choice is never drawn the number means nothing.
    pub(super) steps: Vec<Vec<u64>>,
    /// Of the costliest choice, by layer.
    widest: Vec<u64>,
    /// Greatest common divisor of the layer's steps.
    units: Vec<u64>,
}

impl Surplus {
    pub(super) fn new(costs: &ChoiceCosts, prior: &[f64]) -> Self {
        let mut surplus =
            Self { cheapest: costs.fixed, steps: vec![], widest: vec![], units: vec![] };
        for costs in costs.layers() {
            let drawn = costs.iter().zip(prior).filter(|&(_, &weight)| weight > 0.0);
            let drawn: Vec<u64> = drawn.map(|(&flops, _)| flops).collect();
            let least = drawn.iter().min().copied().unwrap_or(0);
            let steps = drawn.iter().map(|flops| flops - least);
            surplus.cheapest += least;
            surplus.widest.push(steps.clone().max().unwrap_or(0));
            surplus.units.push(steps.fold(0, greatest_common_divisor));
            surplus.steps.push(costs.iter().map(|flops| flops.saturating_sub(least)).collect());
        }
        surplus
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
}

pub(super) fn row_len(span: Span) -> usize {
    usize::try_from(span.len()).unwrap_or(usize::MAX)
}

/// The backward table: 1 for a whole path, and before that the sum over choices.
pub(super) fn complete(
    steps: &[Vec<u64>],
    spans: &[Span],
    add: impl Fn(f64, usize, f64) -> f64,
) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![1.0; row_len(spans[steps.len()])]];
    for (layer, steps) in steps.iter().enumerate().rev() {
        let spans = (spans[layer], spans[layer + 1]);
        let row = before(&rows[rows.len() - 1], spans, steps, 0.0, &add);
        rows.push(row);
    }
    rows.reverse();
    rows
}

/// One row of the table from the next: the sum over choices, to which `add` adds what follows one.
pub(super) fn before<T: Copy>(
    next: &[T],
    (span, next_span): (Span, Span),
    steps: &[u64],
    zero: T,
    add: impl Fn(T, usize, T) -> T,
) -> Vec<T> {
    let mut sums = vec![zero; row_len(span)];
    // Costs so far are multiples of a unit that the next unit divides, as it does every step; the
    // row of no layers has a single cost and needs no stride.
    let stride = (span.unit / next_span.unit).max(1) as usize;
    for (choice, step) in steps.iter().enumerate() {
        let reached = span.first + step;
        let short = next_span.first.saturating_sub(reached);
        let skipped = short.div_ceil(span.unit) as usize;
        let Some(offset) = next_span.index(reached + skipped as u64 * span.unit) else { continue };
        let rest = next.get(offset..).unwrap_or_default().iter().step_by(stride);
        let sums = sums.get_mut(skipped..).unwrap_or_default();
        sums.iter_mut().zip(rest).for_each(|(sum, &rest)| *sum = add(*sum, choice, rest));
    }
    sums
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
