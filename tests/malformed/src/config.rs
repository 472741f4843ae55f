//! Recipes and search spaces, as TOML.

use std::fmt::Debug;

use cream_arch::{FlopsInterval, GivenShape, Space};
use cream_cli::config::from_toml;
use cream_train::settings::{RetrainSettings, SearchSettings};
use serde::{Serialize, de::DeserializeOwned};

/// Reads the bytes as settings of a search, of a retraining, and as a search space.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // What cannot work is refused by a check of its own, which any settings must get through.
    settings(text, |settings: &SearchSettings| drop(settings.check()));
    settings(text, |settings: &RetrainSettings| drop(settings.check()));
    if let Ok(space) = Space::from_toml(text) {
        examine(&space);
    }
}

fn settings<S>(text: &str, check: impl Fn(&S))
where
    S: Serialize + DeserializeOwned + Default + PartialEq + Debug,
{
    let Ok(resolved) = from_toml::<S>(text) else { return };
    check(&resolved.settings);
    let written = resolved.to_toml();
    let again = from_toml::<S>(&written).unwrap();
    assert_eq!(again.settings, resolved.settings, "not the same after writing and reading");
    assert_eq!(again.to_toml(), written, "not the same text twice");
    assert_eq!(from_toml::<S>(&resolved.print()).unwrap().settings, resolved.settings);
}

/// What must hold for every accepted space.
fn examine(space: &Space) {
    let json = serde_json::to_string(space).unwrap();
    assert_eq!(&Space::from_json(&json).unwrap(), space, "not the same after writing and reading");
    for interval in [FlopsInterval::ALL, FlopsInterval { min: 0, max: 1_000_000 }] {
        let Ok(shape) = space.shape(interval, &GivenShape::default(), 10) else { continue };
        let costs = space.choice_costs(&shape.depths, shape.image_size, 10).unwrap();
        assert!(costs.range().0 <= interval.max, "{shape:?} costs more than asked for");
    }
}
