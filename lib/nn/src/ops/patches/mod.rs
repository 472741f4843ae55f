//! Patches of an image as rows (im2col), which turns a dense convolution into one matrix product.
//!
//! Row (n, i, j) of the result holds `x[n, i*s + a - top, j*s + b - left, c]` for all a, b, c, zeros outside the
//! image. The gradient adds every entry back to the pixel that it came from.

#[cfg(feature = "cuda")]
mod cuda;

use super::element::{Element, dispatch, dtype_of, slice, with_slice, wrap};
use super::threads::{fill_rows, rows_per_piece};
use super::window::Window;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

const NAME: &str = "patches";

/// Lays out the windows of `x` `[N, H, W, C]` as `[N * out_height * out_width, k * k * C]`.
///
/// # Errors
/// When the image has not the window's size or is not contiguous.
pub fn patches(x: &Tensor, window: Window) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if (h, w) != (window.height, window.width) {
        candle_core::bail!("{NAME}: input {:?} does not fit {window:?}", x.dims());
    }
    x.apply_op1(Patches { window })
}

/// The gradient of images of this shape from that of their patches.
///
/// # Errors
/// When the shape has another rank.
pub(crate) fn input_gradient(dy: &Tensor, images: &Shape, window: &Window) -> Result<Tensor> {
    let (_, _, _, channels) = images.dims4()?;
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::backward(window, images, &dy);
    }
    dispatch!(dy.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |values| {
        Tensor::from_vec(backward(values, window, channels), images, dy.device())
    }))
}

struct Patches {
    window: Window,
}

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _, _, c) = layout.shape().dims4()?;
        let w = &self.window;
        let shape = (n * w.out_height * w.out_width, w.kernel * w.kernel * c).into();
        let storage = dispatch!(dtype_of(x), NAME, T => {
            wrap(forward(slice::<T>(x, layout, NAME)?, w, n, c))
        });
        Ok((storage, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::forward(&self.window, x, layout)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        Ok(Some(input_gradient(dy, x.shape(), &self.window)?))
    }
}

fn forward<T: Element>(x: &[T], window: &Window, batch: usize, channels: usize) -> Vec<T> {
    let width = window.kernel * window.kernel * channels;
    let mut out = vec![T::zero(); batch * window.out_height * window.out_width * width];
    fill_rows(&mut out, width, rows_per_piece(width), |first, rows| {
        fill(x, window, channels, first, rows);
    });
    out
}

/// Overwrites `rows` with the patches from row `first` on.
pub(crate) fn fill<T: Element>(
    x: &[T],
    window: &Window,
    channels: usize,
    first: usize,
    rows: &mut [T],
) {
    let (side, width) = (window.kernel * channels, window.kernel * window.kernel * channels);
    let outputs = window.out_height * window.out_width;
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        let (n, place) = ((first + i) / outputs, (first + i) % outputs);
        let (taps_down, top) = window.rows(place / window.out_width);
        let (taps_across, left) = window.columns(place % window.out_width);
        if taps_down.len() * taps_across.len() < window.kernel * window.kernel {
            row.fill(T::zero());
        }
        let length = taps_across.len() * channels;
        for (a, ih) in taps_down.zip(top..) {
            let from = ((n * window.height + ih) * window.width + left) * channels;
            let to = a * side + taps_across.start * channels;
            row[to..to + length].copy_from_slice(&x[from..from + length]);
        }
    }
}

/// Adds the gradients of all patches to the pixels that they came from.
pub(crate) fn backward<T: Element>(dy: &[T], window: &Window, channels: usize) -> Vec<T> {
    let (side, width) = (window.kernel * channels, window.kernel * window.kernel * channels);
    let outputs = window.out_height * window.out_width;
    let image = window.height * window.width * channels;
    let mut dx = vec![T::zero(); dy.len() / (outputs * width) * image];
    fill_rows(&mut dx, image, 1, |n, image| {
        for place in 0..outputs {
            let row = &dy[(n * outputs + place) * width..(n * outputs + place + 1) * width];
            let (taps_down, top) = window.rows(place / window.out_width);
            let (taps_across, left) = window.columns(place % window.out_width);
            let length = taps_across.len() * channels;
            for (a, ih) in taps_down.zip(top..) {
                let to = (ih * window.width + left) * channels;
                let from = a * side + taps_across.start * channels;
                for (o, &d) in image[to..to + length].iter_mut().zip(&row[from..from + length]) {
                    *o += d;
                }
            }
        }
    });
    dx
}

#[cfg(test)]
mod tests {
    use super::patches;
    use crate::ops::check::{assert_close, check_gradients, numbers, precisions, tensor, values};
    use crate::ops::window::Window;
    use candle_core::{DType, Device, Tensor};
    use cream_arch::Padding;

    fn on_cpu(tensor: &Tensor) -> Tensor {
        tensor.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    }

    /// A convolution by patches against Candle's own, which lays its tensors out the other way.
    #[test]
    fn a_product_with_patches_is_a_convolution() {
        let (n, h, w, c, out) = (2, 9, 6, 3, 4);
        let window = Window::new(3, 2, Padding::Half, h, w).unwrap();
        for (dtype, tolerance) in precisions(1e-12, 1e-5) {
            let x = tensor(&numbers(n * h * w * c, 1), &[n, h, w, c], dtype);
            let weight = tensor(&numbers(out * 9 * c, 2), &[out, c, 3, 3], dtype);
            let nchw = x.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
            let exact = on_cpu(&nchw).conv2d(&on_cpu(&weight), 1, 2, 1, 1).unwrap();
            let exact = exact.permute((0, 2, 3, 1)).unwrap();
            let matrix = weight.permute((0, 2, 3, 1)).unwrap().reshape((out, 9 * c)).unwrap();
            let y = patches(&x, window).unwrap().matmul(&matrix.t().unwrap()).unwrap();
            assert_close(
                &values(&y),
                &values(&exact.contiguous().unwrap()),
                tolerance,
                &format!("convolution in {dtype:?}"),
            );
        }
    }

    #[test]
    fn gradient_agrees_with_differences() {
        for padding in [Padding::Half, Padding::Same] {
            let window = Window::new(3, 2, padding, 4, 5).unwrap();
            check_gradients(&[&[2, 4, 5, 2]], |t| patches(&t[0], window));
        }
    }
}
