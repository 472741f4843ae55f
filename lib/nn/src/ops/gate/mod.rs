//! The gate of squeeze-excite (Hu et al., 2018, section 3): `y[n,h,w,c] = x[n,h,w,c] * g(s[n,c])`.
//!
//! Gradients: `dx = dy * g(s)`, `ds = g'(s) * sum over h,w of dy * x`.

#[cfg(feature = "cuda")]
mod cuda;

use super::element::{Element, dispatch, dtype_of, slice, with_slice, wrap};
use super::threads::{fill_rows, map_pieces, rows_per_piece};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use cream_arch::Gate;

const NAME: &str = "squeeze-excite gate";

/// Multiplies every channel of `x` `[N, H, W, C]` by the gate of `s` `[N, C]`.
///
/// # Errors
/// When shapes disagree or a tensor is not contiguous.
pub fn gate(x: &Tensor, s: &Tensor, kind: Gate) -> Result<Tensor> {
    let (n, _, _, c) = x.dims4()?;
    if s.dims() != [n, c] {
        candle_core::bail!("{NAME}: input {:?} does not fit gate {:?}", x.dims(), s.dims());
    }
    x.apply_op2(s, SqueezeExciteGate { kind })
}

/// The gradients of x and s from that of the output.
///
/// # Errors
/// When x or s is not contiguous.
pub(crate) fn backward(
    x: &Tensor,
    s: &Tensor,
    dy: &Tensor,
    kind: Gate,
) -> Result<(Tensor, Tensor)> {
    let (_, h, w, c) = x.dims4()?;
    let dy = dy.contiguous()?;
    #[cfg(feature = "cuda")]
    if dy.device().is_cuda() {
        return cuda::backward(kind, x, s, &dy);
    }
    dispatch!(x.dtype(), NAME, T => with_slice::<T, _>(&dy, NAME, |dy| {
        let (gates, slopes) = with_slice::<T, _>(s, NAME, |s| {
            Ok((gates(s, kind), s.iter().map(|&s| slope(kind, s)).collect::<Vec<T>>()))
        })?;
        let dx = Tensor::from_vec(scale(dy, &gates, h * w, c), x.shape(), x.device())?;
        let ds = with_slice::<T, _>(x, NAME, |x| Ok(gate_gradient(x, dy, &slopes, h * w, c)))?;
        Ok((dx, Tensor::from_vec(ds, s.shape(), s.device())?))
    }))
}

struct SqueezeExciteGate {
    kind: Gate,
}

/// g(s).
pub(crate) fn value<T: Element>(kind: Gate, s: T) -> T {
    match kind {
        Gate::HardSigmoid => {
            (s + T::from_f64(3.0)).maximum(T::zero()).minimum(T::from_f64(6.0)) / T::from_f64(6.0)
        }
        Gate::Sigmoid => s.sigmoid(),
    }
}

/// g'(s).
pub(crate) fn slope<T: Element>(kind: Gate, s: T) -> T {
    match kind {
        Gate::HardSigmoid if s > T::from_f64(-3.0) && s < T::from_f64(3.0) => {
            T::from_f64(1.0 / 6.0)
        }
        Gate::HardSigmoid => T::zero(),
        Gate::Sigmoid => s.sigmoid() * (T::one() - s.sigmoid()),
    }
}

impl CustomOp2 for SqueezeExciteGate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        s: &CpuStorage,
        s_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, h, w, c) = x_layout.shape().dims4()?;
        let storage = dispatch!(dtype_of(x), NAME, T => {
            let gates = gates(slice::<T>(s, s_layout, NAME)?, self.kind);
            wrap(scale(slice::<T>(x, x_layout, NAME)?, &gates, h * w, c))
        });
        Ok((storage, x_layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        s: &CudaStorage,
        s_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::forward(self.kind, (x, x_layout), (s, s_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, ds) = backward(x, s, dy, self.kind)?;
        Ok((Some(dx), Some(ds)))
    }
}

fn gates<T: Element>(s: &[T], kind: Gate) -> Vec<T> {
    s.iter().map(|&s| value(kind, s)).collect()
}

/// x times the gate of its image and channel.
fn scale<T: Element>(x: &[T], gates: &[T], pixels: usize, channels: usize) -> Vec<T> {
    let mut y = vec![T::zero(); x.len()];
    fill_rows(&mut y, channels, rows_per_piece(channels), |first, out| {
        let x = &x[first * channels..first * channels + out.len()];
        for (i, (out, x)) in
            out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).enumerate()
        {
            let n = (first + i) / pixels;
            let gates = &gates[n * channels..(n + 1) * channels];
            for ((o, &v), &g) in out.iter_mut().zip(x).zip(gates) {
                *o = v * g;
            }
        }
    });
    y
}

/// Slope times the sum over pixels of dy * x, per image and channel.
fn gate_gradient<T: Element>(
    x: &[T],
    dy: &[T],
    slopes: &[T],
    pixels: usize,
    channels: usize,
) -> Vec<T> {
    let pieces = map_pieces(slopes.len() / channels, rows_per_piece(pixels * channels), |range| {
        let mut out = vec![T::zero(); range.len() * channels];
        for (out, n) in out.chunks_exact_mut(channels).zip(range) {
            let span = n * pixels * channels..(n + 1) * pixels * channels;
            for (x, dy) in
                x[span.clone()].chunks_exact(channels).zip(dy[span].chunks_exact(channels))
            {
                for ((o, &v), &d) in out.iter_mut().zip(x).zip(dy) {
                    *o += v * d;
                }
            }
            for (o, &s) in out.iter_mut().zip(&slopes[n * channels..(n + 1) * channels]) {
                *o *= s;
            }
        }
        out
    });
    pieces.concat()
}

#[cfg(test)]
mod tests {
    use super::{gate, value};
    use crate::ops::check::{assert_close, check_gradients, numbers, precisions, tensor, values};
    use cream_arch::Gate;

    #[test]
    fn agrees_with_the_definition() {
        let (n, pixels, c) = (3, 500, 21);
        let x = numbers(n * pixels * c, 1);
        let s: Vec<f64> = numbers(n * c, 2).iter().map(|v| v * 5.0).collect();
        for kind in [Gate::HardSigmoid, Gate::Sigmoid] {
            let exact: Vec<f64> =
                (0..x.len()).map(|i| x[i] * value(kind, s[i / (pixels * c) * c + i % c])).collect();
            for (dtype, tolerance) in precisions(1e-12, 1e-6) {
                let y =
                    gate(&tensor(&x, &[n, 20, 25, c], dtype), &tensor(&s, &[n, c], dtype), kind);
                assert_close(
                    &values(&y.unwrap()),
                    &exact,
                    tolerance,
                    &format!("gate in {dtype:?}"),
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_so() {
        for kind in [Gate::HardSigmoid, Gate::Sigmoid] {
            assert!(value(kind, f32::NAN).is_nan(), "{kind:?}");
        }
    }

    #[test]
    fn gradients_agree_with_differences() {
        for kind in [Gate::HardSigmoid, Gate::Sigmoid] {
            check_gradients(&[&[2, 3, 2, 5], &[2, 5]], |t| {
                // No parameter: the gate is of the activations' type.
                gate(&t[0], &(&t[1] * 4.0)?.to_dtype(t[0].dtype())?, kind)
            });
        }
    }
}
