//! Four full-batch steps with each optimizer, and the average of weights, against PyTorch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "../../nn/tests/golden/mod.rs"]
mod golden;
#[path = "../../nn/tests/levels/mod.rs"]
mod levels;

use candle_core::{DType, Device};
use cream_arch::{Path, Space, Widths};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, ToBeLoaded};
use cream_train::ema::Ema;
use cream_train::optimizer::{Kind, Optimizer, Rule, gradients};
use cream_train::targets::smoothed;
use golden::Golden;

fn check(recipe: &str, rule: Rule, rate: f64) {
    let golden = Golden::read("retrain_steps.safetensors");
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-3)] {
        let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
        let space = Space::published().with_widths(&widths).unwrap();
        let path = Path(vec![vec![1], vec![3], vec![0], vec![4], vec![2]]);
        let architecture = space.architecture(&path, 32, 5).unwrap();
        let weights = golden.group("before/");
        let mut init = ToBeLoaded::from_tensors(&weights);
        let net = ChildNet::new(&architecture, &mut init, dtype, &Device::Cpu).unwrap();
        net.weights().load(&weights, |_| false).unwrap();
        let images = golden.images("input", dtype);
        let target = smoothed(&golden.labels("target"), 5, 0.1, dtype, &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::new(rule);
        let mut ema = Ema::new(net.weights(), 0.9, false).unwrap();
        let pass = net.pass(Statistics::Update).with_gradients();
        let expected: Vec<f64> = golden.get(&format!("{recipe}/losses")).to_vec1().unwrap();
        for expected in expected {
            let loss = cross_entropy(&net.forward(&images, &pass).unwrap(), &target).unwrap();
            let value = loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
            assert!((value - expected).abs() <= expected.abs() * tolerance, "{value} {expected}");
            let parameters = net.weights().parameters.iter().map(|(n, v)| (n.as_str(), v));
            let grads = gradients(&mut pass.backward(&loss).unwrap(), parameters).unwrap();
            optimizer.step(&grads, rate).unwrap();
            ema.update(net.weights()).unwrap();
        }
        for (name, value) in net.weights().iter() {
            golden.check(&format!("{recipe}/after/{name}"), value, tolerance);
            golden.check(&format!("{recipe}/ema/{name}"), &ema.tensors()[name], tolerance);
        }
        assert_eq!(golden.count(&format!("{recipe}/after/")), net.weights().iter().count());
    }
}

#[test]
fn sgd_with_nesterov_momentum() {
    let rule =
        Rule { kind: Kind::Sgd, momentum: 0.9, alpha: 0.0, epsilon: 0.0, weight_decay: 1e-2 };
    check("sgd_nesterov", rule, 0.05);
}

#[test]
fn rmsprop_in_the_form_of_tensorflow() {
    let rule = Rule {
        kind: Kind::RmspropTf,
        momentum: 0.9,
        alpha: 0.9,
        epsilon: 1e-3,
        weight_decay: 1e-2,
    };
    check("rmsprop_tf", rule, 0.01);
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
