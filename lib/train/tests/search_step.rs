//! One distilled step and one update of the matching network against PyTorch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "../../nn/tests/golden/mod.rs"]
mod golden;
#[path = "../../nn/tests/levels/mod.rs"]
mod levels;

use candle_core::{DType, Device, Tensor};
use cream_arch::{Path, Space, Widths};
use cream_nn::layers::Statistics;
use cream_nn::ops::cross_entropy::cross_entropy;
use cream_nn::{SuperNet, ToBeLoaded};
use cream_train::matching::{Choice, Matching, MatchingBatch, Probe};
use cream_train::optimizer::gradients;
use cream_train::targets::{distilled, smoothed, softmax};
use golden::Golden;

const CLASSES: usize = 7;
const SLICE: usize = 3;
const CASES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 1e-4)];

struct Step {
    golden: Golden,
    supernet: SuperNet,
    matching: Matching,
    probes: Vec<Probe>,
    student: Path,
    board: Vec<Path>,
    images: Tensor,
    hard: Tensor,
}

fn path(lists: &str) -> Path {
    lists.parse().unwrap()
}

fn step(dtype: DType) -> Step {
    let golden = Golden::read("search_step.safetensors");
    let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let cpu = Device::Cpu;
    let weights = golden.group("before/");
    let mut init = ToBeLoaded::from_tensors(&weights);
    let supernet =
        SuperNet::new(&space, &[1, 2, 1, 2, 1], CLASSES, &mut init, dtype, &cpu).unwrap();
    let matching = Matching::new(SLICE, CLASSES, &mut init, dtype, &cpu).unwrap();
    supernet.weights().load(&weights, |name| name.starts_with("meta_layer.")).unwrap();
    matching.weights().load(&weights, |name| !name.starts_with("meta_layer.")).unwrap();
    let images = golden.images("board/probe_images", dtype);
    let soft = golden.get("board/soft_labels").to_dtype(dtype).unwrap();
    let probe = |i: usize| Probe {
        images: images.narrow(0, i * SLICE, SLICE).unwrap(),
        soft_labels: soft.get(i).unwrap(),
    };
    Step {
        supernet,
        matching,
        probes: (0..3).map(probe).collect(),
        student: path("[[0],[3,1],[4],[2,5],[1]]"),
        board: [
            "[[2],[0,4],[1],[5,3],[0]]",
            "[[3],[3,3],[2],[0,1],[5]]",
            "[[1],[2,2],[5],[4,0],[3]]",
        ]
        .map(path)
        .to_vec(),
        images: golden.images("input", dtype),
        hard: smoothed(&golden.labels("target"), CLASSES, 0.1, dtype, &cpu).unwrap(),
        golden,
    }
}

fn scalar(v: f64, dtype: DType) -> Tensor {
    Tensor::new(v, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn choose(s: &Step, dtype: DType, tolerance: f64) -> Choice {
    let probes: Vec<&Probe> = s.probes.iter().collect();
    let choice = s.matching.choose(&s.supernet, &s.student, &probes).unwrap();
    let scores =
        Tensor::new(choice.scores.as_slice(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    s.golden.check("scores", &scores, tolerance);
    s.golden.check("rho", &scalar(choice.rho, dtype), tolerance);
    assert_eq!(s.golden.get("teacher_index").to_scalar::<i64>().unwrap(), choice.entry as i64);
    choice
}

#[test]
fn a_distilled_step_agrees() {
    for (dtype, tolerance) in CASES {
        let s = step(dtype);
        let choice = choose(&s, dtype, tolerance);
        let pass = s.supernet.pass(Statistics::Batch);
        let teacher = s.supernet.forward(&s.images, &s.board[choice.entry], &pass).unwrap();
        let soft = softmax(&teacher).unwrap();
        let pass = pass.with_gradients();
        let logits = s.supernet.forward(&s.images, &s.student, &pass).unwrap();
        s.golden.check("step/logits", &logits, tolerance);
        s.golden.check("step/hard_loss", &cross_entropy(&logits, &s.hard).unwrap(), tolerance);
        s.golden.check("step/kd_loss", &cross_entropy(&logits, &soft).unwrap(), tolerance);
        let loss = cross_entropy(&logits, &distilled(&soft, &s.hard, choice.rho).unwrap()).unwrap();
        s.golden.check("step/loss", &loss, tolerance);
        let parameters = s.supernet.path_parameters(&s.student).unwrap();
        let grads = gradients(&mut pass.backward(&loss).unwrap(), parameters).unwrap();
        assert_eq!(grads.len(), s.golden.count("step/grad/"));
        for g in &grads {
            s.golden.check(&format!("step/grad/{}", g.name), &g.gradient, tolerance);
        }
    }
}

#[test]
fn an_update_of_the_matching_network_agrees() {
    for (dtype, tolerance) in CASES {
        let s = step(dtype);
        let choice = choose(&s, dtype, tolerance);
        let before = s.supernet.weights().snapshot().unwrap();
        let batch = MatchingBatch {
            inner_images: s.images.narrow(0, 0, SLICE).unwrap(),
            outer_images: s.images.narrow(0, SLICE, SLICE).unwrap(),
            outer_targets: s.hard.narrow(0, SLICE, SLICE).unwrap(),
        };
        let teacher = &s.board[choice.entry];
        let g =
            s.matching.gradient(&s.supernet, &s.student, teacher, &choice, &batch, 0.05).unwrap();
        // Float32 cannot hold the rest to 1e-4: after a step on three images, whose last norms see three values
        // per channel, PyTorch's own float32 result moves by 1e-4 (loss) and 2.4 % (gradient) when the
        // input is perturbed in its last bit.
        let (loss, gradient) =
            if dtype == DType::F32 { (1e-3, 5e-2) } else { (tolerance, tolerance) };
        s.golden.check("meta/inner_loss", &scalar(g.inner_loss, dtype), tolerance);
        s.golden.check("meta/val_loss", &scalar(g.validation_loss, dtype), loss);
        s.golden.check("meta/grad_weight", &g.weight, gradient);
        s.golden.check("meta/grad_bias", &scalar(g.bias, dtype).reshape(1).unwrap(), gradient);
        for (name, value) in s.supernet.weights().tensors() {
            let difference = (value - &before[&name]).unwrap().abs().unwrap().sum_all().unwrap();
            let difference = difference.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
            assert_eq!(difference, 0.0, "{name} is as before");
        }
    }
}

#[test]
fn at_every_level() {
    levels::run_all_but("at_every_level");
}
