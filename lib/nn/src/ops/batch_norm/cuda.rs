//! Launchers of `kernel.cu`. Weight, bias and statistics are f32, whatever the activations are.

use super::{BatchNorm, NAME, Seen, too_few_rows};
use crate::ops::cuda::{
    CudaElement, Kernels, Launch, activation_number, dispatch_cuda, dtype_of, kernels, room,
    tensor, tensor_of, view, with_storages,
};
use crate::ops::grid::{Grid, passes, sums};
use candle_core::{CudaDevice, CudaStorage, Layout, Result, Shape, Tensor};
use cream_arch::Activation;
use cudarc::driver::{CudaSlice, CudaView};

static KERNELS: Kernels = kernels!("batch_norm");

/// A storage with its layout.
type Placed<'a> = (&'a CudaStorage, &'a Layout);

/// What all kernels take of a norm: its vectors, `[C]` each, and its constants.
struct Norm<'a> {
    mean: CudaView<'a, f32>,
    variance: CudaView<'a, f32>,
    weight: CudaView<'a, f32>,
    bias: CudaView<'a, f32>,
    epsilon: f64,
    activation: Activation,
}

impl<'a> Norm<'a> {
    /// Of mean, variance, weight and bias.
    fn of(vectors: [Placed<'a>; 4], epsilon: f64, activation: Activation) -> Result<Self> {
        let vectors = vectors.map(|(storage, layout)| view::<f32>(storage, layout, NAME));
        let [mean, variance, weight, bias] = vectors;
        let (mean, variance, weight, bias) = (mean?, variance?, weight?, bias?);
        Ok(Self { mean, variance, weight, bias, epsilon, activation })
    }

    /// A launch with these vectors behind its first inputs.
    fn vectors<'b>(&'b self, launch: Launch<'b>) -> Launch<'b> {
        launch.input(&self.mean).input(&self.variance).input(&self.weight).input(&self.bias)
    }

    /// The same with shape and constants, which end all lists of arguments.
    fn constants<'b>(&self, launch: Launch<'b>, (rows, c): (usize, usize)) -> Result<Launch<'b>> {
        let launch = launch.count(rows)?.count(c)?.float(self.epsilon);
        launch.count(activation_number(self.activation))
    }
}

fn rows_and_channels(layout: &Layout) -> Result<(usize, usize)> {
    match layout.dims() {
        [.., c] if *c > 0 => Ok((layout.shape().elem_count() / c, *c)),
        dims => candle_core::bail!("{NAME}: input {dims:?}"),
    }
}

/// The output; leaves the statistics with the operation, and moves the running ones that it has.
pub(super) fn forward(
    op: &BatchNorm,
    x: Placed<'_>,
    weight: Placed<'_>,
    bias: Placed<'_>,
) -> Result<(CudaStorage, Shape)> {
    let (rows, c) = rows_and_channels(x.1)?;
    if rows < 2 {
        return too_few_rows();
    }
    let device = &x.0.device;
    let (pieces, partial) = moments(x)?;
    let (mean, variance) = match &op.running {
        None => combined(device, &partial, None, [pieces, rows, c])?,
        Some(running) => {
            with_storages([&running.mean, &running.variance], NAME, |[mean, variance]| {
                let places = (view(mean.0, mean.1, NAME)?, view(variance.0, variance.1, NAME)?);
                let moved = Some((&places.0, &places.1, running.momentum));
                combined(device, &partial, moved, [pieces, rows, c])
            })?
        }
    };
    let [mean, variance] = [mean, variance].map(|vector| tensor_of(vector, device, c));
    let y = with_storages([&mean, &variance], NAME, |[mean, variance]| {
        let norm = Norm::of([mean, variance, weight, bias], op.epsilon, op.activation)?;
        match &op.residual {
            Some(residual) => {
                with_storages([residual], NAME, |[residual]| normalised(x, &norm, Some(residual)))
            }
            None => normalised(x, &norm, None),
        }
    })?;
    // A second pass through one operation would be on the same batch.
    _ = op.seen.set(Seen::Device { mean, variance });
    Ok((y, x.1.shape().clone()))
}

/// The output with given statistics.
pub(super) fn given(
    x: &Tensor,
    [mean, variance, weight, bias]: [&Tensor; 4],
    epsilon: f64,
    activation: Activation,
) -> Result<Tensor> {
    let tensors = [x, mean, variance, weight, bias];
    with_storages(tensors, NAME, |[xs, mean, variance, weight, bias]| {
        let norm = Norm::of([mean, variance, weight, bias], epsilon, activation)?;
        Ok(tensor(normalised(xs, &norm, None)?, x.shape()))
    })
}

fn normalised(
    (x, layout): Placed<'_>,
    norm: &Norm<'_>,
    residual: Option<Placed<'_>>,
) -> Result<CudaStorage> {
    let (rows, c) = rows_and_channels(layout)?;
    let device = &x.device;
    dispatch_cuda!(dtype_of(x), NAME, T => {
        let (x, mut y) = (view::<T>(x, layout, NAME)?, room::<T>(device, rows * c)?);
        let residual = match residual {
            Some((residual, layout)) => Some(view::<T>(residual, layout, NAME)?),
            None => None,
        };
        let launch = Launch::new::<T>(device, &KERNELS, "batch_norm_forward").input(&x);
        let launch = norm.vectors(launch);
        let launch = match &residual {
            Some(residual) => launch.input(residual),
            None => launch.none(),
        };
        let launch = norm.constants(launch.output(&mut y), (rows, c))?;
        // SAFETY: the arguments of batch_norm_forward, whose blocks share out all rows.
        unsafe { launch.over(Grid::of_columns::<T>(c, passes::<T>(rows, c)))? };
        Ok(CudaStorage::wrap_cuda_slice(y, device.clone()))
    })
}

/// How many pieces there are, and their moments.
fn moments((x, layout): Placed<'_>) -> Result<(usize, CudaSlice<f32>)> {
    let (rows, c) = rows_and_channels(layout)?;
    let device = &x.device;
    dispatch_cuda!(dtype_of(x), NAME, T => {
        let pieces = sums::<T>(rows, c);
        let mut partial = room::<f32>(device, 2 * pieces * c)?;
        let x = view::<T>(x, layout, NAME)?;
        let launch = Launch::new::<T>(device, &KERNELS, "batch_norm_moments");
        let launch = launch.input(&x).output(&mut partial).count(rows)?.count(c)?;
        // SAFETY: the arguments of batch_norm_moments, and a column of blocks for every piece.
        unsafe { launch.over(Grid::of_columns::<T>(c, pieces))? };
        Ok((pieces, partial))
    })
}

/// Mean and biased variance from the moments of the pieces. The running ones, given with the batch's share, are moved.
fn combined(
    device: &CudaDevice,
    partial: &CudaSlice<f32>,
    running: Option<(&CudaView<'_, f32>, &CudaView<'_, f32>, f64)>,
    [pieces, rows, c]: [usize; 3],
) -> Result<(CudaSlice<f32>, CudaSlice<f32>)> {
    let (mut mean, mut variance) = (room::<f32>(device, c)?, room::<f32>(device, c)?);
    let launch = Launch::new::<f32>(device, &KERNELS, "batch_norm_statistics");
    let launch = launch.input(partial).output(&mut mean).output(&mut variance);
    let (launch, momentum) = match running {
        Some((mean, variance, momentum)) => (launch.input(mean).input(variance), momentum),
        None => (launch.none().none(), 0.0),
    };
    let launch = launch.count(pieces)?.count(rows)?.count(c)?;
    let launch = launch.float(1.0 - momentum).float(momentum);
    // SAFETY: the arguments of batch_norm_statistics, and blocks for all channels. The running statistics, which it writes,
    // are read by nothing but what comes after in the stream.
    unsafe { launch.over(Grid::of_single(c))? };
    Ok((mean, variance))
}

/// The gradients of `x`, weight and bias.
pub(super) fn backward(
    [x, weight, bias, dy]: [&Tensor; 4],
    (mean, variance): (&Tensor, &Tensor),
    epsilon: f64,
    activation: Activation,
) -> Result<(Tensor, Tensor, Tensor)> {
    let tensors = [x, dy, mean, variance, weight, bias];
    with_storages(tensors, NAME, |[xs, dys, m, v, w, b]| {
        let norm = Norm::of([m, v, w, b], epsilon, activation)?;
        let device = &xs.0.device;
        dispatch_cuda!(dtype_of(xs.0), NAME, T => {
            let shape = rows_and_channels(xs.1)?;
            let (xs, dys) = (view::<T>(xs.0, xs.1, NAME)?, view::<T>(dys.0, dys.1, NAME)?);
            let (dx, dweight, dbias) = gradients(device, &norm, (&xs, &dys), shape)?;
            let [dw, db] = [dweight, dbias].map(|v| tensor_of(v, device, weight.shape()));
            Ok((tensor_of(dx, device, x.shape()), dw, db))
        })
    })
}

type Gradients<T> = (CudaSlice<T>, CudaSlice<f32>, CudaSlice<f32>);

fn gradients<T: CudaElement>(
    device: &CudaDevice,
    norm: &Norm<'_>,
    (x, dy): (&CudaView<'_, T>, &CudaView<'_, T>),
    (rows, c): (usize, usize),
) -> Result<Gradients<T>> {
    let with = |name| norm.vectors(Launch::new::<T>(device, &KERNELS, name).input(x).input(dy));
    let parts = sums::<T>(rows, c);
    let mut partial = room::<f32>(device, 2 * parts * c)?;
    let launch = norm.constants(with("batch_norm_sums").output(&mut partial), (rows, c))?;
    // SAFETY: the arguments of batch_norm_sums, and a column of blocks for every piece.
    unsafe { launch.over(Grid::of_columns::<T>(c, parts))? };
    let (mut dweight, mut dbias) = (room::<f32>(device, c)?, room::<f32>(device, c)?);
    let launch = Launch::new::<f32>(device, &KERNELS, "batch_norm_parameters");
    let launch = launch.input(&partial).input(&norm.variance);
    let launch = launch.output(&mut dweight).output(&mut dbias);
    let launch = launch.count(parts)?.count(c)?.float(norm.epsilon);
    // SAFETY: the arguments of batch_norm_parameters, and blocks for all channels.
    unsafe { launch.over(Grid::of_single(c))? };
    let mut dx = room::<T>(device, rows * c)?;
    let launch = with("batch_norm_backward").input(&dweight).input(&dbias).output(&mut dx);
    let launch = norm.constants(launch, (rows, c))?;
    // SAFETY: the arguments of batch_norm_backward, whose blocks share out all rows.
    unsafe { launch.over(Grid::of_columns::<T>(c, passes::<T>(rows, c)))? };
    Ok((dx, dweight, dbias))
}
