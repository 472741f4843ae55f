//! The operators and the shapes that they are timed at: those of the published network 287 at 224 pixels.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{Device, Result, Tensor, Var};
use cream_arch::{Activation, Gate, Padding};
use cream_nn::ops::batch_norm::{batch_norm, normalise};
use cream_nn::ops::bias_activation::bias_activation;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::ops::depthwise::depthwise;
use cream_nn::ops::finite::is_finite;
use cream_nn::ops::gate::gate;
use cream_nn::ops::patches::patches;
use cream_nn::ops::pool::global_average;
use cream_nn::ops::{Window, update};

use super::{Case, Run, Work};

const EPSILON: f64 = 1e-5;

/// Side, channels and stride of the maps that depthwise convolutions read; the network has kernels 3 and 5 there.
const DEPTHWISE: [(usize, usize, usize); 8] = [
    (112, 16, 1),
    (112, 64, 2),
    (56, 144, 2),
    (28, 240, 1),
    (28, 240, 2),
    (14, 576, 1),
    (14, 576, 2),
    (7, 1152, 1),
];
/// Side and channels of maps that norms, pools and gates read.
const MAPS: [(usize, usize); 4] = [(112, 64), (56, 144), (28, 240), (7, 1152)];
/// Elements of the tensors that updates are timed on, about the parameters of a network.
const PARAMETERS: usize = 8 << 20;

/// Every case, for `batch` images.
pub(super) fn all(batch: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (side, channels, stride) in DEPTHWISE {
        for kernel in [3, 5, 7] {
            cases.extend(convolution([batch, side, side, channels], kernel, stride));
        }
    }
    for (side, channels) in MAPS {
        cases.extend(on_map([batch, side, side, channels]));
    }
    cases.extend(stem(batch));
    cases.extend(head(batch));
    cases.extend(updates());
    cases
}

fn convolution(map: [usize; 4], kernel: usize, stride: usize) -> Vec<Case> {
    let [n, side, _, channels] = map;
    let out = side.div_ceil(stride);
    let (x, y) = (map.iter().product::<usize>(), n * out * out * channels);
    let products = 2 * kernel * kernel * y;
    both(
        format!("depthwise {kernel}x{kernel} stride {stride} on {}", shape(&map)),
        [map.to_vec(), vec![channels, 1, kernel, kernel]],
        // Both gradients take as many products as the output did.
        [Work::bound(x + y, products), Work::bound(2 * x + y, 2 * products)],
        move |t| depthwise(&t[0], &t[1], Window::new(kernel, stride, Padding::Half, side, side)?),
    )
}

fn on_map(map: [usize; 4]) -> Vec<Case> {
    let [n, _, _, channels] = map;
    let (x, on) = (map.iter().product::<usize>(), shape(&map));
    let vector = || vec![channels];
    let mut cases = both(
        format!("batch norm and swish on {on}"),
        [map.to_vec(), vector(), vector()],
        [Work::of(2 * x), Work::of(3 * x)],
        |t| Ok(batch_norm(&t[0], &t[1], &t[2], EPSILON, Activation::Swish)?.0),
    );
    let inputs = [map.to_vec(), vector(), vector(), vector(), vector()];
    cases.push(one(format!("normalise and swish on {on}"), inputs, Work::of(2 * x), |t| {
        normalise(&t[0], &t[1], &t[2], &t[3], &t[4], EPSILON, Activation::Swish).map(drop)
    }));
    cases.extend(both(
        format!("gate on {on}"),
        [map.to_vec(), vec![n, channels]],
        [Work::of(2 * x), Work::of(3 * x)],
        |t| gate(&t[0], &t[1], Gate::HardSigmoid),
    ));
    // The gradient is written without reading the map.
    let work = [Work::of(x), Work::of(x)];
    cases.extend(both(format!("pool on {on}"), [map.to_vec()], work, |t| global_average(&t[0])));
    cases
}

fn stem(batch: usize) -> Vec<Case> {
    let image = [batch, 224, 224, 3];
    let (x, rows) = (image.iter().product::<usize>(), batch * 112 * 112 * 27);
    both(
        format!("patches 3x3 stride 2 on {}", shape(&image)),
        [image.to_vec()],
        [Work::of(x + rows); 2],
        |t| patches(&t[0], Window::new(3, 2, Padding::Half, 224, 224)?),
    )
}

fn head(batch: usize) -> Vec<Case> {
    let features = [batch, 1280];
    let (x, logits) = (batch * 1280, batch * 1000);
    let mut cases = both(
        format!("bias and swish on {}", shape(&features)),
        [features.to_vec(), vec![1280]],
        [Work::of(2 * x), Work::of(3 * x)],
        |t| bias_activation(&t[0], &t[1], Activation::Swish),
    );
    cases.extend(both(
        format!("cross-entropy on {}", shape(&[batch, 1000])),
        [vec![batch, 1000], vec![batch, 1000]],
        [Work::of(2 * logits), Work::of(3 * logits)],
        |t| cross_entropy(&t[0], &t[1]),
    ));
    cases
}

/// The update of all tensors but the last, by the last.
fn item<const N: usize>(tensors: &[Tensor], own: f64) -> update::Item<'_, N> {
    let targets = std::array::from_fn(|n| &tensors[n]);
    update::Item { targets, source: &tensors[N], own }
}

/// Updates in place of all tensors but the last. Constants are such that nothing grows.
fn updates() -> Vec<Case> {
    let update = |name: &str, tensors: usize, op: fn(&[Tensor]) -> Result<()>| {
        let inputs = vec![vec![PARAMETERS]; tensors];
        one(format!("{name} of {PARAMETERS}"), inputs, Work::of((2 * tensors - 1) * PARAMETERS), op)
    };
    let mut cases = vec![
        update("sgd", 3, |t| {
            let step = update::SgdStep { rate: 0.0, momentum: 0.9, decay: 1e-4 };
            update::sgd_each(&[item(t, 1e-4)], step)
        }),
        update("rmsprop", 4, |t| {
            let (rate, momentum, alpha, epsilon, decay) = (0.0, 0.9, 0.9, 1e-3, 1e-5);
            let step = update::RmspropStep { rate, momentum, alpha, epsilon, decay };
            update::rmsprop_each(&[item(t, decay)], step)
        }),
        update("adamw", 4, |t| {
            let (beta1, beta2, rate, correction) = (0.9, 0.999, 0.0, 1.0);
            let step =
                update::AdamWStep { beta1, beta2, rate, correction, epsilon: 1e-8, keep: 1.0 };
            update::adamw_each(&[item(t, 1.0)], step)
        }),
        update("average", 2, |t| update::average_each(&[item(t, 0.0)], 0.999)),
    ];
    let inputs = [vec![PARAMETERS]];
    cases.push(one(format!("is finite of {PARAMETERS}"), inputs, Work::of(PARAMETERS), |t| {
        black_box(is_finite(&t[0])).map(drop)
    }));
    cases
}

impl Work {
    /// So many elements read and written.
    fn of(elements: usize) -> Self {
        Self { elements, flops: None }
    }

    /// Such work, with arithmetic worth stating.
    fn bound(elements: usize, flops: usize) -> Self {
        Self { elements, flops: Some(flops) }
    }
}

/// A case of an operator on inputs of these shapes, timed as a whole.
fn one(
    name: String,
    inputs: impl Into<Vec<Vec<usize>>>,
    work: Work,
    op: impl Fn(&[Tensor]) -> Result<()> + Copy + 'static,
) -> Case {
    let inputs = inputs.into();
    let prepare = move || {
        let tensors = inputs.iter().map(|dims| made_up(dims)).collect::<Result<Vec<_>>>()?;
        Ok(Box::new(move || timed(|| op(&tensors))) as Run)
    };
    Case { name, work, prepare: Box::new(prepare) }
}

/// The cases of an operator's forward and backward pass on inputs of these shapes.
fn both(
    name: String,
    inputs: impl Into<Vec<Vec<usize>>>,
    [forward, backward]: [Work; 2],
    op: impl Fn(&[Tensor]) -> Result<Tensor> + Copy + 'static,
) -> Vec<Case> {
    let inputs = inputs.into();
    let first = one(format!("{name}, forward"), inputs.clone(), forward, move |t| {
        op(t).map(|y| drop(black_box(y)))
    });
    let prepare = move || {
        let var = |dims: &Vec<usize>| Ok(Var::from_tensor(&made_up(dims)?)?.into_inner());
        let tensors = inputs.iter().map(var).collect::<Result<Vec<_>>>()?;
        let run = move || {
            let y = op(&tensors)?;
            timed(|| y.backward().map(|gradients| drop(black_box(gradients))))
        };
        Ok(Box::new(run) as Run)
    };
    let name = format!("{name}, backward");
    vec![first, Case { name, work: backward, prepare: Box::new(prepare) }]
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Numbers above 0 and up to 1, which may stand for variances too.
fn made_up(dims: &[usize]) -> Result<Tensor> {
    let values = (0..dims.iter().product()).map(|i: usize| (i * 7919 % 1000 + 1) as f32 / 1e3);
    Tensor::from_vec(values.collect(), dims, &Device::Cpu)
}

fn shape(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    /// Shapes and operators fit each other, which only running them tells.
    #[test]
    fn every_case_runs() {
        for case in super::all(1) {
            let run = (case.prepare)().unwrap();
            run().unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
    }
}
