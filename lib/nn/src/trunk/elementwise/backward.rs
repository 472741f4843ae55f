//! Gradients through activations and norms.

use super::{Affine, Kernel, add_to, over_rows};
use crate::ops::activation::{Function, with_activation};
use crate::ops::buffer::Pooled;
use crate::ops::lanes::{Access, Lanes};
use pulp::Simd;
use std::marker::PhantomData;

/// Sums over rows of `g (x - mean)` and of `g`, one of each per channel.
pub(in crate::trunk) struct PieceSums<T> {
    pub(in crate::trunk) gx: Vec<T>,
    pub(in crate::trunk) g: Vec<T>,
}

impl<T: Lanes> PieceSums<T> {
    fn zeros(channels: usize) -> Self {
        Self { gx: vec![T::zero(); channels], g: vec![T::zero(); channels] }
    }

    fn pointers(&mut self) -> (*mut T, *mut T) {
        (self.gx.as_mut_ptr(), self.g.as_mut_ptr())
    }
}

struct Gradient<'a, T, F> {
    affine: &'a Affine<'a, T>,
    x: *const T,
    g: *mut T,
    /// Factor and summand of g, one of each per channel.
    through: Option<(*const T, *const T)>,
    sums: (*mut T, *mut T),
    function: PhantomData<F>,
}

impl<T: Pooled, F: Function> Kernel<T> for Gradient<'_, T, F> {
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
            let (centred, z) = self.affine.centred::<S, A, W>(simd, access, self.x.add(at), c);
            let (_, slopes) = F::both::<T, S, W>(simd, z);
            for w in 0..W {
                let (at, c) = (at + w * lanes, c + w * lanes);
                let mut g = access.load::<T, S>(simd, self.g.add(at));
                if let Some((gate, pooled)) = self.through {
                    let gate = access.load::<T, S>(simd, gate.add(c));
                    g = T::mul_add(simd, g, gate, access.load::<T, S>(simd, pooled.add(c)));
                }
                let g = T::times(simd, g, slopes[w]);
                access.store::<T, S>(simd, self.g.add(at), g);
                add_to::<T, S, A>(simd, access, self.sums.0.add(c), T::times(simd, g, centred[w]));
                add_to::<T, S, A>(simd, access, self.sums.1.add(c), g);
            }
        }
    }
}

/// `g = g * f'(z)`, or `(g * gate + pooled) * f'(z)` for the rows of one image.
pub(in crate::trunk) fn gradient<T: Pooled>(
    affine: &Affine<'_, T>,
    x: &[T],
    g: &mut [T],
    through: Option<(&[T], &[T])>,
) -> PieceSums<T> {
    let n = affine.channels();
    assert!(x.len() == g.len() && through.is_none_or(|(a, b)| a.len() == n && b.len() == n));
    let mut sums = PieceSums::zeros(n);
    let (len, x, g) = (x.len(), x.as_ptr(), g.as_mut_ptr());
    let through = through.map(|(gate, pooled)| (gate.as_ptr(), pooled.as_ptr()));
    let pointers = sums.pointers();
    with_activation!(affine.activation, F => {
        let kernel =
            Gradient::<T, F> { affine, x, g, through, sums: pointers, function: PhantomData };
        // SAFETY: rows and channel vectors have the lengths asserted.
        unsafe { over_rows(&kernel, len, n) }
    });
    sums
}

struct GradientBySlope<T> {
    mean: *const T,
    x: *const T,
    /// None leaves g as it is.
    slope: Option<*const T>,
    g: *mut T,
    sums: (*mut T, *mut T),
}

impl<T: Lanes> Kernel<T> for GradientBySlope<T> {
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
                let mean = access.load::<T, S>(simd, self.mean.add(c));
                let centred = T::minus(simd, access.load::<T, S>(simd, self.x.add(at)), mean);
                let mut g = access.load::<T, S>(simd, self.g.add(at));
                if let Some(slope) = self.slope {
                    g = T::times(simd, g, access.load::<T, S>(simd, slope.add(at)));
                    access.store::<T, S>(simd, self.g.add(at), g);
                }
                add_to::<T, S, A>(simd, access, self.sums.0.add(c), T::times(simd, g, centred));
                add_to::<T, S, A>(simd, access, self.sums.1.add(c), g);
            }
        }
    }
}

/// `g = g * slope`, the slope being known.
pub(in crate::trunk) fn gradient_by_slope<T: Pooled>(
    mean: &[T],
    x: &[T],
    slope: &[T],
    g: &mut [T],
) -> PieceSums<T> {
    assert!(x.len() == g.len() && slope.len() == g.len());
    let mut sums = PieceSums::zeros(mean.len());
    let kernel = GradientBySlope {
        mean: mean.as_ptr(),
        x: x.as_ptr(),
        slope: Some(slope.as_ptr()),
        g: g.as_mut_ptr(),
        sums: sums.pointers(),
    };
    // SAFETY: rows and channel vectors have the lengths asserted.
    unsafe { over_rows(&kernel, x.len(), mean.len()) };
    sums
}

/// The sums alone, for a norm without activation.
pub(in crate::trunk) fn sums<T: Pooled>(mean: &[T], x: &[T], g: &[T]) -> PieceSums<T> {
    assert!(x.len() == g.len());
    let mut sums = PieceSums::zeros(mean.len());
    // Without slopes g is not written.
    let kernel = GradientBySlope {
        mean: mean.as_ptr(),
        x: x.as_ptr(),
        slope: None,
        g: g.as_ptr().cast_mut(),
        sums: sums.pointers(),
    };
    // SAFETY: rows and channel vectors have the lengths asserted.
    unsafe { over_rows(&kernel, x.len(), mean.len()) };
    sums
}

struct InputGradient<'a, T> {
    /// mean, scale, a and b.
    channels: [&'a [T]; 4],
    x: *const T,
    g: *const T,
    out: *mut T,
}

impl<T: Lanes> Kernel<T> for InputGradient<'_, T> {
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
                let [mean, scale, a, b] =
                    self.channels.map(|v| access.load::<T, S>(simd, v.as_ptr().add(c)));
                let centred = T::minus(simd, access.load::<T, S>(simd, self.x.add(at)), mean);
                let g = access.load::<T, S>(simd, self.g.add(at));
                let dx = T::mul_add(simd, g, scale, T::mul_add(simd, centred, a, b));
                access.store::<T, S>(simd, self.out.add(at), dx);
            }
        }
    }
}

/// `out = g * scale + (x - mean) * a + b`; channels are mean, scale, a and b.
pub(in crate::trunk) fn input_gradient<T: Pooled>(
    channels: [&[T]; 4],
    x: &[T],
    g: &[T],
    out: &mut [T],
) {
    let n = channels[0].len();
    assert!(channels.iter().all(|v| v.len() == n));
    assert!(x.len() == g.len() && x.len() == out.len());
    let kernel = InputGradient { channels, x: x.as_ptr(), g: g.as_ptr(), out: out.as_mut_ptr() };
    // SAFETY: rows and channel vectors have the lengths asserted.
    unsafe { over_rows(&kernel, x.len(), n) };
}
