//! Element-wise rules and the loops that run them in place.

use crate::ops::Element;
use crate::ops::element::{contiguous, dispatch, dtype_of, slice};
use crate::ops::threads::{fill_rows, rows_per_piece};
use candle_core::{CpuStorage, Layout, Result};

/// A new value of one element from itself and one other.
pub(super) trait Rule2: Sync {
    const NAME: &'static str;
    fn apply<T: Element>(&self, a: T, b: T) -> T;
}

/// A new value of one element from itself and two others.
pub(super) trait Rule3: Sync {
    const NAME: &'static str;
    fn apply<T: Element>(&self, a: T, b: T, c: T) -> T;
}

/// Declares a rule: its constants (f64, converted to the element type outside the loop) and its formula.
macro_rules! rule {
    ($kind:ident $name:ident { $($constant:ident),* } ($($argument:ident),*) => $formula:expr) => {
        struct $name { $($constant: f64),* }

        impl $kind for $name {
            const NAME: &'static str = stringify!($name);

            #[inline(always)]
            fn apply<T: Element>(&self, $($argument: T),*) -> T {
                $(let $constant = T::from_f64(self.$constant);)*
                $formula
            }
        }

        impl_inplace!($kind $name);
    };
}

macro_rules! impl_inplace {
    (Rule2 $name:ident) => {
        impl candle_core::InplaceOp2 for $name {
            fn name(&self) -> &'static str {
                <Self as Rule2>::NAME
            }

            fn cpu_fwd(
                &self,
                a: &mut candle_core::CpuStorage,
                a_layout: &candle_core::Layout,
                b: &candle_core::CpuStorage,
                b_layout: &candle_core::Layout,
            ) -> Result<()> {
                $crate::ops::update::kernel::run2(self, a, a_layout, b, b_layout)
            }
        }
    };
    (Rule3 $name:ident) => {
        impl candle_core::InplaceOp3 for $name {
            fn name(&self) -> &'static str {
                <Self as Rule3>::NAME
            }

            fn cpu_fwd(
                &self,
                a: &mut candle_core::CpuStorage,
                a_layout: &candle_core::Layout,
                b: &candle_core::CpuStorage,
                b_layout: &candle_core::Layout,
                c: &candle_core::CpuStorage,
                c_layout: &candle_core::Layout,
            ) -> Result<()> {
                $crate::ops::update::kernel::run3(self, a, a_layout, [(b, b_layout), (c, c_layout)])
            }
        }
    };
}
pub(super) use {impl_inplace, rule};

/// The elements of a storage to be changed.
fn slice_mut<'a, T: Element>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
    operator: &str,
) -> Result<&'a mut [T]> {
    let (start, end) = contiguous(layout, operator)?;
    match T::elements_mut(storage) {
        Some(elements) => Ok(&mut elements[start..end]),
        None => candle_core::bail!("{operator}: operands of different types"),
    }
}

fn same_length(operator: &str, a: usize, others: &[usize]) -> Result<()> {
    if others.iter().any(|&n| n != a) {
        candle_core::bail!("{operator}: {a} elements to update from {others:?}");
    }
    Ok(())
}

pub(super) fn run2<R: Rule2>(
    rule: &R,
    a: &mut CpuStorage,
    a_layout: &Layout,
    b: &CpuStorage,
    b_layout: &Layout,
) -> Result<()> {
    dispatch!(dtype_of(b), R::NAME, T => {
        let a = slice_mut::<T>(a, a_layout, R::NAME)?;
        let b = slice::<T>(b, b_layout, R::NAME)?;
        same_length(R::NAME, a.len(), &[b.len()])?;
        fill_rows(a, 1, rows_per_piece(1), |first, a| {
            for (a, &b) in a.iter_mut().zip(&b[first..]) {
                *a = rule.apply(*a, b);
            }
        });
        Ok(())
    })
}

pub(super) fn run3<R: Rule3>(
    rule: &R,
    a: &mut CpuStorage,
    a_layout: &Layout,
    [(b, b_layout), (c, c_layout)]: [(&CpuStorage, &Layout); 2],
) -> Result<()> {
    dispatch!(dtype_of(b), R::NAME, T => {
        let a = slice_mut::<T>(a, a_layout, R::NAME)?;
        let b = slice::<T>(b, b_layout, R::NAME)?;
        let c = slice::<T>(c, c_layout, R::NAME)?;
        same_length(R::NAME, a.len(), &[b.len(), c.len()])?;
        fill_rows(a, 1, rows_per_piece(1), |first, a| {
            for ((a, &b), &c) in a.iter_mut().zip(&b[first..]).zip(&c[first..]) {
                *a = rule.apply(*a, b, c);
            }
        });
        Ok(())
    })
}
