//! Launchers of `kernel.cu`.

use super::{ImagePlan, Mixed, NAME, Rectangle, Treatment};
use crate::ops::cuda::{Kernels, Launch, dispatch_cuda, kernels, room, tensor_of, with_storages};
use crate::ops::element::contiguous;
use crate::ops::grid::Grid;
use crate::transfer::words_to_device;
use candle_core::{DType, Result, Tensor};

static KERNELS: Kernels = kernels!("images");

/// Pixels of a thread.
const PIXELS: usize = 4;

pub(super) fn normalise(pixels: &Tensor, plan: &ImagePlan<'_>, dtype: DType) -> Result<Tensor> {
    let (n, size, _, _) = pixels.dims4()?;
    with_storages([pixels], NAME, |[(storage, layout)]| {
        let device = &storage.device;
        let (start, end) = contiguous(layout, NAME)?;
        let bytes = storage.as_cuda_slice::<u8>()?.slice(start..end);
        let treatments: Vec<u32> = plan.treatments.iter().flat_map(words).collect();
        let some = !treatments.is_empty();
        let treatments = some.then(|| words_to_device(&treatments, device)).transpose()?;
        dispatch_cuda!(dtype, NAME, T => {
            let mut values = room::<T>(device, bytes.len())?;
            let launch = Launch::new::<T>(device, &KERNELS, "images_normalise").input(&bytes);
            let launch = match &treatments {
                Some(treatments) => launch.input(treatments),
                None => launch.none(),
            };
            let launch = launch.output(&mut values).count(n)?.count(size)?;
            let launch = launch.structure(colours(plan)).structure(mix(plan, size));
            let threads = (n * size * size).div_ceil(PIXELS);
            // SAFETY: the arguments of images_normalise, and a thread for every four pixels.
            unsafe { launch.over(Grid::of_threads(threads))? };
            Ok(tensor_of(values, device, pixels.shape()))
        })
    })
}

/// `Treatment` of kernel.cu.
fn words(treatment: &Treatment) -> [u32; 7] {
    let (rectangle, [first, second]) =
        treatment.erased.map_or_else(Default::default, |erased| (erased.rectangle, erased.key));
    let [y, x, height, width] = sides(rectangle);
    [u32::from(treatment.mirrored), y, x, height, width, first, second]
}

/// The plan has been checked: sides are inside an image.
fn sides(Rectangle { y, x, height, width }: Rectangle) -> [u32; 4] {
    [y, x, height, width].map(|side| side as u32)
}

/// `Colours` of kernel.cu.
fn colours(plan: &ImagePlan<'_>) -> impl IntoIterator<Item = u32> {
    let (mean, std) = (plan.mean, plan.std);
    let scale = std.map(|std| 1.0 / (255.0 * std));
    let shift = [0, 1, 2].map(|k| -mean[k] / std[k]);
    scale.into_iter().chain(shift).map(|number| (number as f32).to_bits())
}

/// `Mix` of kernel.cu.
fn mix(plan: &ImagePlan<'_>, size: usize) -> impl IntoIterator<Item = u32> {
    let whole = Rectangle { y: 0, x: 0, height: size, width: size };
    let (rectangle, share) = match plan.mixed {
        Some(Mixed::Blend { share }) => (whole, share),
        Some(Mixed::Exchange(rectangle)) => (rectangle, 0.0),
        None => (Rectangle::default(), 1.0),
    };
    sides(rectangle).into_iter().chain([share.to_bits()])
}
