//! Elements of the types that kernels have, as f64.

use half::{bf16, f16};

/// A type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    U32,
    I64,
    Bf16,
    F16,
    F32,
    F64,
}

impl Element {
    /// As names of kernels end.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "u8" => Self::U8,
            "u32" => Self::U32,
            "i64" => Self::I64,
            "bf16" => Self::Bf16,
            "f16" => Self::F16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::Bf16 | Self::F16 => 2,
            Self::U32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// The element number `i` from an address on.
    ///
    /// # Safety
    /// There must be one.
    pub(crate) unsafe fn read(self, from: u64, i: usize) -> f64 {
        let at = (from as usize + i * self.bytes()) as *const u8;
        // SAFETY: as the caller promises.
        unsafe {
            match self {
                Self::U8 => f64::from(at.read()),
                Self::U32 => f64::from(at.cast::<u32>().read_unaligned()),
                Self::I64 => at.cast::<i64>().read_unaligned() as f64,
                Self::Bf16 => at.cast::<bf16>().read_unaligned().to_f64(),
                Self::F16 => at.cast::<f16>().read_unaligned().to_f64(),
                Self::F32 => f64::from(at.cast::<f32>().read_unaligned()),
                Self::F64 => at.cast::<f64>().read_unaligned(),
            }
        }
    }

    /// Writes it.
    ///
    /// # Safety
    /// There must be room for it.
    pub(crate) unsafe fn write(self, to: u64, i: usize, value: f64) {
        let at = (to as usize + i * self.bytes()) as *mut u8;
        // SAFETY: as the caller promises.
        unsafe {
            match self {
                Self::U8 => at.write(value as u8),
                Self::U32 => at.cast::<u32>().write_unaligned(value as u32),
                Self::I64 => at.cast::<i64>().write_unaligned(value as i64),
                Self::Bf16 => at.cast::<bf16>().write_unaligned(bf16::from_f64(value)),
                Self::F16 => at.cast::<f16>().write_unaligned(f16::from_f64(value)),
                Self::F32 => at.cast::<f32>().write_unaligned(value as f32),
                Self::F64 => at.cast::<f64>().write_unaligned(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn what_is_written_is_read() {
        for (name, value) in [
            ("u8", 200.0),
            ("u32", 4e9),
            ("i64", -3.0),
            ("bf16", -0.375),
            ("f16", 2.5),
            ("f32", 0.5),
            ("f64", 0.1),
        ] {
            let element = Element::named(name).unwrap();
            let mut room = [0_u64; 2];
            let at = room.as_mut_ptr() as u64;
            // SAFETY: there is room for two.
            let read = unsafe {
                element.write(at, 1, value);
                element.read(at, 1)
            };
            assert_eq!(read, value, "{name}");
        }
        assert_eq!(Element::named("i16"), None);
    }
}
