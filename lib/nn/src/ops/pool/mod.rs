//! Global average pooling: `y[n,c] = mean over h,w of x[n,h,w,c]`, whose gradient spreads evenly.

#[cfg(feature = "cuda")]
mod cuda;

use super::element::{Element, dispatch, dtype_of, slice, with_slice, wrap};
use super::threads::{fill_rows, map_pieces, rows_per_piece};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

const NAME: &str = "global average pool";

/// Averages `x` `[N, H, W, C]` over its pixels to `[N, C]`.
///
/// # Errors
/// When `x` has another rank or is not contiguous.
pub fn global_average(x: &Tensor) -> Result<Tensor> {
    x.dims4()?;
    x.apply_op1(GlobalAverage)
}

/// The gradient of images of this shape from that of their means.
///
/// # Errors
/// When the shape has another rank.
pub(crate) fn backward(dy: &Tensor, images: &Shape) -> Result<Tensor> {
    let (_, h, w, c) = images.dims4()?;
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::backward(images, &dy);
    }
    dispatch!(dy.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |values| {
        Tensor::from_vec(gradient(values, h * w, c), images, dy.device())
    }))
}

struct GlobalAverage;

impl CustomOp1 for GlobalAverage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let storage = dispatch!(dtype_of(x), NAME, T => {
            wrap(forward(slice::<T>(x, layout, NAME)?, n, h * w, c))
        });
        Ok((storage, (n, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::forward(x, layout)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(backward(dy, x.shape())?))
    }
}

/// Means `[N, C]` of images `[N, H * W, C]`.
pub(crate) fn forward<T: Element>(
    x: &[T],
    images: usize,
    pixels: usize,
    channels: usize,
) -> Vec<T> {
    let scale = T::from_f64(1.0 / pixels as f64);
    let per_piece = rows_per_piece(pixels * channels);
    let pieces = map_pieces(images, per_piece, |range| {
        let mut out = vec![T::zero(); range.len() * channels];
        for (out, n) in out.chunks_exact_mut(channels).zip(range) {
            for row in x[n * pixels * channels..(n + 1) * pixels * channels].chunks_exact(channels)
            {
                for (o, &v) in out.iter_mut().zip(row) {
                    *o += v;
                }
            }
            for o in out {
                *o *= scale;
            }
        }
        out
    });
    pieces.concat()
}

fn gradient<T: Element>(dy: &[T], pixels: usize, channels: usize) -> Vec<T> {
    let mut dx = vec![T::zero(); dy.len() * pixels];
    spread(dy, pixels, channels, &mut dx);
    dx
}

/// The gradient of the images, of which every pixel has the same share, into `dx`.
pub(crate) fn spread<T: Element>(dy: &[T], pixels: usize, channels: usize, dx: &mut [T]) {
    let scale = T::from_f64(1.0 / pixels as f64);
    fill_rows(dx, channels, rows_per_piece(channels), |first, out| {
        for (i, out) in out.chunks_exact_mut(channels).enumerate() {
            let n = (first + i) / pixels;
            for (o, &d) in out.iter_mut().zip(&dy[n * channels..(n + 1) * channels]) {
                *o = d * scale;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::global_average;
    use crate::ops::check::{assert_close, check_gradients, numbers, precisions, tensor, values};
    use candle_core::DType;

    #[test]
    fn agrees_with_candle() {
        let x = numbers(3 * 40 * 30 * 19, 1);
        let exact = tensor(&x, &[3, 1200, 19], DType::F64).mean(1).unwrap();
        for (dtype, tolerance) in precisions(1e-12, 1e-5) {
            let y = global_average(&tensor(&x, &[3, 40, 30, 19], dtype)).unwrap();
            assert_close(&values(&y), &values(&exact), tolerance, &format!("mean in {dtype:?}"));
        }
    }

    #[test]
    fn gradient_agrees_with_differences() {
        check_gradients(&[&[2, 3, 2, 5]], |t| global_average(&t[0]));
    }
}
