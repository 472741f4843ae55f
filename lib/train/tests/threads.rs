//! The same bits at any number of threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use candle_core::{DType, Device, Tensor};
use cream_arch::{Path, Space, Widths};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{ChildNet, Init, Initialise};
use cream_train::optimizer::{Kind, Optimizer, Rule, gradients};
use std::collections::BTreeMap;

struct Keyed;

/// Numbers in [-1, 1), repeatable (a linear congruence, Knuth's MMIX constants).
fn numbers(seed: u64, n: usize) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n).map(move |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

impl Initialise for Keyed {
    fn values(&mut self, name: &str, init: Init, n: usize) -> candle_core::Result<Vec<f64>> {
        let seed = name.bytes().fold(7, |sum, b| sum * 31 % 1_000_003 + u64::from(b));
        Ok(match init {
            Init::Constant(v) => vec![v; n],
            Init::Normal(std) => numbers(seed, n).map(|v| 1.7 * std * v).collect(),
            Init::Uniform(bound) => numbers(seed, n).map(|v| bound * v).collect(),
        })
    }
}

/// The bytes of all weights after so many steps on 12 images.
fn weights_after(steps: u64, size: usize) -> BTreeMap<String, Vec<u32>> {
    let widths = Widths { stem: 16, stages: vec![24, 24, 40, 40, 48], last: 64, features: 64 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path = Path(vec![vec![2], vec![3], vec![0], vec![4], vec![1]]);
    let architecture = space.architecture(&path, size, 10).unwrap();
    let net = ChildNet::new(&architecture, &mut Keyed, DType::F32, &Device::Cpu).unwrap();
    let rule =
        Rule { kind: Kind::Sgd, momentum: 0.9, alpha: 0.9, epsilon: 1e-3, weight_decay: 1e-4 };
    let mut optimizer = Optimizer::new(rule);
    let target = (Tensor::ones((12, 10), DType::F32, &Device::Cpu).unwrap() * 0.1).unwrap();
    for step in 0..steps {
        let images: Vec<f32> = numbers(step, 12 * size * size * 3).map(|v| v as f32).collect();
        let images = Tensor::from_vec(images, (12, size, size, 3), &Device::Cpu).unwrap();
        let pass = net.pass(Statistics::Update).with_gradients();
        let loss = cross_entropy(&net.forward(&images, &pass).unwrap(), &target).unwrap();
        let parameters = net.weights().parameters.iter().map(|(n, v)| (n.as_str(), v));
        let grads = gradients(&mut pass.backward(&loss).unwrap(), parameters).unwrap();
        optimizer.step(&grads, 0.05).unwrap();
    }
    let bits = |t: &Tensor| {
        let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    net.weights().iter().map(|(name, var)| (name.clone(), bits(var))).collect()
}

#[test]
fn a_hundred_steps_give_the_same_weights() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| weights_after(100, 32))
    };
    let one = run(1);
    assert!(one.values().flatten().all(|&bits| f32::from_bits(bits).is_finite()));
    for threads in [2, 3] {
        assert!(run(threads) == one, "{threads} threads");
    }
}
