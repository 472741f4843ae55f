//! Sampling conditioned on a FLOPs interval, against enumeration.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::HashMap;

use cream_arch::{ArchError, ChoiceCosts, FlopsInterval, Path, PathSampler, Shape, Space};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const DEPTHS: [usize; 2] = [1, 2];
const PRIOR: [f64; 6] = [0.05, 0.2, 0.05, 0.5, 0.05, 0.15];

/// The published space cut to two searched stages: 216 paths of three layers.
fn small_space() -> Space {
    let text = include_str!("../../../configs/space/cream.toml");
    let stages: Vec<&str> = text.split("[[stages]]").collect();
    let rest = stages[5].split_once("# Stage 6").unwrap().1;
    let text =
        format!("{}[[stages]]{}[[stages]]{}# Stage 6{rest}", stages[0], stages[1], stages[2]);
    let text = text.replace("start = [1, 2, 2, 1, 1]", "start = [1, 2]");
    Space::from_toml(&text.replace("order = [3, 4, 5, 2, 1]", "order = [2, 1]")).unwrap()
}

fn shape() -> Shape {
    Shape::fixed(64, DEPTHS.to_vec())
}

fn paths() -> impl Iterator<Item = Path> {
    (0..216).map(|n| Path(vec![vec![n % 6], vec![n / 6 % 6, n / 36]]))
}

/// Prior probability of every path inside, normalised over them.
fn enumerate(costs: &ChoiceCosts, interval: FlopsInterval, prior: &[f64]) -> HashMap<Path, f64> {
    let inside = paths().filter(|path| interval.contains(costs.flops(path).unwrap()));
    let weight = |path: &Path| path.0.iter().flatten().map(|&c| prior[c]).product::<f64>();
    let weights: HashMap<Path, f64> = inside.map(|path| (path.clone(), weight(&path))).collect();
    let sum: f64 = weights.values().sum();
    weights.into_iter().map(|(path, weight)| (path, weight / sum)).collect()
}

/// An interval that holds about the middle third of all paths.
fn middle(costs: &ChoiceCosts) -> FlopsInterval {
    let mut all: Vec<u64> = paths().map(|path| costs.flops(&path).unwrap()).collect();
    all.sort_unstable();
    FlopsInterval { min: all[72], max: all[144] }
}

/// Chi-squared of as many draws, over degrees of freedom.
fn chi_squared(prior: &[f64], seed: u64) -> f64 {
    const DRAWS: usize = 40_000;
    let space = small_space();
    let costs = space.choice_costs(&DEPTHS, 64, 10).unwrap();
    let interval = middle(&costs);
    let expected = enumerate(&costs, interval, prior);
    let sampler = PathSampler::new(&space, &shape(), 10, interval, prior).unwrap();
    assert_eq!(sampler.count(), expected.len() as u128);
    assert!((60..100).contains(&expected.len()), "{}", expected.len());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: HashMap<Path, u64> = HashMap::new();
    for _ in 0..DRAWS {
        let path = sampler.sample(&mut rng);
        assert!(expected.contains_key(&path), "{path} lies outside");
        *drawn.entry(path).or_default() += 1;
    }
    // Cells that expect fewer than 5 draws are pooled, as the test's approximation asks.
    let (mut statistic, mut cells, mut rare) = (0.0, 0.0, (0.0, 0.0));
    for (path, probability) in &expected {
        let expected = probability * DRAWS as f64;
        let found = drawn.get(path).copied().unwrap_or(0) as f64;
        if expected < 5.0 {
            rare = (rare.0 + expected, rare.1 + found);
        } else {
            statistic += (found - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    if rare.0 >= 5.0 {
        statistic += (rare.1 - rare.0).powi(2) / rare.0;
        cells += 1.0;
    }
    statistic / (cells - 1.0)
}

/// With 60 to 100 degrees of freedom, chi-squared over freedom exceeds 1.6 less than once in a
/// thousand; a sampler that ignored the interval or the prior is far above it.
const LIMIT: f64 = 1.6;

#[test]
fn uniform_draws_are_uniform_inside_the_interval() {
    let ratio = chi_squared(&[1.0; 6], 1);
    assert!(ratio < LIMIT, "chi-squared over freedom {ratio}");
}

#[test]
fn draws_from_a_prior_follow_it_inside_the_interval() {
    let ratio = chi_squared(&PRIOR, 2);
    assert!(ratio < LIMIT, "chi-squared over freedom {ratio}");
}

#[test]
fn a_choice_of_weight_zero_is_never_drawn() {
    let space = small_space();
    // Choice 0 is the cheapest, so the cheapest path that can be drawn is of choice 2.
    let prior = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    let costs = space.choice_costs(&DEPTHS, 64, 10).unwrap();
    let sampler = PathSampler::new(&space, &shape(), 10, FlopsInterval::ALL, &prior).unwrap();
    let mut allowed = paths().filter(|p| p.0.iter().flatten().all(|&c| prior[c] > 0.0));
    assert_eq!(sampler.count(), 27);
    let least = allowed.by_ref().map(|path| costs.flops(&path).unwrap()).min().unwrap();
    assert_eq!(sampler.reachable().0, least);
    let tight = FlopsInterval { min: least, max: least };
    let sampler = PathSampler::new(&space, &shape(), 10, tight, &prior).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..100 {
        assert_eq!(costs.flops(&sampler.sample(&mut rng)), Some(least));
    }
}

#[test]
fn the_deepest_space_is_tabulated_exactly() {
    let space = Space::published();
    let depths = [5, 5, 5, 6, 6];
    let all = PathSampler::new(
        &space,
        &Shape::fixed(224, depths.to_vec()),
        1000,
        FlopsInterval::ALL,
        &[1.0; 6],
    )
    .unwrap();
    assert_eq!(all.count(), 6u128.pow(27));
    assert!((all.probability() - 1.0).abs() < 1e-9);
    let interval = FlopsInterval::from_millions(Some(590.0), Some(600.0)).unwrap();
    let sampler =
        PathSampler::new(&space, &Shape::fixed(224, depths.to_vec()), 1000, interval, &PRIOR)
            .unwrap();
    assert!(sampler.count() > 0 && sampler.count() < all.count());
    let costs = space.choice_costs(&depths, 224, 1000).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..50 {
        assert!(interval.contains(costs.flops(&sampler.sample(&mut rng)).unwrap()));
    }
}

#[test]
fn an_empty_interval_prints_the_reachable_range() {
    let space = Space::published();
    let depths = [1, 2, 2, 1, 1];
    let interval = FlopsInterval::from_millions(None, Some(0.1)).unwrap();
    let error =
        PathSampler::new(&space, &Shape::fixed(32, depths.to_vec()), 10, interval, &[1.0; 6])
            .unwrap_err();
    let (cheapest, costliest) = space.choice_costs(&depths, 32, 10).unwrap().range();
    assert!(matches!(error, ArchError::EmptyInterval { .. }));
    let text = error.to_string();
    for flops in [cheapest, costliest] {
        // Exactly, so that what is named can be given back as a limit.
        assert!(text.contains(&(flops as f64 / 1e6).to_string()), "{text}");
    }
}

#[test]
fn an_interval_between_two_neighbouring_costs_is_empty() {
    let space = small_space();
    let costs = space.choice_costs(&DEPTHS, 64, 10).unwrap();
    let (cheapest, _) = costs.range();
    let gap = FlopsInterval { min: cheapest + 1, max: cheapest + 1 };
    let error = PathSampler::new(&space, &shape(), 10, gap, &[1.0; 6]).unwrap_err();
    assert!(matches!(error, ArchError::EmptyInterval { .. }), "{error}");
}

#[test]
fn a_prior_needs_one_sane_weight_per_choice() {
    let space = small_space();
    for prior in [&[1.0; 5][..], &[0.0; 6], &[-1.0, 1.0, 1.0, 1.0, 1.0, 1.0], &[f64::NAN; 6]] {
        let sampler = PathSampler::new(&space, &shape(), 10, FlopsInterval::ALL, prior);
        assert!(matches!(sampler, Err(ArchError::Value { .. })), "{prior:?}");
    }
}

/// Every path of one or two layers in the first stage and one to three in the second.
fn elastic_paths() -> Vec<Path> {
    let stage = |layers: u32| {
        (0..6_usize.pow(layers))
            .map(move |n| (0..layers).map(|l| n / 6_usize.pow(l) % 6).collect::<Vec<_>>())
    };
    let first = (1..=2).flat_map(stage);
    first.flat_map(|a| (1..=3).flat_map(stage).map(move |b| Path(vec![a.clone(), b]))).collect()
}

#[test]
fn stages_of_fewer_layers_are_drawn_as_often_inside_the_interval() {
    const DRAWS: usize = 60_000;
    let space = small_space();
    let shape = Shape { image_size: 64, depths: vec![2, 3], min_depths: vec![1, 1] };
    let costs = space.choice_costs(&shape.depths, 64, 10).unwrap();
    let flops = |path: &Path| costs.flops(path).unwrap();
    let mut all: Vec<u64> = elastic_paths().iter().map(flops).collect();
    all.sort_unstable();
    assert_eq!(space.reachable(&shape, 10).unwrap(), (all[0], all[all.len() - 1]));
    // Few enough paths that each is drawn some ten times at least, of all numbers of layers.
    let interval = FlopsInterval { min: all[20], max: all[500] };
    let inside = elastic_paths().into_iter().filter(|path| interval.contains(flops(path)));
    // A number of layers has 1/2 of the first stage and 1/3 of the second, a choice 1/6 of a layer.
    let weight = |path: &Path| 6_f64.powi(-(path.0.iter().flatten().count() as i32)) / 6.0;
    let expected: HashMap<Path, f64> = inside.map(|path| (path.clone(), weight(&path))).collect();
    let sum: f64 = expected.values().sum();
    let sampler = PathSampler::new(&space, &shape, 10, interval, &[1.0; 6]).unwrap();
    assert_eq!(sampler.count(), expected.len() as u128);
    assert!((sampler.probability() - sum).abs() < 1e-12);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut drawn: HashMap<Path, u64> = HashMap::new();
    (0..DRAWS).for_each(|_| *drawn.entry(sampler.sample(&mut rng)).or_default() += 1);
    assert!(drawn.keys().all(|path| expected.contains_key(path)));
    // Cells by number of layers and first choice, so that none is rare.
    let cell = |path: &Path| (path.depths(), path.0[0][0]);
    let mut cells: HashMap<_, (f64, f64)> = HashMap::new();
    for (path, weight) in &expected {
        let (wanted, found) = cells.entry(cell(path)).or_default();
        *wanted += weight / sum * DRAWS as f64;
        *found += drawn.get(path).copied().unwrap_or(0) as f64;
    }
    let cells: Vec<_> = cells.into_values().filter(|(wanted, _)| *wanted >= 5.0).collect();
    let statistic: f64 =
        cells.iter().map(|(wanted, found)| (found - wanted).powi(2) / wanted).sum();
    assert!(cells.len() > 20);
    let ratio = statistic / (cells.len() - 1) as f64;
    assert!(ratio < 2.0, "chi-squared over freedom {ratio} of {} cells", cells.len());
}

#[test]
fn fewer_layers_than_none_and_more_than_all_are_refused() {
    let space = small_space();
    for (min_depths, named) in
        [(vec![0, 1], "min_depths[0]"), (vec![1, 3], "min_depths[1]"), (vec![1], "min_depths")]
    {
        let shape = Shape { image_size: 64, depths: vec![1, 2], min_depths };
        let error =
            PathSampler::new(&space, &shape, 10, FlopsInterval::ALL, &[1.0; 6]).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
