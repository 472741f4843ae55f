//! The network as one operation, fused and tensor by tensor, against the same network layer by layer, in float64: logits
//! in all modes, every gradient, running statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod levels;

use candle_core::{DType, Device, Result, Tensor, Var};
use cream_arch::{Activation, Architecture, Gate, HeadPosition, Padding, Path, Space, Widths};
use cream_nn::layers::{DropPath, Pass, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, Init, Initialise, SuperNet, Weights};
use std::collections::BTreeMap;

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
const FEATURES: usize = 48;

fn space() -> Space {
    // Widths that fill vectors of every level and leave some over.
    let widths = Widths { stem: 12, stages: vec![8, 12, 20, 20, 32], last: 41, features: FEATURES };
    Space::published().with_widths(&widths).unwrap()
}

fn network(change: impl Fn(&mut Architecture)) -> Architecture {
    let space = space();
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

/// What a network gives on one way.
struct Given {
    outputs: Vec<(&'static str, Tensor)>,
    gradients: BTreeMap<String, Tensor>,
    running: BTreeMap<String, Tensor>,
}

fn images() -> Tensor {
    let mut numbers = Numbers(7);
    let images: Vec<f64> = (0..3 * SIZE * SIZE * 3).map(|_| numbers.next()).collect();
    Tensor::from_vec(images, (3, SIZE, SIZE, 3), &Device::Cpu).unwrap()
}

/// Running statistics that differ from channel to channel.
fn with_running_statistics(weights: &Weights) {
    let mut numbers = Numbers(3);
    for (name, buffer) in &weights.buffers {
        let n = buffer.elem_count();
        // Running variances stay positive.
        let start = if name.ends_with("var") { 1.5 } else { 0.0 };
        let values: Vec<f64> = (0..n).map(|_| start + 0.4 * numbers.next()).collect();
        buffer.set(&Tensor::from_vec(values, n, &Device::Cpu).unwrap()).unwrap();
    }
}

/// Runs a network in all modes; training comes last, as it moves the running statistics.
fn given(
    weights: &Weights,
    pass: impl Fn(Statistics) -> Pass,
    forward: impl Fn(&Pass) -> Tensor,
) -> Given {
    with_running_statistics(weights);
    let inferred = forward(&pass(Statistics::Running));
    let measured = forward(&pass(Statistics::Batch));
    let averaged = forward(&pass(Statistics::Average { seen: 2 }));
    let pass = pass(Statistics::Update).with_gradients();
    let logits = forward(&pass);
    let target = (Tensor::ones((3, 10), DType::F64, &Device::Cpu).unwrap() * 0.1).unwrap();
    let grads = pass.backward(&cross_entropy(&logits, &target).unwrap()).unwrap();
    let gradient = |(name, parameter): (&String, &Var)| {
        grads.get(parameter).map(|gradient| (name.clone(), gradient.clone()))
    };
    Given {
        outputs: vec![
            ("inference", inferred),
            ("with the batch's statistics", measured),
            ("recalibration", averaged),
            ("training", logits),
        ],
        gradients: weights.parameters.iter().filter_map(gradient).collect(),
        running: weights.buffers.iter().map(|(n, b)| (n.clone(), b.as_tensor().clone())).collect(),
    }
}

/// Holds the fast ways to the plain one; returns that one's.
fn compare(run: impl Fn(AsWay) -> Given) -> Given {
    let plain = run(Pass::layer_by_layer);
    for (way, as_way) in WAYS {
        let ours = run(as_way);
        for ((what, ours), (_, exact)) in ours.outputs.iter().zip(&plain.outputs) {
            assert_close(ours, exact, &format!("{way}, {what}"));
        }
        for (ours, exact) in [(&ours.gradients, &plain.gradients), (&ours.running, &plain.running)]
        {
            assert!(ours.keys().eq(exact.keys()), "{way}: other tensors");
            for (name, exact) in exact {
                assert_close(&ours[name], exact, &format!("{way}, {name}"));
            }
        }
    }
    plain
}

/// A change of a pass.
type AsWay = fn(Pass) -> Pass;

/// The ways that are held to the layers.
const WAYS: [(&str, AsWay); 2] = [("fused", |pass| pass), ("tensorwise", Pass::tensorwise)];

fn check(architecture: &Architecture) {
    check_with(architecture, &|pass| pass);
}

fn check_with(architecture: &Architecture, change: &dyn Fn(Pass) -> Pass) {
    let images = images();
    let plain = compare(|as_way| {
        let mut numbers = Numbers(1);
        let net = ChildNet::new(architecture, &mut numbers, DType::F64, &Device::Cpu).unwrap();
        let pass = |statistics| as_way(change(net.pass(statistics)));
        let given = given(net.weights(), pass, |pass| net.forward(&images, pass).unwrap());
        assert_eq!(given.gradients.len(), net.weights().parameters.len());
        given
    });
    assert!(!plain.running.is_empty());
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
    let drop_path = DropPath::new((0..12).map(factors).collect());
    check_with(&network(|_| {}), &|pass| pass.with_drop_path(Some(drop_path.clone())));
}

#[test]
fn factors_for_other_images_are_refused() {
    let net = ChildNet::new(&network(|_| {}), &mut Numbers(1), DType::F32, &Device::Cpu).unwrap();
    let images = Tensor::ones((2, SIZE, SIZE, 3), DType::F32, &Device::Cpu).unwrap();
    for as_way in
        [|pass: Pass| pass, Pass::layer_by_layer, |pass: Pass| pass.tensorwise().with_gradients()]
    {
        let pass =
            net.pass(Statistics::Batch).with_drop_path(Some(DropPath::new(vec![vec![1.0]; 9])));
        let error = net.forward(&images, &as_way(pass)).unwrap_err().to_string();
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
fn dropout() {
    let mut numbers = Numbers(5);
    let factors = (0..3 * FEATURES).map(|_| [0.0, 1.25][usize::from(numbers.next() > -0.6)]);
    let factors = Tensor::from_iter(factors, &Device::Cpu).unwrap().reshape((3, FEATURES)).unwrap();
    check_with(&network(|_| {}), &|pass| pass.with_dropout(Some(factors.clone())));
    check_with(&network(features_before_the_pool), &|pass| {
        pass.with_dropout(Some(factors.clone()))
    });
}

#[test]
fn features_on_either_side_of_the_pool() {
    check(&network(features_before_the_pool));
}

fn features_before_the_pool(architecture: &mut Architecture) {
    architecture.head.position = HeadPosition::BeforePool;
}

/// A path that leaves layers and choices out: what is not on it has no gradient.
#[test]
fn a_path_of_a_supernet() {
    let images = images();
    let path = Path(vec![vec![3], vec![1, 4], vec![5], vec![2], vec![0]]);
    let plain = compare(|as_way| {
        let (space, mut numbers) = (space(), Numbers(1));
        let depths = [1, 2, 2, 1, 1];
        let (dtype, device) = (DType::F64, Device::Cpu);
        let net = SuperNet::new(&space, &depths, 10, &mut numbers, dtype, &device).unwrap();
        let pass = |statistics| as_way(net.pass(statistics));
        let given = given(net.weights(), pass, |pass| net.forward(&images, &path, pass).unwrap());
        assert_eq!(given.gradients.len(), net.path_parameters(&path).unwrap().len());
        given
    });
    assert!(plain.gradients.keys().any(|name| name.starts_with("blocks.2.1.4.")));
    assert!(!plain.gradients.keys().any(|name| name.starts_with("blocks.2.1.3.")));
}

#[test]
fn a_pass_is_taken_back_once() {
    let net = ChildNet::new(&network(|_| {}), &mut Numbers(1), DType::F32, &Device::Cpu).unwrap();
    let images = Tensor::ones((2, SIZE, SIZE, 3), DType::F32, &Device::Cpu).unwrap();
    let target = Tensor::ones((2, 10), DType::F32, &Device::Cpu).unwrap();
    for (way, as_way) in WAYS {
        let pass = as_way(net.pass(Statistics::Batch)).with_gradients();
        let loss = cross_entropy(&net.forward(&images, &pass).unwrap(), &target).unwrap();
        pass.backward(&loss).unwrap();
        let error = pass.backward(&loss).unwrap_err().to_string();
        assert!(error.contains("one backward pass for each forward pass"), "{way}: {error}");
        let error = net.pass(Statistics::Batch).backward(&loss).unwrap_err().to_string();
        assert!(error.contains("without gradients"), "{way}: {error}");
        // Inference keeps nothing that could be taken back.
        let pass = as_way(net.pass(Statistics::Running)).with_gradients();
        let loss = cross_entropy(&net.forward(&images, &pass).unwrap(), &target).unwrap();
        let error = pass.backward(&loss).unwrap_err().to_string();
        assert!(error.contains("one backward pass for each forward pass"), "{way}: {error}");
    }
}

/// The logits and the parameter that ties them to a backward pass are all of the graph; without gradients there is none.
#[test]
fn a_network_is_one_node() {
    let net = ChildNet::new(&network(|_| {}), &mut Numbers(1), DType::F32, &Device::Cpu).unwrap();
    let images = Tensor::ones((2, SIZE, SIZE, 3), DType::F32, &Device::Cpu).unwrap();
    let nodes = |as_way: AsWay| {
        let pass = as_way(net.pass(Statistics::Batch));
        assert!(!net.forward(&images, &pass).unwrap().track_op());
        net.forward(&images, &pass.with_gradients()).unwrap().sorted_nodes().len()
    };
    for (way, as_way) in WAYS {
        assert_eq!(nodes(as_way), 2, "{way}");
    }
    assert!(nodes(Pass::layer_by_layer) > 100);
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
