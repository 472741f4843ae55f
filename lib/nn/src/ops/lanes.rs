//! Explicit vectors: what the inner loops that take the time are written with, as a compiler's own vectorisation of them
//! comes and goes with the code around it.

use super::element::Element;
use pulp::{Scalar, Simd};

/// An element with vectors.
pub(crate) trait Lanes: Element {
    /// As many elements as one register holds.
    type Vector<S: Simd>: Copy;

    /// Elements in a vector, at most 16.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }

    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// A vector of one lane.
    fn single(value: Self) -> Self::Vector<Scalar>;
    /// The lane of a vector of one.
    fn only(vector: Self::Vector<Scalar>) -> Self;
    /// a + b.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a - b.
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a * b.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a / b.
    fn over<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a * b + c, rounded once where the level can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// x where the first of a pair is greater than the second, else y: what a NaN chooses too.
    fn if_greater<S: Simd>(
        simd: S,
        pair: (Self::Vector<S>, Self::Vector<S>),
        x: Self::Vector<S>,
        y: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// e^x.
    fn exponential<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// The first elements of a vector, zeros in the lanes behind them.
    fn load_part<S: Simd>(simd: S, from: &[Self]) -> Self::Vector<S>;
    /// Puts the first elements of a vector into a shorter slice.
    fn store_part<S: Simd>(simd: S, to: &mut [Self], vector: Self::Vector<S>);

    /// The vector at `from`.
    ///
    /// # Safety
    /// `lanes` elements must lie there.
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> Self::Vector<S> {
        // SAFETY: the caller's promise; a vector is plain numbers.
        unsafe { from.cast::<Self::Vector<S>>().read_unaligned() }
    }

    /// Puts a vector at `to`.
    ///
    /// # Safety
    /// `lanes` elements must lie there.
    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut Self, vector: Self::Vector<S>) {
        // SAFETY: the caller's promise; a vector is plain numbers.
        unsafe { to.cast::<Self::Vector<S>>().write_unaligned(vector) }
    }

    /// 1 + e^-x, whose inverse is the logistic function of x.
    #[inline(always)]
    fn logistic_divisor<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S> {
        let (zero, one) = (Self::splat(simd, Self::zero()), Self::splat(simd, Self::one()));
        Self::plus(simd, one, Self::exponential(simd, Self::minus(simd, zero, x)))
    }
}

/// The operations that both types have under names of their own.
macro_rules! operations {
    ($t:ty, $vector:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $mul_add:ident,
     $greater:ident, $select:ident, $load:ident, $store:ident) => {
        type Vector<S: Simd> = S::$vector;

        #[inline(always)]
        fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
            simd.$splat(value)
        }

        #[inline(always)]
        fn single(value: Self) -> Self {
            value
        }

        #[inline(always)]
        fn only(vector: Self) -> Self {
            vector
        }

        #[inline(always)]
        fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$add(a, b)
        }

        #[inline(always)]
        fn minus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$sub(a, b)
        }

        #[inline(always)]
        fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$mul(a, b)
        }

        #[inline(always)]
        fn over<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$div(a, b)
        }

        #[inline(always)]
        fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
            simd.$mul_add(a, b, c)
        }

        #[inline(always)]
        fn if_greater<S: Simd>(
            simd: S,
            (a, b): (S::$vector, S::$vector),
            x: S::$vector,
            y: S::$vector,
        ) -> S::$vector {
            simd.$select(simd.$greater(a, b), x, y)
        }

        #[inline(always)]
        fn load_part<S: Simd>(simd: S, from: &[Self]) -> S::$vector {
            simd.$load(from)
        }

        #[inline(always)]
        fn store_part<S: Simd>(simd: S, to: &mut [Self], vector: S::$vector) {
            simd.$store(to, vector);
        }
    };
}

impl Lanes for f32 {
    operations!(
        f32,
        f32s,
        splat_f32s,
        add_f32s,
        sub_f32s,
        mul_f32s,
        div_f32s,
        mul_add_e_f32s,
        greater_than_f32s,
        select_f32s,
        partial_load_f32s,
        partial_store_f32s
    );

    /// As [`Element::exp`]: range reduction by powers of two and a polynomial of degree six.
    #[inline(always)]
    fn exponential<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let number = |v: f32| simd.splat_f32s(v);
        let round = number(12_582_912.0);
        let x = Self::if_greater(simd, (x, number(88.0)), number(88.0), x);
        let x = Self::if_greater(simd, (number(-87.3), x), number(-87.3), x);
        let shifted = simd.mul_add_e_f32s(x, number(std::f32::consts::LOG2_E), round);
        let n = simd.sub_f32s(shifted, round);
        let r = simd.mul_add_e_f32s(n, number(-0.693_359_4), x);
        let r = simd.mul_add_e_f32s(n, number(2.121_944_4e-4), r);
        let mut p = number(1.0 / 720.0);
        for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = simd.mul_add_e_f32s(p, r, number(coefficient));
        }
        let n = simd.transmute_u32s_f32s(shifted);
        let exponent = simd.wrapping_dyn_shl_u32s(n, simd.splat_u32s(23));
        let exponent = simd.add_u32s(exponent, simd.splat_u32s(1.0_f32.to_bits()));
        simd.mul_f32s(p, simd.transmute_f32s_u32s(exponent))
    }
}

impl Lanes for f64 {
    operations!(
        f64,
        f64s,
        splat_f64s,
        add_f64s,
        sub_f64s,
        mul_f64s,
        div_f64s,
        mul_add_e_f64s,
        greater_than_f64s,
        select_f64s,
        partial_load_f64s,
        partial_store_f64s
    );

    /// Lane by lane: this type is for checks.
    #[inline(always)]
    fn exponential<S: Simd>(_: S, x: S::f64s) -> S::f64s {
        let mut values = [0.0; 16];
        // SAFETY: no vector has more than 16 lanes.
        unsafe {
            Self::store::<S>(values.as_mut_ptr(), x);
            for value in values.iter_mut().take(Self::lanes::<S>()) {
                *value = value.exp();
            }
            Self::load::<S>(values.as_ptr())
        }
    }
}

/// How a vector of a row is read and written: whole, or its first elements where a row ends.
pub(crate) trait Access: Copy {
    /// Elements.
    fn count<T: Lanes, S: Simd>(self) -> usize;

    /// The vector at `from`.
    ///
    /// # Safety
    /// [`Access::count`] elements must lie there.
    unsafe fn load<T: Lanes, S: Simd>(self, simd: S, from: *const T) -> T::Vector<S>;

    /// Puts a vector at `to`.
    ///
    /// # Safety
    /// [`Access::count`] elements must lie there.
    unsafe fn store<T: Lanes, S: Simd>(self, simd: S, to: *mut T, vector: T::Vector<S>);
}

/// A whole vector.
#[derive(Clone, Copy)]
pub(crate) struct Whole;

/// So many elements, fewer than a vector has.
#[derive(Clone, Copy)]
pub(crate) struct Part(pub(crate) usize);

impl Access for Whole {
    #[inline(always)]
    fn count<T: Lanes, S: Simd>(self) -> usize {
        T::lanes::<S>()
    }

    #[inline(always)]
    unsafe fn load<T: Lanes, S: Simd>(self, _: S, from: *const T) -> T::Vector<S> {
        // SAFETY: the caller's promise.
        unsafe { T::load::<S>(from) }
    }

    #[inline(always)]
    unsafe fn store<T: Lanes, S: Simd>(self, _: S, to: *mut T, vector: T::Vector<S>) {
        // SAFETY: the caller's promise.
        unsafe { T::store::<S>(to, vector) }
    }
}

impl Access for Part {
    #[inline(always)]
    fn count<T: Lanes, S: Simd>(self) -> usize {
        self.0
    }

    #[inline(always)]
    unsafe fn load<T: Lanes, S: Simd>(self, simd: S, from: *const T) -> T::Vector<S> {
        // SAFETY: the caller's promise.
        T::load_part(simd, unsafe { std::slice::from_raw_parts(from, self.0) })
    }

    #[inline(always)]
    unsafe fn store<T: Lanes, S: Simd>(self, simd: S, to: *mut T, vector: T::Vector<S>) {
        // SAFETY: the caller's promise.
        T::store_part(simd, unsafe { std::slice::from_raw_parts_mut(to, self.0) }, vector);
    }
}
