//! Stored numbers as float32.

use safetensors::Dtype;

/// The values of a tensor of floating point, rounded to float32; none for another type.
///
/// `bytes` holds whole values, little-endian.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let wide = |bytes: &[u8; 8]| f64::from_le_bytes(*bytes) as f32;
    Some(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(wide).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| brain(u16::from_le_bytes(*b))).collect(),
        _ => return None,
    })
}

/// bfloat16 is the upper half of a float32.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent with bias 15, 10 of fraction.
fn half(bits: u16) -> f32 {
    /// The least step of the type, 2^-24.
    const STEP: f32 = 1.0 / (1 << 24) as f32;
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    let magnitude = match exponent {
        0 => (fraction as f32 * STEP).to_bits(),
        31 => 0xff << 23 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_exactly() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }

    #[test]
    fn every_type_of_floating_point_is_read_and_others_are_not() {
        let numbers = [1.5_f32, -0.25];
        let stored: [(Dtype, Vec<u8>); 4] = [
            (Dtype::F32, numbers.iter().flat_map(|v| v.to_le_bytes()).collect()),
            (Dtype::F64, numbers.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
            (Dtype::BF16, [0x3fc0_u16, 0xbe80].iter().flat_map(|v| v.to_le_bytes()).collect()),
            (Dtype::F16, [0x3e00_u16, 0xb400].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ];
        for (dtype, bytes) in stored {
            assert_eq!(to_f32(dtype, &bytes).as_deref(), Some(&numbers[..]), "{dtype}");
        }
        assert_eq!(to_f32(Dtype::I64, &[0; 8]), None);
    }
}
