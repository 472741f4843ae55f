//! Counts against figures measured on other implementations.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use cream_arch::{Convention, Cost, Path, Space};

/// Published and random networks: path, size, classes, parameters, MACs, FLOPs as published.
const GOLDEN: &str = include_str!("../../../tests/golden/counts.csv");

fn golden_rows() -> impl Iterator<Item = (Path, Vec<u64>)> {
    GOLDEN.lines().skip(1).map(|line| {
        let (path, numbers) = line.trim_start_matches('"').split_once("\",").unwrap();
        (path.parse().unwrap(), numbers.split(',').map(|n| n.parse().unwrap()).collect())
    })
}

#[test]
fn every_golden_row_agrees_to_the_unit() {
    let space = Space::published();
    let mut rows = 0;
    for (path, numbers) in golden_rows() {
        let network = space.architecture(&path, numbers[0] as usize, numbers[1] as usize).unwrap();
        let cost = Cost::of(&network);
        let counted = [cost.params(), cost.macs(), cost.flops(Convention::Published)];
        assert_eq!(counted, numbers[2..5], "{path}");
        rows += 1;
    }
    assert_eq!(rows, 46);
}

#[test]
fn costs_by_choice_add_up_to_the_whole() {
    let space = Space::published();
    for (path, numbers) in golden_rows() {
        let (size, classes) = (numbers[0] as usize, numbers[1] as usize);
        let costs = space.choice_costs(&path.depths(), size, classes).unwrap();
        assert_eq!(costs.flops(&path), Some(numbers[4]), "{path}");
    }
}

#[test]
fn other_conventions_agree_with_what_their_packages_print() {
    let measured = [
        (0, 13_930_792, 14.418e6),
        (1, 42_649_192, 43.922e6),
        (3, 288_726_560, 296.575e6),
        (5, 608_495_352, 625.786e6),
    ];
    let rows: Vec<_> = golden_rows().collect();
    let space = Space::published();
    for (row, ptflops, thop) in measured {
        let (path, numbers) = &rows[row];
        let network = space.architecture(path, numbers[0] as usize, numbers[1] as usize).unwrap();
        let cost = Cost::of(&network);
        assert_eq!(cost.flops(Convention::Ptflops), ptflops, "{path}");
        let ratio = cost.flops(Convention::Thop) as f64 / thop;
        assert!((ratio - 1.0).abs() < 1e-3, "{path}: thop differs by {ratio}");
    }
}

#[test]
fn peak_memory_follows_the_stated_model() {
    let space = Space::published();
    let path = "[[0],[0],[0],[0],[0]]".parse().unwrap();
    let cost = Cost::of(&space.architecture(&path, 64, 10).unwrap());
    // Stage 1's depthwise convolution of stride 2: 64 x 32 x 32 in; 64 x 16 x 16 out.
    // Its expansion: 16 x 32 x 32 in, 64 x 32 x 32 out, which is more, and no residual waits.
    assert_eq!(cost.inference_memory(1).unwrap(), 4 * (16 + 64) * 32 * 32);
    assert_eq!(cost.inference_memory(8).unwrap(), 8 * cost.inference_memory(1).unwrap());
    assert!(cost.training_memory(1).unwrap() > cost.inference_memory(1).unwrap());
    assert!(cost.inference_memory(u64::MAX).is_err());
}
