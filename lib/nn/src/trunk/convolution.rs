//! A dense convolution with its norm and activation: the stem, and the last block.

use super::norm::Norm;
use super::parameters::{give, give_wide, with_values};
use super::pointwise::{self, OutputGradient, Rows, Wanted, backward_panels, forward_panels};
use super::{Activation, rows_in_parallel};
use crate::layers::{BatchNorm, Convolution, Gradients, Pass};
use crate::ops::buffer::{Buffer, Pooled};
use crate::ops::product::Panels;
use crate::ops::{Window, patches};
use candle_core::Result;
use std::sync::Arc;

/// What the backward pass needs.
pub(super) struct Saved<T: Pooled> {
    x: Activation<T>,
    window: Window,
    y: Buffer<T>,
    norm: Norm<T>,
}

/// Images to activations, and what the backward pass needs.
pub(super) fn forward<T: Pooled>(
    conv: &Convolution,
    bn: &BatchNorm,
    x: Activation<T>,
    pass: &Pass,
) -> Result<(Activation<T>, Saved<T>)> {
    let (window, weight, (n, k)) = prepare(conv, &x)?;
    let images = x.shape[0];
    let rows = images * window.out_height * window.out_width;
    let (y, moments) = pointwise::forward(&input(&x, &window), rows, (n, k), &weight);
    let norm = Norm::of_batch(bn, &moments, pass)?;
    let mut out = Buffer::new(y.len());
    rows_in_parallel(&mut out, n, |first, out| norm.activate(&y[first..first + out.len()], out));
    let shape = [images, window.out_height, window.out_width, n];
    Ok((Activation { values: Arc::new(out), shape }, Saved { x, window, y, norm }))
}

/// The window, the weight as products take it, and its sides: outputs, and elements of a patch.
pub(super) fn prepare<T: Pooled>(
    conv: &Convolution,
    x: &Activation<T>,
) -> Result<(Window, Panels<T>, (usize, usize))> {
    let [_, h, w, channels] = x.shape;
    let (n, c_in, kernel, _) = conv.weight.dims4()?;
    if channels != c_in {
        candle_core::bail!("convolution of {c_in} channels: input {:?}", x.shape);
    }
    let window = Window::new(kernel, conv.stride, conv.padding, h, w)?;
    let sides = (n, kernel * kernel * channels);
    let weight =
        with_values(&conv.weight, |v| forward_panels(&by_patch(v, (n, channels), kernel), sides))?;
    Ok((window, weight, sides))
}

pub(super) fn input<'a, T: Pooled>(x: &'a Activation<T>, window: &'a Window) -> Rows<'a, T> {
    if window.kernel == 1 && window.stride == 1 {
        Rows::Plain(&x.values)
    } else {
        Rows::Patches(&x.values, window, x.shape[3])
    }
}

/// The gradient of the input if it is wanted, from that of the output.
pub(super) fn backward<T: Pooled>(
    conv: &Convolution,
    bn: &BatchNorm,
    saved: Saved<T>,
    mut g: Buffer<T>,
    wanted: bool,
    sink: &Gradients,
) -> Result<Option<Buffer<T>>> {
    let Saved { x, window, y, norm } = saved;
    let [images, _, _, channels] = x.shape;
    let n = norm.mean.len();
    let k = window.kernel * window.kernel * channels;
    let sums = super::gradient_in_parallel(&norm, &y, &mut g);
    let by = norm.differentiate(sums);
    let out = OutputGradient { g: &g, y: &y, norm: &norm, by: &by };
    let weight = with_values(&conv.weight, |v| {
        backward_panels(&by_patch(v, (n, channels), window.kernel), (n, k))
    })?;
    let wants = Wanted { input: wanted, residual: None };
    let grads = pointwise::backward(&out, &input(&x, &window), images, (n, k), &weight, &wants);
    give(sink, &conv.weight, by_channel(&grads.weight, (n, channels), window.kernel))?;
    give_wide::<T>(sink, &bn.weight, &by.weight)?;
    give_wide::<T>(sink, &bn.bias, &by.bias)?;
    Ok(match (grads.input, input(&x, &window)) {
        (Some(dx), Rows::Patches(..)) => {
            Some(Buffer::copy_of(&patches::backward(&dx, &window, channels)))
        }
        (dx, _) => dx,
    })
}

/// Weight `[n, channels, k, k]` as `[n, k, k, channels]`, in the order of a patch.
fn by_patch<T: Pooled>(weight: &[T], (n, channels): (usize, usize), kernel: usize) -> Vec<T> {
    let taps = kernel * kernel;
    let mut out = Vec::with_capacity(weight.len());
    for filter in weight.chunks_exact(channels * taps).take(n) {
        for tap in 0..taps {
            out.extend((0..channels).map(|c| filter[c * taps + tap]));
        }
    }
    out
}

/// The other way round.
fn by_channel<T: Pooled>(weight: &[T], (n, channels): (usize, usize), kernel: usize) -> Vec<T> {
    let taps = kernel * kernel;
    let mut out = Vec::with_capacity(weight.len());
    for filter in weight.chunks_exact(channels * taps).take(n) {
        for c in 0..channels {
            out.extend((0..taps).map(|tap| filter[tap * channels + c]));
        }
    }
    out
}
