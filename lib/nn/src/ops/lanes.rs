//! Explicit vectors: what the inner loops that take the time are written with, as a compiler's own vectorisation of them
//! comes and goes with the code around it.

use super::element::Element;
use pulp::{Scalar, Simd};

/// Several vectors, to be worked on side by side.
pub(crate) type Vectors<T, S, const W: usize> = [<T as Lanes>::Vector<S>; W];

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
    /// e^x of several vectors. Each is a long chain of operations, of which too few fit into a processor's window one
    /// after the other; side by side they keep it busy.
    fn exponentials<S: Simd, const W: usize>(
        simd: S,
        x: [Self::Vector<S>; W],
    ) -> [Self::Vector<S>; W];
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
    fn logistic_divisors<S: Simd, const W: usize>(
        simd: S,
        mut x: [Self::Vector<S>; W],
    ) -> [Self::Vector<S>; W] {
        let (zero, one) = (Self::splat(simd, Self::zero()), Self::splat(simd, Self::one()));
        for x in &mut x {
            *x = Self::minus(simd, zero, *x);
        }
        let mut e = Self::exponentials(simd, x);
        for e in &mut e {
            *e = Self::plus(simd, one, *e);
        }
        e
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

    /// Range reduction by powers of two and a polynomial of degree six, whose relative error on +-ln2/2 is least at
    /// 2e-9 (Remez); rounding makes it 7e-8. Inputs are clamped to the finite range, NaN stays NaN.
    #[inline(always)]
    fn exponentials<S: Simd, const W: usize>(simd: S, mut x: [S::f32s; W]) -> [S::f32s; W] {
        let number = |v: f32| simd.splat_f32s(v);
        // ln 2 in two parts, the first exact in few bits so that n times it does not round.
        let (ln2_high, ln2_low) = (number(-0.693_359_4), number(2.121_944_4e-4));
        // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
        let round = number(12_582_912.0);
        let (low, high) = (number(-87.3), number(88.0));
        let (mut shifted, mut p) = ([round; W], [number(0.001_383_679_5); W]);
        for w in 0..W {
            // The second operand of least and greatest is what a NaN in it gives, but for scalars.
            x[w] = if S::IS_SCALAR {
                let x = Self::if_greater(simd, (x[w], high), high, x[w]);
                Self::if_greater(simd, (low, x), low, x)
            } else {
                simd.max_f32s(low, simd.min_f32s(high, x[w]))
            };
        }
        for w in 0..W {
            shifted[w] = simd.mul_add_e_f32s(x[w], number(std::f32::consts::LOG2_E), round);
        }
        for w in 0..W {
            let n = simd.sub_f32s(shifted[w], round);
            let r = simd.mul_add_e_f32s(n, ln2_high, x[w]);
            x[w] = simd.mul_add_e_f32s(n, ln2_low, r);
        }
        for coefficient in [0.008_374_857, 0.041_668_23, 0.166_664_2, 0.499_999_9, 1.0, 1.0] {
            let coefficient = number(coefficient);
            for w in 0..W {
                p[w] = simd.mul_add_e_f32s(p[w], x[w], coefficient);
            }
        }
        for w in 0..W {
            // The low bits hold n in two's complement.
            let n = simd.transmute_u32s_f32s(shifted[w]);
            let exponent = simd.wrapping_dyn_shl_u32s(n, simd.splat_u32s(23));
            let exponent = simd.add_u32s(exponent, simd.splat_u32s(1.0_f32.to_bits()));
            p[w] = simd.mul_f32s(p[w], simd.transmute_f32s_u32s(exponent));
        }
        p
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
    fn exponentials<S: Simd, const W: usize>(_: S, mut x: [S::f64s; W]) -> [S::f64s; W] {
        for x in &mut x {
            let mut values = [0.0; 16];
            // SAFETY: no vector has more than 16 lanes.
            unsafe {
                Self::store::<S>(values.as_mut_ptr(), *x);
                for value in values.iter_mut().take(Self::lanes::<S>()) {
                    *value = value.exp();
                }
                *x = Self::load::<S>(values.as_ptr());
            }
        }
        x
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

#[cfg(test)]
mod tests {
    use super::Lanes;
    use crate::ops::simd::with_level;
    use pulp::Simd;

    #[test]
    fn exponentials_agree_with_f64() {
        let inputs: Vec<f32> = (-87_000..88_000).map(|i| i as f32 * 1e-3).collect();
        let mut out = vec![0.0; inputs.len()];
        with_level!(exponentials(&inputs, &mut out));
        for (&x, &y) in inputs.iter().zip(&out) {
            let exact = f64::from(x).exp();
            assert!((f64::from(y) - exact).abs() / exact < 1.5e-7, "{x}: {y}");
        }
        let mut out = [0.0; 16];
        with_level!(exponentials(&[f32::NAN; 16], &mut out));
        assert!(out.iter().all(|y| y.is_nan()));
        with_level!(exponentials(&[1e30; 16], &mut out));
        assert!(out.iter().all(|y| y.is_finite() && *y > 1e38));
        with_level!(exponentials(&[f32::NEG_INFINITY; 16], &mut out));
        assert!(out.iter().all(|y| (0.0..2e-38).contains(y)));
    }

    #[inline(always)]
    fn exponentials<S: Simd>(simd: S, x: &[f32], out: &mut [f32]) {
        let lanes = f32::lanes::<S>();
        for (x, out) in x.chunks(lanes).zip(out.chunks_mut(lanes)) {
            let [y] = f32::exponentials(simd, [f32::load_part(simd, x)]);
            f32::store_part(simd, out, y);
        }
    }
}
