//! The child network against PyTorch: logits in both modes, loss, every gradient, running statistics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod golden;
mod levels;

use candle_core::{DType, Device};
use cream_arch::{Path, Space, Widths};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, ToBeLoaded};
use golden::Golden;

fn narrow() -> Space {
    let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
    Space::published().with_widths(&widths).unwrap()
}

fn net(golden: &Golden, dtype: DType) -> ChildNet {
    let path = Path(vec![vec![0], vec![3, 1], vec![4], vec![2, 5], vec![1]]);
    let architecture = narrow().architecture(&path, 64, 10).unwrap();
    let weights = golden.group("before/");
    let mut init = ToBeLoaded::from_tensors(&weights);
    let net = ChildNet::new(&architecture, &mut init, dtype, &Device::Cpu).unwrap();
    net.weights().load(&weights, |_| false).unwrap();
    net
}

/// Both dtypes with the tolerance that one pass is held to.
const CASES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 1e-4)];

#[test]
fn inference_agrees() {
    let golden = Golden::read("childnet.safetensors");
    for (dtype, tolerance) in CASES {
        let net = net(&golden, dtype);
        let logits = net.forward(&golden.images("input", dtype), &net.pass(Statistics::Running));
        golden.check("logits_eval", &logits.unwrap(), tolerance);
    }
}

#[test]
fn a_training_pass_agrees() {
    let golden = Golden::read("childnet.safetensors");
    for (dtype, tolerance) in CASES {
        let net = net(&golden, dtype);
        let pass = net.pass(Statistics::Update).with_gradients();
        let logits = net.forward(&golden.images("input", dtype), &pass).unwrap();
        golden.check("logits_train", &logits, tolerance);
        let target = golden.smoothed("target", 10, 0.1, dtype);
        let loss = cross_entropy(&logits, &target).unwrap();
        golden.check("loss", &loss, tolerance);
        let grads = pass.backward(&loss).unwrap();
        for (name, parameter) in &net.weights().parameters {
            golden.check(&format!("grad/{name}"), grads.get(parameter).unwrap(), tolerance);
        }
        for (name, buffer) in &net.weights().buffers {
            golden.check(&format!("after_stats/{name}"), buffer, tolerance);
        }
        assert_eq!(golden.count("grad/"), net.weights().parameters.len());
        assert_eq!(golden.count("after_stats/"), net.weights().buffers.len());
    }
}

#[test]
fn weights_that_do_not_fit_are_listed() {
    let golden = Golden::read("childnet.safetensors");
    let mut tensors = golden.group("before/");
    let stem = tensors.remove("conv_stem.weight").unwrap();
    tensors.insert("foreign.weight".to_owned(), stem.clone());
    tensors.insert("bn1.weight".to_owned(), stem);
    let error =
        net(&golden, DType::F32).weights().load(&tensors, |_| false).unwrap_err().to_string();
    for part in
        ["3 differences", "conv_stem.weight is missing", "foreign.weight", "bn1.weight has shape"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_network_larger_than_its_weights_is_refused_before_it_is_built() {
    let tensors = Golden::read("childnet.safetensors").group("before/");
    let path = Path(vec![vec![0], vec![3, 1], vec![4], vec![2, 5], vec![1]]);
    let architecture = narrow().architecture(&path, 64, 1_000_000).unwrap();
    let mut init = ToBeLoaded::from_tensors(&tensors);
    let error = ChildNet::new(&architecture, &mut init, DType::F32, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("classifier.weight has 48000000 elements"), "{error}");
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
