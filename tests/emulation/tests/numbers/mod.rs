//! Numbers as a kernel's buffers hold them.
#![allow(dead_code, reason = "every test uses its part")]

use half::bf16;

/// An element of a buffer.
pub trait Element: Copy + 'static {
    /// How the names of its kernels end.
    const SUFFIX: &'static str;
    /// Its bytes.
    const BYTES: usize;
    /// Unit roundoff.
    const ROUNDOFF: f64;

    fn narrow(value: f64) -> Self;
    fn widen(self) -> f64;
    fn bytes(self) -> Vec<u8>;
    fn of_bytes(bytes: &[u8]) -> Self;
}

impl Element for f32 {
    const SUFFIX: &'static str = "f32";
    const BYTES: usize = 4;
    const ROUNDOFF: f64 = 5.960_464_477_539_063e-8;

    fn narrow(value: f64) -> Self {
        value as f32
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn bytes(self) -> Vec<u8> {
        self.to_ne_bytes().to_vec()
    }
    fn of_bytes(bytes: &[u8]) -> Self {
        f32::from_ne_bytes(bytes.try_into().unwrap())
    }
}

impl Element for bf16 {
    const SUFFIX: &'static str = "bf16";
    const BYTES: usize = 2;
    const ROUNDOFF: f64 = 0.003_906_25;

    fn narrow(value: f64) -> Self {
        bf16::from_f64(value)
    }
    fn widen(self) -> f64 {
        self.to_f64()
    }
    fn bytes(self) -> Vec<u8> {
        self.to_bits().to_ne_bytes().to_vec()
    }
    fn of_bytes(bytes: &[u8]) -> Self {
        bf16::from_bits(u16::from_ne_bytes(bytes.try_into().unwrap()))
    }
}

pub fn from_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.bytes()).collect()
}

pub fn to_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(f32::of_bytes).collect()
}

/// A buffer in which nothing is a number.
pub fn unwritten<T: Element>(count: usize) -> Vec<u8> {
    vec![0xff; count * T::BYTES]
}

/// The values as elements.
pub fn buffer<T: Element>(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|&value| T::narrow(value).bytes()).collect()
}

/// The elements as values.
pub fn values<T: Element>(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(T::BYTES).map(|bytes| T::of_bytes(bytes).widen()).collect()
}

/// Values that elements of this type hold exactly, so that a kernel and its reference begin alike.
pub fn exact<T: Element>(values: &[f64]) -> Vec<f64> {
    values.iter().map(|&value| T::narrow(value).widen()).collect()
}

/// Numbers between -1 and 1 that depend on the seed alone (a linear congruential generator).
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Fails where a value is further from the expected one than `tolerance` of the largest of all.
pub fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-30_f64, |scale, value| scale.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / scale;
        assert!(
            error <= tolerance,
            "{what}: element {place} is {found}, not {expected}: {error:.2e} of the largest"
        );
    }
}
