//! Input size and layers per stage from a FLOPs interval.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use cream_arch::{ArchError, FlopsInterval, GivenShape, Shape, Space};

fn given<const N: usize>(image_size: Option<usize>, depths: [usize; N]) -> GivenShape {
    GivenShape { image_size, depths: Some(depths.to_vec()), min_depths: None }
}

fn below(millions: f64) -> FlopsInterval {
    FlopsInterval::from_millions(None, Some(millions)).unwrap()
}

#[test]
fn limits_choose_the_sizes_and_layers_that_the_rule_gives() {
    let expected = [
        (14.0, 64, [1, 2, 2, 1, 1]),
        (43.0, 96, [1, 3, 3, 2, 2]),
        (200.0, 224, [1, 2, 3, 2, 2]),
        (287.0, 224, [2, 3, 4, 3, 2]),
        (481.0, 224, [4, 5, 5, 5, 4]),
        (600.0, 224, [5, 5, 5, 6, 6]),
    ];
    let space = Space::published();
    for (limit, image_size, depths) in expected {
        let shape = space.shape(below(limit), &GivenShape::default(), 1000).unwrap();
        assert_eq!(shape, Shape::fixed(image_size, depths.to_vec()), "{limit}");
    }
}

#[test]
fn what_is_given_is_kept() {
    let space = Space::published();
    let shape = space.shape(below(200.0), &given(Some(32), [1; 5]), 10).unwrap();
    assert_eq!(shape, Shape::fixed(32, vec![1; 5]));
    let shape = space.shape(below(200.0), &given(None, [5, 5, 5, 6, 6]), 1000).unwrap();
    assert_eq!((shape.image_size, shape.depths), (128, vec![5, 5, 5, 6, 6]));
    let shape = space.shape(FlopsInterval::ALL, &GivenShape::default(), 1000).unwrap();
    assert_eq!((shape.image_size, shape.depths), (224, vec![5, 5, 5, 6, 6]));
}

#[test]
fn a_limit_below_every_mean_still_searches_the_smallest_networks() {
    let space = Space::published();
    let cheapest = space.choice_costs(&space.growth.start, 32, 10).unwrap().range().0;
    let just_enough = FlopsInterval { min: 0, max: cheapest };
    let shape = space.shape(just_enough, &GivenShape::default(), 10).unwrap();
    assert_eq!(shape, Shape::fixed(32, space.growth.start.clone()));
}

#[test]
fn an_impossible_limit_says_what_can_be_reached() {
    let space = Space::published();
    let error = space.shape(below(0.5), &GivenShape::default(), 10).unwrap_err();
    let (cheapest, costliest) = space.choice_costs(&space.growth.start, 32, 10).unwrap().range();
    let expected = ArchError::EmptyInterval {
        min: 0,
        max: 500_000,
        image_size: 32,
        depths: space.growth.start.clone(),
        cheapest,
        costliest,
    };
    assert_eq!(error, expected);
    let high = FlopsInterval::from_millions(Some(1e6), None).unwrap();
    assert!(matches!(
        space.shape(high, &GivenShape::default(), 10),
        Err(ArchError::EmptyInterval { .. })
    ));
}

#[test]
fn an_interval_needs_finite_limits_in_order() {
    for (min, max) in [(Some(3.0), Some(2.0)), (Some(f64::NAN), None), (None, Some(-1.0))] {
        assert!(FlopsInterval::from_millions(min, max).is_err(), "{min:?} {max:?}");
    }
}
