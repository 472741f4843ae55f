//! The trunk as one operation against the same network layer by layer, in float64: logits in both modes, every
//! gradient, running statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod levels;

use candle_core::{DType, Device, Result, Tensor};
use cream_arch::{Activation, Architecture, Gate, Padding, Path, Space, Widths};
use cream_nn::layers::{DropPath, Pass, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, Init, Initialise};

/// Repeatable numbers for weights and images.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

impl Initialise for Numbers {
    fn values(&mut self, _: &str, init: Init, n: usize) -> Result<Vec<f64>> {
        let (middle, width) = match init {
            // Norms' scales and shifts differ from channel to channel.
            Init::Constant(v) => (v, 0.3),
            Init::Normal(std) => (0.0, 1.7 * std),
            Init::Uniform(bound) => (0.0, bound),
        };
        Ok((0..n).map(|_| middle + width * self.next()).collect())
    }
}

const SIZE: usize = 49;

fn network(change: impl Fn(&mut Architecture)) -> Architecture {
    // Widths that fill vectors of every level and leave some over.
    let widths = Widths { stem: 12, stages: vec![8, 12, 20, 20, 32], last: 41, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path = Path(vec![vec![0], vec![3, 1], vec![4, 5], vec![2, 5], vec![1]]);
    let mut architecture = space.architecture(&path, SIZE, 10).unwrap();
    change(&mut architecture);
    architecture
}

fn assert_close(a: &Tensor, b: &Tensor, what: &str) {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-3_f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(&b).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / scale;
    assert!(error < 1e-10, "{what}: {error:e}");
}

fn check(architecture: &Architecture) {
    check_with(architecture, None);
}

fn check_with(architecture: &Architecture, drop_path: Option<&DropPath>) {
    let build = || {
        let mut numbers = Numbers(1);
        let net = ChildNet::new(architecture, &mut numbers, DType::F64, &Device::Cpu).unwrap();
        for (name, buffer) in &net.weights().buffers {
            let n = buffer.elem_count();
            // Running variances stay positive.
            let start = if name.ends_with("var") { 1.5 } else { 0.0 };
            let values: Vec<f64> = (0..n).map(|_| start + 0.4 * numbers.next()).collect();
            buffer.set(&Tensor::from_vec(values, n, &Device::Cpu).unwrap()).unwrap();
        }
        net
    };
    let mut numbers = Numbers(7);
    let images: Vec<f64> = (0..3 * SIZE * SIZE * 3).map(|_| numbers.next()).collect();
    let images = Tensor::from_vec(images, (3, SIZE, SIZE, 3), &Device::Cpu).unwrap();
    let target = Tensor::ones((3, 10), DType::F64, &Device::Cpu).unwrap();
    let target = (target * 0.1).unwrap();
    let run = |as_layers: fn(Pass) -> Pass| {
        let net = build();
        let as_layers = |pass: Pass| as_layers(pass.with_drop_path(drop_path.cloned()));
        let inferred = net.forward(&images, &as_layers(net.pass(Statistics::Running))).unwrap();
        let measured = net.forward(&images, &as_layers(net.pass(Statistics::Batch))).unwrap();
        let pass = as_layers(net.pass(Statistics::Update).with_gradients());
        let logits = net.forward(&images, &pass).unwrap();
        let grads = pass.backward(&cross_entropy(&logits, &target).unwrap()).unwrap();
        (net, inferred, measured, logits, grads)
    };
    let (net, inferred, measured, logits, grads) = run(|pass| pass);
    let (plain, plain_inferred, plain_measured, plain_logits, plain_grads) =
        run(Pass::layer_by_layer);
    assert_close(&inferred, &plain_inferred, "inference");
    assert_close(&measured, &plain_measured, "with the batch's statistics");
    assert_close(&logits, &plain_logits, "training");
    for (name, parameter) in &net.weights().parameters {
        let (ours, exact) =
            (grads.get(parameter), plain_grads.get(&plain.weights().parameters[name]));
        assert_close(ours.unwrap(), exact.unwrap(), name);
    }
    for (name, buffer) in &net.weights().buffers {
        assert_close(buffer, &plain.weights().buffers[name], name);
    }
}

#[test]
fn the_published_blocks() {
    check(&network(|_| {}));
}

#[test]
fn every_activation_gate_and_padding() {
    for activation in [Activation::None, Activation::Relu, Activation::Relu6, Activation::HSwish] {
        check(&network(|architecture| {
            architecture.padding = Padding::Same;
            for block in architecture.stages.iter_mut().flatten() {
                block.activation = activation;
                if let Some(se) = &mut block.squeeze_excite {
                    se.gate = Gate::Sigmoid;
                }
            }
        }));
    }
}

#[test]
fn without_squeeze_excite_and_with_other_kernels() {
    for (kernel, stride) in [(1, 2), (3, 3), (9, 1), (7, 2)] {
        check(&network(|architecture| {
            for block in architecture.stages.iter_mut().flatten() {
                block.squeeze_excite = None;
            }
            let block = &mut architecture.stages[1][0];
            (block.kernel, block.stride) = (kernel, stride);
        }));
    }
}

/// Every block drops one image, keeps one as it is and scales one up; inference takes no notice.
#[test]
fn stochastic_depth() {
    let factors = |block: usize| (0..3).map(|i| [0.0, 1.0, 1.7][(block + i) % 3]).collect();
    check_with(&network(|_| {}), Some(&DropPath::new((0..12).map(factors).collect())));
}

#[test]
fn factors_for_other_images_are_refused() {
    let net = ChildNet::new(&network(|_| {}), &mut Numbers(1), DType::F32, &Device::Cpu).unwrap();
    let images = Tensor::ones((2, SIZE, SIZE, 3), DType::F32, &Device::Cpu).unwrap();
    for as_layers in [|pass: Pass| pass, Pass::layer_by_layer] {
        let pass =
            net.pass(Statistics::Batch).with_drop_path(Some(DropPath::new(vec![vec![1.0]; 9])));
        let error = net.forward(&images, &as_layers(pass)).unwrap_err().to_string();
        assert!(error.contains("1 factors for 2 images in block"), "{error}");
    }
}

/// A dense convolution of several taps that is not the first layer.
#[test]
fn a_dense_convolution_inside() {
    check(&network(|architecture| {
        let last = architecture.stages.last_mut().and_then(|stage| stage.last_mut()).unwrap();
        last.kernel = 3;
    }));
}

#[test]
fn a_pass_is_taken_back_once() {
    let net = ChildNet::new(&network(|_| {}), &mut Numbers(1), DType::F32, &Device::Cpu).unwrap();
    let images = Tensor::ones((2, SIZE, SIZE, 3), DType::F32, &Device::Cpu).unwrap();
    let target = Tensor::ones((2, 10), DType::F32, &Device::Cpu).unwrap();
    let pass = net.pass(Statistics::Batch).with_gradients();
    let loss = cross_entropy(&net.forward(&images, &pass).unwrap(), &target).unwrap();
    pass.backward(&loss).unwrap();
    let error = pass.backward(&loss).unwrap_err().to_string();
    assert!(error.contains("one backward pass for each forward pass"), "{error}");
    let error = net.pass(Statistics::Batch).backward(&loss).unwrap_err().to_string();
    assert!(error.contains("without gradients"), "{error}");
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
