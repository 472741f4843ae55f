//! Which vector instructions the CPU kernels use.
//!
//! Kernels are compiled once for every level and chosen at run time. Those that take the time are written with
//! explicit vectors (`Lanes`) and fuse multiplication and addition where the level can, so levels differ in the last
//! bits; the others are plain loops.

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
pub(crate) fn vectorised<R>(mut kernel: impl FnMut() -> R) -> R {
    match level() {
        Level::Portable => kernel(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(v3) => v3.vectorize(Inlined(kernel)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(v4) => v4.vectorize(Inlined(kernel)),
    }
}

/// A closure whose body is compiled into the function that has the instructions. Called as `FnOnce`, it would stand
/// behind an adapter that is inlined or not as the compiler sees fit, and one that is not loses all vectors.
pub(crate) struct Inlined<F>(pub(crate) F);

impl<R, F: FnMut() -> R> pulp::NullaryFnOnce for Inlined<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}

/// Calls a generic function compiled for the level in use: `f(simd, ...)`.
macro_rules! with_level {
    ($f:ident($($argument:expr),* $(,)?)) => {
        match $crate::ops::simd::level() {
            $crate::ops::simd::Level::Portable => $f(pulp::Scalar, $($argument),*),
            #[cfg(target_arch = "x86_64")]
            $crate::ops::simd::Level::Avx2(v3) => {
                v3.vectorize($crate::ops::simd::Inlined(#[inline(always)] || $f(v3, $($argument),*)))
            }
            #[cfg(target_arch = "x86_64")]
            $crate::ops::simd::Level::Avx512(v4) => {
                v4.vectorize($crate::ops::simd::Inlined(#[inline(always)] || $f(v4, $($argument),*)))
            }
        }
    };
}
pub(crate) use with_level;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The tests of all operators, at each level that the machine has.
    #[test]
    fn operators_hold_at_every_level() {
        for level in levels() {
            let out = Command::new(std::env::current_exe().unwrap())
                .args(["ops::", "--skip", "at_every_level"])
                .env(VARIABLE, level)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success(), "at {level}:\n{said}");
            assert!(!said.contains(" 0 passed"), "at {level} nothing ran:\n{said}");
        }
    }

    #[test]
    fn the_variable_decides() {
        for level in levels() {
            let out = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "--nocapture", "ops::simd::tests::say"])
                .env(VARIABLE, level)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            assert!(said.contains(&format!("level {level};")), "{said}");
        }
    }

    #[test]
    #[ignore = "run by the_variable_decides"]
    fn say() {
        println!("level {};", check().unwrap());
    }
}
