//! Which vector instructions the CPU kernels use.
//!
//! Kernels are compiled once for every level and chosen at run time. Elementwise kernels are plain loops without
//! fused multiplication and addition, so that every level gives them the same bits. The sums of products in
//! convolutions are written with explicit vectors ([`Lanes`]) and fused where the level can.

use super::element::Element;
use pulp::Simd;
use std::sync::OnceLock;

/// The environment variable that forces a level: `portable`, `avx2` or `avx512`.
pub const VARIABLE: &str = "CREAM_SIMD";

/// A set of vector instructions that this machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// What every machine of the target has.
    Portable,
    /// AVX2 and FMA: 8 floats at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// AVX-512 (F, BW, CD, DQ, VL): 16 floats at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
        }
    }

    /// All that this machine has, the best last.
    fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "changed on some targets only")]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(pulp::x86::V3::try_new().map(Self::Avx2));
            levels.extend(pulp::x86::V4::try_new().map(Self::Avx512));
        }
        levels
    }

    fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Portable)
    }
}

/// The names of the levels that this machine has, the best last.
pub fn levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

/// The level in use: the best one unless [`VARIABLE`] names another.
///
/// # Errors
/// When the variable names none of [`levels`].
pub fn check() -> Result<&'static str, String> {
    match std::env::var(VARIABLE) {
        Ok(name) if !levels().contains(&name.as_str()) => {
            Err(format!("{VARIABLE} is {name:?}; this machine has {}", levels().join(", ")))
        }
        _ => Ok(level().name()),
    }
}

/// The level in use, decided once.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var(VARIABLE).unwrap_or_default();
        Level::available().into_iter().find(|l| l.name() == wanted).unwrap_or_else(Level::best)
    })
}

/// Runs `kernel` compiled for the level in use. The kernel and what it calls must be
/// `#[inline(always)]` to profit.
#[inline(always)]
pub(crate) fn vectorised<R>(kernel: impl FnOnce() -> R) -> R {
    match level() {
        Level::Portable => kernel(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(v3) => v3.vectorize(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(v4) => v4.vectorize(kernel),
    }
}

/// An element with vectors: what the inner loops of convolutions are written with, as a compiler's own
/// vectorisation of them comes and goes with the code around it.
pub(crate) trait Lanes: Element {
    /// As many elements as one register holds.
    type Vector<S: Simd>: Copy;

    /// Elements in a vector.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }

    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// a * b + c, rounded once where the level can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// a + b.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

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
}

macro_rules! impl_lanes {
    ($t:ty, $vector:ident, $splat:ident, $mul_add:ident, $add:ident) => {
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
        }
    };
}

impl_lanes!(f32, f32s, splat_f32s, mul_add_e_f32s, add_f32s);
impl_lanes!(f64, f64s, splat_f64s, mul_add_e_f64s, add_f64s);
