//! Gradient accumulation, stochastic depth and distillation against PyTorch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "../../nn/tests/golden/mod.rs"]
mod golden;
#[path = "../../nn/tests/levels/mod.rs"]
mod levels;

use candle_core::{DType, Device, Tensor, Var};
use cream_arch::{Path, Space, Widths};
use cream_nn::layers::{DropPath, Pass, Statistics};
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, ToBeLoaded};
use cream_train::accumulation::Accumulation;
use cream_train::distillation::distillation;
use cream_train::drop_path::rates;
use cream_train::optimizer::{Gradient, Kind, Optimizer, Rule, gradients};
use golden::Golden;
use std::collections::BTreeMap;

const CLASSES: usize = 5;
const PRECISIONS: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 1e-3)];

const RULE: Rule =
    Rule { kind: Kind::RmspropTf, momentum: 0.9, alpha: 0.9, epsilon: 1e-3, weight_decay: 1e-2 };

fn golden() -> Golden {
    Golden::read("training_options.safetensors")
}

fn network(golden: &Golden, path: &str, group: &str, dtype: DType) -> ChildNet {
    let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path: Path = path.parse().unwrap();
    let architecture = space.architecture(&path, 64, CLASSES).unwrap();
    let weights = golden.group(group);
    let mut init = ToBeLoaded::from_tensors(&weights);
    let net = ChildNet::new(&architecture, &mut init, dtype, &Device::Cpu).unwrap();
    net.weights().load(&weights, |_| false).unwrap();
    net
}

fn student(golden: &Golden, dtype: DType) -> ChildNet {
    network(golden, "[[0,1],[3],[0,2],[4],[2,5]]", "before/", dtype)
}

fn number(tensor: &Tensor) -> f64 {
    tensor.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

fn all_gradients<'a>(net: &'a ChildNet, pass: &Pass, loss: &Tensor) -> Vec<Gradient<'a>> {
    let parameters = net.weights().parameters.iter().map(|(n, v)| (n.as_str(), v));
    gradients(&mut pass.backward(loss).unwrap(), parameters).unwrap()
}

/// Mean loss of a step over the batch in parts of `size` images, after which the weights are moved.
fn accumulated_step(
    net: &ChildNet,
    optimizer: &mut Optimizer,
    (images, target): (&Tensor, &Tensor),
    size: usize,
    pass: impl Fn() -> Pass,
) -> f64 {
    let (mut accumulation, mut loss) = (Accumulation::default(), 0.0);
    let count = images.dim(0).unwrap() / size;
    for part in 0..count {
        let cut = |t: &Tensor| t.narrow(0, part * size, size).unwrap().contiguous().unwrap();
        let pass = pass();
        let logits = net.forward(&cut(images), &pass).unwrap();
        let part = cross_entropy(&logits, &cut(target)).unwrap();
        accumulation.add(&all_gradients(net, &pass, &part)).unwrap();
        loss += number(&part) / count as f64;
    }
    optimizer.step(&accumulation.mean(net.weights().parameters.iter()).unwrap(), 0.01).unwrap();
    loss
}

#[test]
fn accumulated_steps() {
    let golden = golden();
    for (dtype, tolerance) in PRECISIONS {
        let net = student(&golden, dtype);
        let images = golden.images("input", dtype);
        let target = golden.smoothed("target", CLASSES, 0.1, dtype);
        let mut optimizer = Optimizer::new(RULE);
        let expected: Vec<f64> = golden.get("accumulation/losses").to_vec1().unwrap();
        for expected in expected {
            let pass = || net.pass(Statistics::Update).with_gradients();
            let loss = accumulated_step(&net, &mut optimizer, (&images, &target), 2, pass);
            assert!((loss - expected).abs() <= expected.abs() * tolerance, "{loss} {expected}");
        }
        for (name, value) in net.weights().iter() {
            golden.check(&format!("accumulation/after/{name}"), value, tolerance);
        }
    }
}

/// Without batch norms a step is the same however its images are cut: two linear layers, in float64.
#[test]
fn parts_of_a_batch_are_the_whole() {
    let golden = golden();
    let numbers = |name: &str| golden.get(name).flatten_all().unwrap();
    let images = golden.get("input").reshape((8, 3 * 64 * 64)).unwrap();
    let images = images.narrow(1, 0, 40).unwrap().contiguous().unwrap();
    let target = golden.smoothed("target", CLASSES, 0.1, DType::F64);
    let start = numbers("before/conv_head.weight");
    let after = |size: usize| {
        let layer = |first, shape: (usize, usize)| {
            let values = start.narrow(0, first, shape.0 * shape.1).unwrap();
            Var::from_tensor(&values.reshape(shape).unwrap()).unwrap()
        };
        let parameters = BTreeMap::from([
            ("first".to_owned(), layer(0, (40, 12))),
            ("second".to_owned(), layer(480, (12, CLASSES))),
        ]);
        let mut optimizer = Optimizer::new(RULE);
        for _ in 0..3 {
            let mut accumulation = Accumulation::default();
            for first in (0..8).step_by(size) {
                let cut = |t: &Tensor| t.narrow(0, first, size).unwrap().contiguous().unwrap();
                let hidden = cut(&images).matmul(&parameters["first"]).unwrap().silu().unwrap();
                let logits = hidden.matmul(&parameters["second"]).unwrap();
                let loss = cross_entropy(&logits, &cut(&target)).unwrap();
                let pairs = parameters.iter().map(|(n, v)| (n.as_str(), v));
                accumulation
                    .add(&gradients(&mut loss.backward().unwrap(), pairs).unwrap())
                    .unwrap();
            }
            optimizer.step(&accumulation.mean(parameters.iter()).unwrap(), 0.01).unwrap();
        }
        parameters
    };
    let whole = after(8);
    for size in [4, 2, 1] {
        for (name, value) in after(size) {
            let difference = (value.as_tensor() - whole[&name].as_tensor()).unwrap().abs().unwrap();
            let difference = number(&difference.max_all().unwrap());
            assert!(difference < 1e-13, "{size}: {name} {difference:e}");
        }
    }
}

#[test]
fn stochastic_depth() {
    let golden = golden();
    let expected: Vec<f64> = golden.get("drop_path/rates").to_vec1().unwrap();
    for (ours, theirs) in rates(0.4, expected.len()).zip(&expected) {
        assert!((ours - theirs).abs() < 1e-15, "{ours} {theirs}");
    }
    let factors: Vec<Vec<f64>> = golden.get("drop_path/factors").to_vec2().unwrap();
    assert!(factors.iter().flatten().any(|&f| f == 0.0));
    for (dtype, tolerance) in PRECISIONS {
        for as_way in [|pass: Pass| pass, Pass::layer_by_layer, Pass::tensorwise] {
            let net = student(&golden, dtype);
            let target = golden.smoothed("target", CLASSES, 0.1, dtype);
            let drop_path = Some(DropPath::new(factors.clone()));
            let pass = net.pass(Statistics::Update).with_gradients().with_drop_path(drop_path);
            let pass = as_way(pass);
            let logits = net.forward(&golden.images("input", dtype), &pass).unwrap();
            golden.check("drop_path/logits", &logits, tolerance);
            let loss = cross_entropy(&logits, &target).unwrap();
            golden.check("drop_path/loss", &loss, tolerance);
            for Gradient { name, gradient, .. } in all_gradients(&net, &pass, &loss) {
                golden.check(&format!("drop_path/grad/{name}"), &gradient, tolerance);
            }
        }
    }
}

#[test]
fn a_teacher() {
    let golden = golden();
    for (dtype, tolerance) in PRECISIONS {
        let teacher = network(&golden, "[[3],[1,0],[5],[2],[4]]", "teacher/", dtype);
        let net = student(&golden, dtype);
        let images = golden.images("input", dtype);
        let target = golden.smoothed("target", CLASSES, 0.1, dtype);
        let known = teacher.forward(&images, &teacher.pass(Statistics::Running)).unwrap();
        golden.check("distillation/teacher_logits", &known, tolerance);
        let pass = net.pass(Statistics::Update).with_gradients();
        let logits = net.forward(&images, &pass).unwrap();
        let loss = distillation(&logits, &target, &known, (0.7, 3.0)).unwrap();
        golden.check("distillation/loss", &loss, tolerance);
        for Gradient { name, gradient, .. } in all_gradients(&net, &pass, &loss) {
            golden.check(&format!("distillation/grad/{name}"), &gradient, tolerance);
        }
    }
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
