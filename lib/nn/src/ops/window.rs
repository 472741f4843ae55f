//! The geometry of a sliding window: kernel, stride and padding.

use candle_core::Result;
use cream_arch::Padding;

/// A square window over one image: `[H, W, C]` in, `[out_height, out_width, ...]` out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel side in pixels.
    pub kernel: usize,
    /// Stride in pixels.
    pub stride: usize,
    /// Input height and width in pixels.
    pub height: usize,
    /// Input width in pixels.
    pub width: usize,
    /// Rows of zeros above the image.
    pub top: usize,
    /// Columns of zeros left of the image.
    pub left: usize,
    /// Output height.
    pub out_height: usize,
    /// Output width.
    pub out_width: usize,
}

impl Window {
    /// The window for an image of `height` x `width`.
    ///
    /// `Padding::Half` pads kernel / 2 on every side, as PyTorch does; `Padding::Same` pads as
    /// TensorFlow does: to ceil(size / stride) outputs, the odd pixel after the image.
    ///
    /// # Errors
    /// When the image is smaller than one window.
    pub fn new(
        kernel: usize,
        stride: usize,
        padding: Padding,
        height: usize,
        width: usize,
    ) -> Result<Self> {
        let side = |size: usize| match padding {
            Padding::Half => {
                let padded = size + kernel / 2 * 2;
                if padded < kernel {
                    None
                } else {
                    Some((kernel / 2, (padded - kernel) / stride + 1))
                }
            }
            Padding::Same => {
                let out = size.div_ceil(stride);
                let total = (out.max(1) - 1) * stride + kernel;
                Some((total.saturating_sub(size) / 2, out))
            }
        };
        match (side(height), side(width)) {
            (Some((top, out_height)), Some((left, out_width))) if height > 0 && width > 0 => {
                Ok(Self { kernel, stride, height, width, top, left, out_height, out_width })
            }
            _ => candle_core::bail!(
                "an image of {height} x {width} pixels is too small for a {kernel} x {kernel} window"
            ),
        }
    }

    /// The kernel rows that fall on the image at output row `out`, with the input row of the first.
    #[inline(always)]
    pub(crate) fn rows(&self, out: usize) -> (std::ops::Range<usize>, usize) {
        taps(out * self.stride, self.top, self.kernel, self.height)
    }

    /// The kernel columns that fall on the image at output column `out`, with the first's input column.
    #[inline(always)]
    pub(crate) fn columns(&self, out: usize) -> (std::ops::Range<usize>, usize) {
        taps(out * self.stride, self.left, self.kernel, self.width)
    }
}

/// The taps k with 0 <= start + k - pad < size, and the input position of the first of them.
#[inline(always)]
fn taps(start: usize, pad: usize, kernel: usize, size: usize) -> (std::ops::Range<usize>, usize) {
    let first = pad.saturating_sub(start).min(kernel);
    let end = (size + pad).saturating_sub(start).min(kernel).max(first);
    (first..end, (start + first).saturating_sub(pad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_padding_rounds_up_and_same_padding_is_after() {
        let half = Window::new(3, 2, Padding::Half, 7, 8).unwrap();
        assert_eq!((half.out_height, half.out_width, half.top), (4, 4, 1));
        let same = Window::new(3, 2, Padding::Same, 8, 8).unwrap();
        assert_eq!((same.out_height, same.top), (4, 0));
        let odd = Window::new(5, 2, Padding::Same, 7, 7).unwrap();
        assert_eq!((odd.out_height, odd.top), (4, 2));
    }

    #[test]
    fn taps_stay_inside_the_image() {
        for (kernel, stride, size) in [(3, 1, 1), (7, 2, 2), (5, 1, 9), (7, 1, 3)] {
            let w = Window::new(kernel, stride, Padding::Half, size, size).unwrap();
            for out in 0..w.out_height {
                let (taps, first) = w.rows(out);
                let expected: Vec<usize> = (0..kernel)
                    .filter(|k| (w.top..w.top + size).contains(&(out * stride + k)))
                    .collect();
                assert_eq!(taps.clone().collect::<Vec<_>>(), expected);
                if let Some(k) = expected.first() {
                    assert_eq!(first, out * stride + k - w.top);
                }
            }
        }
    }
}
