//! Activations and their derivatives, as functions of one element.

use super::lanes::{Lanes, Vectors};
#[cfg(test)]
use cream_arch::Activation;
use pulp::{Scalar, Simd};

/// An activation that a kernel is compiled for, so that its inner loop has no branch.
pub(crate) trait Function {
    /// f(z) of every lane.
    fn value<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S>;
    /// f'(z) of every lane; at a corner the derivative from below, as in PyTorch.
    fn slope<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S>;

    /// f(z) of several vectors.
    #[inline(always)]
    fn values<T: Lanes, S: Simd, const W: usize>(
        simd: S,
        mut z: [T::Vector<S>; W],
    ) -> [T::Vector<S>; W] {
        for z in &mut z {
            *z = Self::value::<T, S>(simd, *z);
        }
        z
    }

    /// f(z) and f'(z) of several vectors.
    #[inline(always)]
    fn both<T: Lanes, S: Simd, const W: usize>(
        simd: S,
        z: [T::Vector<S>; W],
    ) -> (Vectors<T, S, W>, Vectors<T, S, W>) {
        let mut slopes = z;
        for slope in &mut slopes {
            *slope = Self::slope::<T, S>(simd, *slope);
        }
        (Self::values::<T, S, W>(simd, z), slopes)
    }

    /// f(z).
    #[inline(always)]
    fn at<T: Lanes>(z: T) -> T {
        T::only(Self::value::<T, Scalar>(Scalar, T::single(z)))
    }

    /// f'(z).
    #[inline(always)]
    fn slope_at<T: Lanes>(z: T) -> T {
        T::only(Self::slope::<T, Scalar>(Scalar, T::single(z)))
    }
}

/// z.
pub(crate) struct Identity;
/// max(z, 0).
pub(crate) struct Relu;
/// min(max(z, 0), 6).
pub(crate) struct Relu6;
/// z * sigmoid(z), also called SiLU.
pub(crate) struct Swish;
/// z * relu6(z + 3) / 6 (MobileNetV3, section 5.2).
pub(crate) struct HSwish;

#[inline(always)]
fn number<T: Lanes, S: Simd>(simd: S, v: f64) -> T::Vector<S> {
    T::splat(simd, T::from_f64(v))
}

impl Function for Identity {
    #[inline(always)]
    fn value<T: Lanes, S: Simd>(_: S, z: T::Vector<S>) -> T::Vector<S> {
        z
    }
    #[inline(always)]
    fn slope<T: Lanes, S: Simd>(simd: S, _: T::Vector<S>) -> T::Vector<S> {
        number::<T, S>(simd, 1.0)
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let zero = number::<T, S>(simd, 0.0);
        T::if_greater(simd, (zero, z), zero, z)
    }
    #[inline(always)]
    fn slope<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let (zero, one) = (number::<T, S>(simd, 0.0), number::<T, S>(simd, 1.0));
        T::if_greater(simd, (z, zero), one, zero)
    }
}

impl Function for Relu6 {
    #[inline(always)]
    fn value<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let six = number::<T, S>(simd, 6.0);
        let z = Relu::value::<T, S>(simd, z);
        T::if_greater(simd, (z, six), six, z)
    }
    #[inline(always)]
    fn slope<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let (zero, six) = (number::<T, S>(simd, 0.0), number::<T, S>(simd, 6.0));
        T::if_greater(simd, (six, z), Relu::slope::<T, S>(simd, z), zero)
    }
}

impl Function for Swish {
    #[inline(always)]
    fn value<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let [value] = Self::values::<T, S, 1>(simd, [z]);
        value
    }
    #[inline(always)]
    fn slope<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let (_, [slope]) = Self::both::<T, S, 1>(simd, [z]);
        slope
    }
    #[inline(always)]
    fn values<T: Lanes, S: Simd, const W: usize>(
        simd: S,
        mut z: [T::Vector<S>; W],
    ) -> [T::Vector<S>; W] {
        let divisors = T::logistic_divisors::<S, W>(simd, z);
        for (z, &divisor) in z.iter_mut().zip(&divisors) {
            *z = T::over(simd, *z, divisor);
        }
        z
    }
    #[inline(always)]
    fn both<T: Lanes, S: Simd, const W: usize>(
        simd: S,
        mut z: [T::Vector<S>; W],
    ) -> (Vectors<T, S, W>, Vectors<T, S, W>) {
        let one = number::<T, S>(simd, 1.0);
        let mut slopes = T::logistic_divisors::<S, W>(simd, z);
        for (z, slope) in z.iter_mut().zip(&mut slopes) {
            let s = T::over(simd, one, *slope);
            *slope = T::times(simd, s, T::mul_add(simd, *z, T::minus(simd, one, s), one));
            *z = T::times(simd, *z, s);
        }
        (z, slopes)
    }
}

impl Function for HSwish {
    #[inline(always)]
    fn value<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let (three, six) = (number::<T, S>(simd, 3.0), number::<T, S>(simd, 6.0));
        let open = Relu6::value::<T, S>(simd, T::plus(simd, z, three));
        T::over(simd, T::times(simd, z, open), six)
    }
    #[inline(always)]
    fn slope<T: Lanes, S: Simd>(simd: S, z: T::Vector<S>) -> T::Vector<S> {
        let (zero, one) = (number::<T, S>(simd, 0.0), number::<T, S>(simd, 1.0));
        let (three, six) = (number::<T, S>(simd, 3.0), number::<T, S>(simd, 6.0));
        let middle = T::over(simd, T::plus(simd, T::plus(simd, z, z), three), six);
        let right = T::if_greater(simd, (three, z), middle, one);
        T::if_greater(simd, (z, number::<T, S>(simd, -3.0)), right, zero)
    }
}

/// Calls a generic function with the type that stands for an activation.
macro_rules! with_activation {
    ($activation:expr, $f:ident => $body:expr) => {
        match $activation {
            cream_arch::Activation::None => {
                type $f = $crate::ops::activation::Identity;
                $body
            }
            cream_arch::Activation::Relu => {
                type $f = $crate::ops::activation::Relu;
                $body
            }
            cream_arch::Activation::Relu6 => {
                type $f = $crate::ops::activation::Relu6;
                $body
            }
            cream_arch::Activation::Swish => {
                type $f = $crate::ops::activation::Swish;
                $body
            }
            cream_arch::Activation::HSwish => {
                type $f = $crate::ops::activation::HSwish;
                $body
            }
        }
    };
}
pub(crate) use with_activation;

/// f(z) for an activation known only at run time: the plain statement that tests compare with.
#[cfg(test)]
pub(crate) fn value(activation: Activation, z: f64) -> f64 {
    with_activation!(activation, F => F::at(z))
}

/// Every activation, for tests that must cover them all.
#[cfg(test)]
pub(crate) const ALL: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::Swish, Activation::HSwish];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_agree_with_differences() {
        for activation in ALL {
            for i in -50..50 {
                let z = f64::from(i) * 0.17 + 0.013;
                let h = 1e-6;
                let difference = (value(activation, z + h) - value(activation, z - h)) / (2.0 * h);
                let slope = with_activation!(activation, F => F::slope_at(z));
                assert!(
                    (difference - slope).abs() < 1e-8,
                    "{activation:?} at {z}: {difference} {slope}"
                );
            }
        }
    }

    /// A network that has gone wrong must show it in its loss.
    #[test]
    fn what_is_no_number_stays_so() {
        for activation in ALL {
            assert!(value(activation, f64::NAN).is_nan(), "{activation:?}");
            assert!(with_activation!(activation, F => F::at(f32::NAN)).is_nan(), "{activation:?}");
        }
    }
}
