//! Loops over rows `[rows, C]` with numbers of each channel, vector by vector.

use super::buffer::Pooled;
use crate::ops::activation::{Function, with_activation};
use crate::ops::lanes::{Access, Lanes, Part, Vectors, Whole};
use crate::ops::simd::with_level;
use cream_arch::Activation;
use pulp::Simd;
use std::marker::PhantomData;

/// What is done with W vectors of one row.
trait Kernel<T: Lanes> {
    /// `at` counts elements of the rows, `c` channels.
    ///
    /// # Safety
    /// All rows must be of one length, all vectors of channels have the channels, and what is accessed must lie inside.
    unsafe fn vectors<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        at: usize,
        c: usize,
    );
}

/// Runs a kernel over all of `len` elements.
///
/// # Safety
/// As [`Kernel::vectors`].
unsafe fn over_rows<T: Lanes>(kernel: &impl Kernel<T>, len: usize, channels: usize) {
    debug_assert!(len.is_multiple_of(channels));
    with_level!(rows_of_vectors(kernel, len, channels));
}

#[inline(always)]
fn rows_of_vectors<T: Lanes, S: Simd>(
    simd: S,
    kernel: &impl Kernel<T>,
    len: usize,
    channels: usize,
) {
    let lanes = T::lanes::<S>();
    let mut row = 0;
    while row < len {
        let mut c = 0;
        while c + 4 * lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 4>(simd, Whole, row + c, c) };
            c += 4 * lanes;
        }
        if c + 2 * lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 2>(simd, Whole, row + c, c) };
            c += 2 * lanes;
        }
        if c + lanes <= channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 1>(simd, Whole, row + c, c) };
            c += lanes;
        }
        if c < channels {
            // SAFETY: `over_rows` is called with what the kernel needs, and c stays inside the channels.
            unsafe { kernel.vectors::<S, _, 1>(simd, Part(channels - c), row + c, c) };
        }
        row += channels;
    }
}

/// Mean, scale and bias of each channel: z = (x - mean) * scale + bias.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a, T> {
    pub(super) mean: &'a [T],
    pub(super) scale: &'a [T],
    pub(super) bias: &'a [T],
    pub(super) activation: Activation,
}

impl<T: Pooled> Affine<'_, T> {
    /// The vectors' common length, which they are held to.
    fn channels(&self) -> usize {
        assert!(self.scale.len() == self.mean.len() && self.bias.len() == self.mean.len());
        self.mean.len()
    }

    /// x - mean and z of W vectors.
    ///
    /// # Safety
    /// As [`Kernel::vectors`].
    #[inline(always)]
    unsafe fn centred<S: Simd, A: Access, const W: usize>(
        &self,
        simd: S,
        access: A,
        x: *const T,
        c: usize,
    ) -> (Vectors<T, S, W>, Vectors<T, S, W>) {
        let zero = T::splat(simd, T::zero());
        let (mut centred, mut z) = ([zero; W], [zero; W]);
        for w in 0..W {
            let (at, c) = (w * T::lanes::<S>(), c + w * T::lanes::<S>());
            // SAFETY: the caller's promise.
            unsafe {
                let mean = access.load::<T, S>(simd, self.mean.as_ptr().add(c));
                let scale = access.load::<T, S>(simd, self.scale.as_ptr().add(c));
                let bias = access.load::<T, S>(simd, self.bias.as_ptr().add(c));
                centred[w] = T::minus(simd, access.load::<T, S>(simd, x.add(at)), mean);
                z[w] = T::mul_add(simd, centred[w], scale, bias);
            }
        }
        (centred, z)
    }
}

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
pub(super) fn activate<T: Pooled>(
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
pub(super) fn activate_with_slope<T: Pooled>(
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
pub(super) fn sum_activated<T: Pooled>(affine: &Affine<'_, T>, x: &[T], sums: &mut [T]) {
    let n = affine.channels();
    assert!(sums.len() == n);
    let (len, x, sums) = (x.len(), x.as_ptr(), sums.as_mut_ptr());
    with_activation!(affine.activation, F => {
        let kernel = SumActivated::<T, F> { affine, x, sums, function: PhantomData };
        // SAFETY: rows and channel vectors have the lengths asserted.
        unsafe { over_rows(&kernel, len, n) }
    });
}

/// `sums += v`.
///
/// # Safety
/// As [`Kernel::vectors`].
#[inline(always)]
unsafe fn add_to<T: Lanes, S: Simd, A: Access>(simd: S, access: A, sums: *mut T, v: T::Vector<S>) {
    // SAFETY: the caller's promise.
    unsafe {
        let sum = T::plus(simd, access.load::<T, S>(simd, sums), v);
        access.store::<T, S>(simd, sums, sum);
    }
}

/// Sums over rows of `g (x - mean)` and of `g`, one of each per channel.
pub(super) struct PieceSums<T> {
    pub(super) gx: Vec<T>,
    pub(super) g: Vec<T>,
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
pub(super) fn gradient<T: Pooled>(
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
pub(super) fn gradient_by_slope<T: Pooled>(
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
pub(super) fn sums<T: Pooled>(mean: &[T], x: &[T], g: &[T]) -> PieceSums<T> {
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
pub(super) fn input_gradient<T: Pooled>(channels: [&[T]; 4], x: &[T], g: &[T], out: &mut [T]) {
    let n = channels[0].len();
    assert!(channels.iter().all(|v| v.len() == n));
    assert!(x.len() == g.len() && x.len() == out.len());
    let kernel = InputGradient { channels, x: x.as_ptr(), g: g.as_ptr(), out: out.as_mut_ptr() };
    // SAFETY: rows and channel vectors have the lengths asserted.
    unsafe { over_rows(&kernel, x.len(), n) };
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
pub(super) fn sum_rows<T: Pooled>(x: &[T], sums: &mut [T]) {
    let kernel = SumRows { x: x.as_ptr(), sums: sums.as_mut_ptr() };
    // SAFETY: the sums have one element per channel.
    unsafe { over_rows(&kernel, x.len(), sums.len()) };
}
