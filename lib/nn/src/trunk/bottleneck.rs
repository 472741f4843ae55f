//! A separable block: expansion (where it has one), depthwise convolution, squeeze-excite, projection, residual.
//!
//! Stored for the backward pass are the outputs of the convolutions, before their norms. Activations are made again
//! where they are read, which costs less than writing and reading them.

use super::branch::Branch;
use super::depthwise::Shape;
use super::norm::{Norm, Sums};
use super::parameters::{give, give_wide, with_values};
use super::pointwise::{
    self, Gates, OutputGradient, Rows, Wanted, backward_panels, forward_panels,
};
use super::squeeze_excite::Squeezed;
use super::{Activation, gradient_in_parallel, rows_in_parallel};
use crate::layers::{BatchNorm, Convolution, Gradients, Pass, Separable};
use crate::ops::Window;
use crate::ops::buffer::{Buffer, Pooled};
use candle_core::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// What the backward pass needs.
pub(super) struct Saved<T: Pooled> {
    x: Activation<T>,
    expanded: Option<(Buffer<T>, Norm<T>)>,
    shape: Shape<T>,
    y: Buffer<T>,
    norm: Norm<T>,
    squeezed: Option<Squeezed<T>>,
    projected: Buffer<T>,
    projected_norm: Norm<T>,
    /// Stochastic depth, of a residual block.
    branch: Option<Branch<T>>,
}

/// `[out, in]` of a pointwise convolution on so many channels.
pub(super) fn sides(conv: &Convolution, channels: usize) -> Result<(usize, usize)> {
    let (n, k) = (conv.weight.dim(0)?, conv.weight.dim(1)?);
    if k != channels {
        candle_core::bail!("convolution of {k} channels: the input has {channels}");
    }
    Ok((n, k))
}

/// Block number `index` of its network, and what its backward pass needs.
pub(super) fn forward<T: Pooled>(
    layers: &Separable<'_>,
    x: Activation<T>,
    index: usize,
    pass: &Pass,
) -> Result<(Activation<T>, Saved<T>)> {
    let [images, h, w, c] = x.shape;
    let expanded = match layers.expand {
        Some((conv, bn)) => {
            let (n, k) = sides(conv, c)?;
            let weight = with_values(&conv.weight, |v| forward_panels(v, (n, k)))?;
            let (y, moments) =
                pointwise::forward(&Rows::Plain(&x.values), images * h * w, (n, k), &weight);
            Some((y, Norm::of_batch(bn, &moments, pass)?))
        }
        None => None,
    };
    let (conv, bn) = layers.depthwise;
    let (kernel, stride, padding) = (conv.kernel, conv.stride, conv.padding);
    let window = Window::new(kernel, stride, padding, h, w)?;
    let shape = with_values(&conv.weight, |v| Shape::new(window, v))?;
    let (y, moments) = match &expanded {
        Some((y, norm)) => shape.forward(y, Some(norm)),
        None => shape.forward(&x.values, None),
    };
    let norm = Norm::of_batch(bn, &moments, pass)?;
    let pixels = window.out_height * window.out_width;
    let squeezed = match layers.squeeze_excite {
        Some(layer) => Some(Squeezed::new(layer, pooled(&norm, &y, pixels))?),
        None => None,
    };
    let (conv, bn) = layers.project;
    let (n, k) = sides(conv, shape.channels)?;
    let weight = with_values(&conv.weight, |v| forward_panels(v, (n, k)))?;
    let input = projection_input(&y, &norm, &squeezed, pixels);
    let (projected, moments) = pointwise::forward(&input, images * pixels, (n, k), &weight);
    let projected_norm = Norm::of_batch(bn, &moments, pass)?;
    let branch = match pass.branch_factors(index, images)? {
        Some(factors) if layers.residual => Some(Branch::new(factors, pixels * n)),
        _ => None,
    };
    let mut out = Buffer::new(projected.len());
    rows_in_parallel(&mut out, n, |first, out| {
        let span = first..first + out.len();
        match &branch {
            None if layers.residual => {
                projected_norm.activate_and_add(&projected[span.clone()], &x.values[span], out);
            }
            None => projected_norm.activate(&projected[span], out),
            Some(branch) => {
                projected_norm.activate(&projected[span.clone()], out);
                branch.scale_and_add(first, out, &x.values[span]);
            }
        }
    });
    let out = Activation {
        values: Arc::new(out),
        shape: [images, window.out_height, window.out_width, n],
    };
    let saved = Saved { x, expanded, shape, y, norm, squeezed, projected, projected_norm, branch };
    Ok((out, saved))
}

fn projection_input<'a, T: Pooled>(
    y: &'a [T],
    norm: &'a Norm<T>,
    squeezed: &'a Option<Squeezed<T>>,
    pixels: usize,
) -> Rows<'a, T> {
    match squeezed {
        Some(squeezed) => Rows::Gated(y, norm, Gates { values: &squeezed.gates, pixels }),
        None => Rows::Activated(y, norm),
    }
}

/// Means of the activated images, `[N, C]`.
fn pooled<T: Pooled>(norm: &Norm<T>, y: &[T], pixels: usize) -> Vec<T> {
    let channels = norm.channels();
    let scale = T::from_f64(1.0 / pixels as f64);
    let mut means = vec![T::zero(); y.len() / pixels];
    means.par_chunks_mut(channels).zip(y.par_chunks(pixels * channels)).for_each(|(means, y)| {
        norm.sum_activated(y, means);
        for mean in means {
            *mean *= scale;
        }
    });
    means
}

/// The gradient of the input, from that of the output.
pub(super) fn backward<T: Pooled>(
    layers: &Separable<'_>,
    saved: Saved<T>,
    dout: Buffer<T>,
    sink: &Gradients,
) -> Result<Buffer<T>> {
    let Saved { x, expanded, shape, y, norm, squeezed, projected, projected_norm, branch } = saved;
    let images = x.shape[0];
    let pixels = shape.window.out_height * shape.window.out_width;
    // The projection has no activation: the gradient behind its norm is the output's, but for stochastic depth.
    let scaled = branch.map(|branch| branch.gradient(&dout));
    let g = scaled.as_deref().unwrap_or(&dout);
    let sums = projection_sums(&projected_norm, &projected, g);
    let by = projected_norm.differentiate(sums);
    let (conv, bn) = layers.project;
    let (n, k) = sides(conv, shape.channels)?;
    let weight = with_values(&conv.weight, |v| backward_panels(v, (n, k)))?;
    let out = OutputGradient { g, y: &projected, norm: &projected_norm, by: &by };
    let input = projection_input(&y, &norm, &squeezed, pixels);
    let wanted = Wanted { input: true, residual: None };
    let grads = pointwise::backward(&out, &input, images, (n, k), &weight, &wanted);
    give(sink, &conv.weight, grads.weight)?;
    give_norm::<T>(sink, bn, (&by.weight, &by.bias))?;
    drop((projected, scaled));
    let mut g = grads.input.unwrap_or_else(|| Buffer::new(0));
    let sums = match (&squeezed, layers.squeeze_excite) {
        (Some(squeezed), Some(layer)) => {
            let dpooled = squeezed.backward(layer, grads.gates, sink)?;
            gated_gradient(&norm, &y, &mut g, (&squeezed.gates, &dpooled), pixels)
        }
        _ => gradient_in_parallel(&norm, &y, &mut g),
    };
    let by = norm.differentiate(sums);
    let (conv, bn) = layers.depthwise;
    give_norm::<T>(sink, bn, (&by.weight, &by.bias))?;
    let out = OutputGradient { g: &g, y: &y, norm: &norm, by: &by };
    let (input, input_norm) = match &expanded {
        Some((y, norm)) => (&y[..], Some(norm)),
        None => (&x.values[..], None),
    };
    let grads = shape.backward(&out, input, input_norm);
    drop((g, y));
    give(sink, &conv.weight, grads.weight)?;
    let (Some((conv, bn)), Some((y, norm))) = (layers.expand, expanded) else {
        let mut dx = grads.g;
        if layers.residual {
            add(&mut dx, &dout);
        }
        return Ok(dx);
    };
    let by = norm.differentiate(grads.sums);
    give_norm::<T>(sink, bn, (&by.weight, &by.bias))?;
    let (n, k) = sides(conv, x.shape[3])?;
    let weight = with_values(&conv.weight, |v| backward_panels(v, (n, k)))?;
    let out = OutputGradient { g: &grads.g, y: &y, norm: &norm, by: &by };
    let residual = layers.residual.then_some(&dout[..]);
    let wanted = Wanted { input: true, residual };
    let grads =
        pointwise::backward(&out, &Rows::Plain(&x.values), images, (n, k), &weight, &wanted);
    give(sink, &conv.weight, grads.weight)?;
    Ok(grads.input.unwrap_or_else(|| Buffer::new(0)))
}

fn give_norm<T: Pooled>(
    sink: &Gradients,
    bn: &BatchNorm,
    (weight, bias): (&[f64], &[f64]),
) -> Result<()> {
    give_wide::<T>(sink, &bn.weight, weight)?;
    give_wide::<T>(sink, &bn.bias, bias)
}

/// What the norm of a linear layer needs from the gradient behind it.
fn projection_sums<T: Pooled>(norm: &Norm<T>, y: &[T], g: &[T]) -> Sums {
    let per_piece = super::piece(norm.channels());
    let pieces: Vec<Sums> = y
        .par_chunks(per_piece)
        .zip(g.par_chunks(per_piece))
        .map(|(y, g)| {
            let mut sums = Sums::zeros(norm.channels());
            norm.sum_linear(y, g, &mut sums);
            sums
        })
        .collect();
    Sums::total(norm.channels(), pieces.iter())
}

/// The gradient behind the depthwise convolution's norm, through gates and means, in the place of that of
/// the gated activation.
fn gated_gradient<T: Pooled>(
    norm: &Norm<T>,
    y: &[T],
    g: &mut [T],
    (gates, dpooled): (&[T], &[T]),
    pixels: usize,
) -> Sums {
    let channels = norm.channels();
    let image = pixels * channels;
    let scale = T::from_f64(1.0 / pixels as f64);
    let pieces: Vec<Sums> = g
        .par_chunks_mut(image)
        .zip(y.par_chunks(image))
        .enumerate()
        .map(|(n, (g, y))| {
            let span = n * channels..(n + 1) * channels;
            let spread: Vec<T> = dpooled[span.clone()].iter().map(|&d| d * scale).collect();
            let mut sums = Sums::zeros(channels);
            let piece = super::piece(channels);
            for (y, g) in y.chunks(piece).zip(g.chunks_mut(piece)) {
                norm.gated_gradient(y, g, (&gates[span.clone()], &spread), &mut sums);
            }
            sums
        })
        .collect();
    Sums::total(channels, pieces.iter())
}

fn add<T: Pooled>(a: &mut [T], b: &[T]) {
    rows_in_parallel(a, 1, |first, a| {
        for (a, &b) in a.iter_mut().zip(&b[first..]) {
            *a += b;
        }
    });
}
