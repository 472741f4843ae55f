//! Activations, and sums of them.

use super::{Affine, Kernel, add_to, over_rows};
use crate::ops::activation::{Function, with_activation};
use crate::ops::buffer::Pooled;
use crate::ops::lanes::{Access, Lanes};
use pulp::Simd;
use std::marker::PhantomData;

struct Activate<'a, T, F> {
    affine: &'a Affine<'a, T>,
    x: *const T,
    /// To be added, if there is one.
    other: Option<*const T>,
    out: *mut T,
    function: PhantomData<F>,
}

impl<T: Pooled, F: Function> Kernel<T> for Activate<'_, T, F> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    ) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise.
        unsafe {
            let (_, z) = self.affine.centred::<S, A, W>(simd, access, self.x.add(at), c);
            for (w, &value) in F::values::<T, S, W>(simd, z).iter().enumerate() {
                let (at, mut y) = (at + w * lanes, value);
                if let Some(other) = self.other {
                    y = T::plus(simd, y, access.load::<T, S>(simd, other.add(at)));
                }
                access.store::<T, S>(simd, self.out.add(at), y);
            }
        }
    }
}

/// `out = f(z)`, plus `other` if there is one.
pub(in crate::trunk) fn activate<T: Pooled>(
    affine: &Affine<'_, T>,
    x: &[T],
    other: Option<&[T]>,
    out: &mut [T],
) {
    let n = affine.channels();
    assert!(x.len() == out.len() && other.is_none_or(|other| other.len() == x.len()));
    let (len, x, out, other) = (x.len(), x.as_ptr(), out.as_mut_ptr(), other.map(<[T]>::as_ptr));
    with_activation!(affine.activation, F => {
        let kernel = Activate::<T, F> { affine, x, other, out, function: PhantomData };
        // SAFETY: rows and channel vectors have the lengths asserted.
        unsafe { over_rows(&kernel, len, n) }
    });
}

struct ActivateWithSlope<'a, T, F> {
    affine: &'a Affine<'a, T>,
    x: *const T,
    out: *mut T,
    slope: *mut T,
    function: PhantomData<F>,
}

impl<T: Pooled, F: Function> Kernel<T> for ActivateWithSlope<'_, T, F> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    ) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise.
        unsafe {
            let (_, z) = self.affine.centred::<S, A, W>(simd, access, self.x.add(at), c);
            let (values, slopes) = F::both::<T, S, W>(simd, z);
            for w in 0..W {
                let at = at + w * lanes;
                access.store::<T, S>(simd, self.out.add(at), values[w]);
                access.store::<T, S>(simd, self.slope.add(at), slopes[w]);
            }
        }
    }
}

/// `out = f(z)`, `slope = f'(z)`.
pub(in crate::trunk) fn activate_with_slope<T: Pooled>(
    affine: &Affine<'_, T>,
    x: &[T],
    out: &mut [T],
    slope: &mut [T],
) {
    let n = affine.channels();
    assert!(x.len() == out.len() && x.len() == slope.len());
    let (len, x, out, slope) = (x.len(), x.as_ptr(), out.as_mut_ptr(), slope.as_mut_ptr());
    with_activation!(affine.activation, F => {
        let kernel = ActivateWithSlope::<T, F> { affine, x, out, slope, function: PhantomData };
        // SAFETY: rows and channel vectors have the lengths asserted.
        unsafe { over_rows(&kernel, len, n) }
    });
}

struct SumActivated<'a, T, F> {
    affine: &'a Affine<'a, T>,
    x: *const T,
    sums: *mut T,
    function: PhantomData<F>,
}

impl<T: Pooled, F: Function> Kernel<T> for SumActivated<'_, T, F> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    ) {
        let lanes = T::lanes::<S>();
        // SAFETY: the caller's promise.
        unsafe {
            let (_, z) = self.affine.centred::<S, A, W>(simd, access, self.x.add(at), c);
            for (w, &value) in F::values::<T, S, W>(simd, z).iter().enumerate() {
                add_to::<T, S, A>(simd, access, self.sums.add(c + w * lanes), value);
            }
        }
    }
}

/// `sums += f(z)` over all rows.
pub(in crate::trunk) fn sum_activated<T: Pooled>(affine: &Affine<'_, T>, x: &[T], sums: &mut [T]) {
    let n = affine.channels();
    assert!(sums.len() == n);
    let (len, x, sums) = (x.len(), x.as_ptr(), sums.as_mut_ptr());
    with_activation!(affine.activation, F => {
        let kernel = SumActivated::<T, F> { affine, x, sums, function: PhantomData };
        // SAFETY: rows and channel vectors have the lengths asserted.
        unsafe { over_rows(&kernel, len, n) }
    });
}

struct SumRows<T> {
    x: *const T,
    sums: *mut T,
}

impl<T: Lanes> Kernel<T> for SumRows<T> {
    #[inline(always)]
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    ) {
        let lanes = T::lanes::<S>();
        for w in 0..W {
            let (at, c) = (at + w * lanes, c + w * lanes);
            // SAFETY: the caller's promise.
            unsafe {
                let x = access.load::<T, S>(simd, self.x.add(at));
                add_to::<T, S, A>(simd, access, self.sums.add(c), x);
            }
        }
    }
}

/// `sums += x` over all rows.
pub(in crate::trunk) fn sum_rows<T: Pooled>(x: &[T], sums: &mut [T]) {
    let kernel = SumRows { x: x.as_ptr(), sums: sums.as_mut_ptr() };
    // SAFETY: the sums have one element per channel.
    unsafe { over_rows(&kernel, x.len(), sums.len()) };
}
