//! Element-wise rules and the loop that runs them in place.

use crate::ops::Element;
use crate::ops::element::{contiguous, dispatch, with_slice};
use crate::ops::simd::vectorised;
use crate::ops::threads::rows_per_piece;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};
use rayon::prelude::*;
use std::cell::RefCell;

/// New values of one element of `N` tensors, from those and one element of another tensor.
pub(super) trait Rule<const N: usize>: Sync {
    fn apply<T: Element>(&self, targets: [T; N], source: T) -> [T; N];
}

/// `keep * a + take * b`.
pub(super) struct Scale {
    pub(super) keep: f64,
    pub(super) take: f64,
}

impl Rule<1> for Scale {
    #[inline(always)]
    fn apply<T: Element>(&self, [a]: [T; 1], b: T) -> [T; 1] {
        [a * T::from_f64(self.keep) + b * T::from_f64(self.take)]
    }
}

/// Applies a rule to all elements of `targets`, in place.
pub(super) fn update<const N: usize>(
    name: &'static str,
    targets: [&Tensor; N],
    source: &Tensor,
    rule: &impl Rule<N>,
) -> Result<()> {
    dispatch!(source.dtype(), name, T => with_slice::<T, _>(source, name, |source| {
        let run = |targets: Vec<&mut [T]>| match <[&mut [T]; N]>::try_from(targets) {
            Ok(targets) => {
                run(rule, targets, source);
                Ok(())
            }
            Err(targets) => candle_core::bail!("{name}: {} of {N} tensors", targets.len()),
        };
        let all = Opened { name, targets: &targets, open: RefCell::new(Vec::new()), run: &run };
        all.next()
    }))
}

/// Candle changes one tensor at a time; a step changes several. Each is opened inside the operation on the one before
/// it, and the innermost has them all.
struct Opened<'a, T, F> {
    name: &'static str,
    /// Those that are still to be opened.
    targets: &'a [&'a Tensor],
    open: RefCell<Vec<&'a mut [T]>>,
    run: &'a F,
}

impl<'a, T: Element, F: Fn(Vec<&mut [T]>) -> Result<()>> Opened<'a, T, F> {
    fn next(self) -> Result<()> {
        match self.targets.first() {
            Some(first) => first.inplace_op1(&self),
            None => (self.run)(self.open.take()),
        }
    }
}

impl<T: Element, F: Fn(Vec<&mut [T]>) -> Result<()>> InplaceOp1 for Opened<'_, T, F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (start, end) = contiguous(layout, self.name)?;
        let Some(elements) = T::elements_mut(storage) else {
            candle_core::bail!("{}: tensors of different types", self.name);
        };
        let mut open: Vec<&mut [T]> = self.open.take();
        open.push(&mut elements[start..end]);
        let targets = self.targets.get(1..).unwrap_or_default();
        Opened { name: self.name, targets, open: RefCell::new(open), run: self.run }.next()
    }
}

fn run<T: Element, const N: usize>(rule: &impl Rule<N>, targets: [&mut [T]; N], source: &[T]) {
    let size = rows_per_piece(1);
    let mut pieces: Vec<([&mut [T]; N], &[T])> = Vec::with_capacity(source.len().div_ceil(size));
    let mut rest = targets.map(|target| target.chunks_mut(size));
    for source in source.chunks(size) {
        pieces.push((rest.each_mut().map(|chunks| chunks.next().unwrap_or_default()), source));
    }
    let kernel = |(mut targets, source): ([&mut [T]; N], &[T])| {
        vectorised(
            #[inline(always)]
            || piece(rule, &mut targets, source),
        );
    };
    if pieces.len() == 1 {
        return pieces.into_iter().for_each(kernel);
    }
    pieces.into_par_iter().for_each(kernel);
}

/// Elements that a rule is applied to at once.
const BLOCK: usize = 64;

#[inline(always)]
fn piece<T: Element, const N: usize>(
    rule: &impl Rule<N>,
    targets: &mut [&mut [T]; N],
    source: &[T],
) {
    let (sources, source_rest) = source.as_chunks::<BLOCK>();
    let mut targets = targets.each_mut().map(|target| target.as_chunks_mut::<BLOCK>());
    for (i, source) in sources.iter().enumerate() {
        let mut values = targets.each_ref().map(|(blocks, _)| blocks[i]);
        block(rule, &mut values, source);
        for ((blocks, _), values) in targets.iter_mut().zip(values) {
            blocks[i] = values;
        }
    }
    let len = source_rest.len();
    if len == 0 {
        return;
    }
    let mut source = [T::zero(); BLOCK];
    source[..len].copy_from_slice(source_rest);
    let mut values = [[T::zero(); BLOCK]; N];
    for (values, (_, rest)) in values.iter_mut().zip(&targets) {
        values[..len].copy_from_slice(rest);
    }
    block(rule, &mut values, &source);
    for ((_, rest), values) in targets.iter_mut().zip(&values) {
        rest.copy_from_slice(&values[..len]);
    }
}

/// By way of arrays, of which a compiler knows that they are different memory.
#[inline(always)]
fn block<T: Element, const N: usize>(
    rule: &impl Rule<N>,
    values: &mut [[T; BLOCK]; N],
    source: &[T; BLOCK],
) {
    for (i, &source) in source.iter().enumerate() {
        let new = rule.apply(std::array::from_fn(|n| values[n][i]), source);
        for (values, new) in values.iter_mut().zip(new) {
            values[i] = new;
        }
    }
}
