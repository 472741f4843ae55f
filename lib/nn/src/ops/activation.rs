//! Activations and their derivatives, as functions of one element.

use super::Element;
#[cfg(test)]
use cream_arch::Activation;

/// An activation that a kernel is compiled for, so that its inner loop has no branch.
pub(crate) trait Function {
    /// f(z).
    fn value<T: Element>(z: T) -> T;
    /// f'(z); at a corner the derivative from below, as in PyTorch.
    fn slope<T: Element>(z: T) -> T;
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
fn number<T: Element>(v: f64) -> T {
    T::from_f64(v)
}

impl Function for Identity {
    #[inline(always)]
    fn value<T: Element>(z: T) -> T {
        z
    }
    #[inline(always)]
    fn slope<T: Element>(_: T) -> T {
        T::one()
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<T: Element>(z: T) -> T {
        z.maximum(T::zero())
    }
    #[inline(always)]
    fn slope<T: Element>(z: T) -> T {
        if z > T::zero() { T::one() } else { T::zero() }
    }
}

impl Function for Relu6 {
    #[inline(always)]
    fn value<T: Element>(z: T) -> T {
        z.maximum(T::zero()).minimum(number(6.0))
    }
    #[inline(always)]
    fn slope<T: Element>(z: T) -> T {
        if z > T::zero() && z < number(6.0) { T::one() } else { T::zero() }
    }
}

impl Function for Swish {
    #[inline(always)]
    fn value<T: Element>(z: T) -> T {
        z * z.sigmoid()
    }
    #[inline(always)]
    fn slope<T: Element>(z: T) -> T {
        let s = z.sigmoid();
        s * (T::one() + z * (T::one() - s))
    }
}

impl Function for HSwish {
    #[inline(always)]
    fn value<T: Element>(z: T) -> T {
        z * Relu6::value(z + number(3.0)) / number(6.0)
    }
    #[inline(always)]
    fn slope<T: Element>(z: T) -> T {
        if z <= number(-3.0) {
            T::zero()
        } else if z < number(3.0) {
            (z + z + number(3.0)) / number(6.0)
        } else {
            T::one()
        }
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
    with_activation!(activation, F => F::value(z))
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
                let slope = with_activation!(activation, F => F::slope(z));
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
            assert!(
                with_activation!(activation, F => F::value(f32::NAN)).is_nan(),
                "{activation:?}"
            );
        }
    }
}
