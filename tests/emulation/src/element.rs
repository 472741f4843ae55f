//! What the kernels' memory holds.

/// A number of which every pattern of bits is one, and which the kernels' types have in the same form.
pub trait Element: Copy + sealed::Plain {}

impl Element for f32 {}
impl Element for i32 {}
impl Element for u8 {}
impl Element for half::bf16 {}

mod sealed {
    pub trait Plain {}
    impl Plain for f32 {}
    impl Plain for i32 {}
    impl Plain for u8 {}
    impl Plain for half::bf16 {}
}
