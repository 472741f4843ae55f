//! Children of paths.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::HashSet;

use cream_arch::{Evolution, FlopsInterval, Path, PathSampler, Shape, Space};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn shape() -> Shape {
    Shape { image_size: 32, depths: vec![2, 3, 3, 2, 2], min_depths: vec![1; 5] }
}

fn paths(interval: FlopsInterval, count: u64) -> Vec<Path> {
    let sampler = PathSampler::new(&Space::published(), &shape(), 10, interval, &[1.0; 6]).unwrap();
    (0..count).map(|seed| sampler.sample(&mut ChaCha8Rng::seed_from_u64(seed))).collect()
}

fn children(
    interval: FlopsInterval,
    parents: &[Path],
    numbers: impl Iterator<Item = u64>,
) -> Vec<Path> {
    let evolution = Evolution::new(&Space::published(), &shape(), 10, interval).unwrap();
    let mut known: HashSet<Path> = parents.iter().cloned().collect();
    numbers
        .map(|number| {
            let mut rng = ChaCha8Rng::seed_from_u64(1000 + number);
            let child = evolution.child(parents, &known, number, &mut rng).unwrap();
            assert!(known.insert(child.clone()), "{child} was known");
            child
        })
        .collect()
}

#[test]
fn children_are_new_fit_the_shape_and_lie_inside() {
    let interval = FlopsInterval::from_millions(Some(4.0), Some(5.0)).unwrap();
    let costs = Space::published().choice_costs(&shape().depths, 32, 10).unwrap();
    let parents = paths(interval, 10);
    let born = children(interval, &parents, 0..200);
    for child in &born {
        assert!(shape().holds(child), "{child}");
        assert!(interval.contains(costs.flops(child).unwrap()), "{child}");
    }
    assert_eq!(born, children(interval, &parents, 0..200));
}

#[test]
fn crossed_children_have_their_layers_of_a_parent() {
    let parents = paths(FlopsInterval::ALL, 2);
    for child in children(FlopsInterval::ALL, &parents, (0..40).map(|n| 2 * n)) {
        for (stage, layers) in child.0.iter().enumerate() {
            let theirs = || parents.iter().map(|parent| &parent.0[stage]);
            assert!(theirs().any(|stage| stage.len() == layers.len()), "{child}");
            for (layer, choice) in layers.iter().enumerate() {
                assert!(theirs().any(|stage| stage.get(layer) == Some(choice)), "{child}");
            }
        }
    }
}

#[test]
fn mutated_children_keep_most_of_their_parent() {
    let parent = paths(FlopsInterval::ALL, 1);
    let (mut kept, mut all, mut depths) = (0, 0, HashSet::new());
    for child in children(FlopsInterval::ALL, &parent, (0..200).map(|n| 2 * n + 1)) {
        depths.insert(child.depths());
        for (ours, theirs) in child.0.iter().flatten().zip(parent[0].0.iter().flatten()) {
            (kept, all) = (kept + usize::from(ours == theirs), all + 1);
        }
    }
    assert!(depths.len() > 5, "stages gain and lose layers");
    assert!(kept * 10 > all * 6 && kept < all, "{kept} of {all}");
}

#[test]
fn where_every_path_is_known_there_are_no_more() {
    let space = Space::published();
    let shape = Shape::fixed(32, vec![1; 5]);
    let cheapest = space.reachable(&shape, 10).unwrap().0;
    let only = FlopsInterval { min: cheapest, max: cheapest };
    let evolution = Evolution::new(&space, &shape, 10, only).unwrap();
    let parent = Path(vec![vec![0]; 5]);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let known = HashSet::from([parent.clone()]);
    assert_eq!(evolution.child(std::slice::from_ref(&parent), &known, 1, &mut rng), None);
    assert_eq!(evolution.child(&[], &known, 0, &mut rng), None);
    assert_eq!(
        evolution.child(std::slice::from_ref(&parent), &HashSet::new(), 1, &mut rng),
        Some(parent)
    );
}
