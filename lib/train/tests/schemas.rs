//! Every file that runs leave is what its schema says, and the schemas say no more than the files.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod formats;
#[path = "tiny/place.rs"]
mod place;
mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

use cream_nn::TensorFile;
use cream_train::checkpoint::FREE;
use cream_train::settings::{RetrainSettings, SearchSettings};
use place::{Place, Run};
use serde_json::{Value, json};

fn runs() -> Place {
    let place = Place::new();
    place.finish(&Run::Search(tiny::search_settings()), "search");
    place.finish(&Run::Retrain(tiny::retrain_settings()), "retrain");
    place
}

fn description(place: &Place, file: &str) -> Value {
    TensorFile::from_bytes(&std::fs::read(place.path(file)).unwrap()).unwrap().description
}

#[test]
fn every_file_of_runs_and_their_data_passes() {
    let place = runs();
    let kinds = formats::check_folder(place.dir.path());
    let expected = BTreeMap::from([
        ("cream-board", 1),
        ("cream-run", 2),
        ("cream-shards", 1),
        ("cream-supernet", 1),
        ("cream-weights", 2),
        ("search checkpoint", place.checkpoints("search").len()),
        ("retrain checkpoint", place.checkpoints("retrain").len()),
    ]);
    assert_eq!(kinds, expected);
    std::fs::write(place.path("search/notes.json"), r#"{"format": "notes"}"#).unwrap();
    assert!(std::panic::catch_unwind(|| formats::check_folder(place.dir.path())).is_err());
}

#[test]
fn other_documents_do_not() {
    let place = runs();
    let manifest = std::fs::read(place.path("search/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let newest = |name: &str| place.checkpoint(name, *place.checkpoints(name).last().unwrap());
    let search = description(&place, newest("search").to_str().unwrap());
    let retrain = description(&place, newest("retrain").to_str().unwrap());
    let weights = description(&place, "retrain/model.safetensors");
    let supernet = description(&place, "search/supernet.safetensors");
    for (good, pointer, value) in [
        (&manifest, "/version", json!(2)),
        (&manifest, "/checkpoints/0/sha256", json!("00")),
        (&manifest, "/checkpoints/0/score", json!(1.5)),
        (&manifest, "/checkpoints/0/step", json!(-1)),
        (&manifest, "/results/0/file", json!("")),
        (&manifest, "/results/0", json!({"file": "board.json"})),
        (&search, "/run/version", json!(2)),
        (&search, "/run/kind", json!("retrain")),
        (&search, "/run/settings/pick-method", json!("best")),
        (&search, "/run/settings/space/version", json!(2)),
        (&search, "/run/settings/prior", json!([-1.0])),
        (&search, "/run/data", json!("x")),
        (&search, "/state/board/0/batch_top1", json!(2)),
        (&search, "/state/position/step", json!(0.5)),
        (&search, "/state", json!({})),
        (&retrain, "/run/settings/optimizer", json!("adam")),
        (&retrain, "/run/settings/ema-warmup", json!(1)),
        (&retrain, "/run/settings/architecture/image_size", json!(0)),
        (&retrain, "/run/settings/init", json!("weights")),
        (&retrain, "/state/validation/top1", json!(null)),
        (&retrain, "/state/position/tally", json!(3)),
        (&weights, "/version", json!(2)),
        (&weights, "/weights", json!("mean")),
        (&weights, "/classes", json!([])),
        (&weights, "/architecture/stages", json!([])),
        (&supernet, "/space/choices", json!([])),
        (&supernet, "/depths", json!([0])),
        (&supernet, "/image_size", json!(1e9)),
    ] {
        assert!(formats::check(good).is_ok());
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        assert!(formats::check(&bad).is_err(), "{pointer}: {value}");
        let mut more = good.clone();
        let parent = pointer.rsplit_once('/').unwrap().0;
        if let Some(object) = more.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.insert("extra".to_owned(), json!(1));
            assert!(formats::check(&more).is_err(), "{parent}/extra");
        }
    }
}

/// A setting that a trainer learns must be taught to the schema of its checkpoints.
#[test]
fn checkpoints_know_the_settings_that_results_depend_on() {
    let search = serde_json::to_value(SearchSettings::default()).unwrap();
    let retrain = serde_json::to_value(RetrainSettings::default()).unwrap();
    for (kind, settings, more) in [
        ("search", search, &["space"][..]),
        ("retrain", retrain, &["architecture", "init", "teacher"]),
    ] {
        let document = json!({"run": {"format": "cream-checkpoint", "kind": kind}});
        let (_, schema) = formats::schema_of(&document).unwrap();
        let schema: Value = serde_json::from_str(schema).unwrap();
        let known = &schema["properties"]["run"]["properties"]["settings"]["properties"];
        let mut known: Vec<&str> = known.as_object().unwrap().keys().map(String::as_str).collect();
        let keys = settings.as_object().unwrap().keys().map(String::as_str);
        let mut keys: Vec<&str> =
            keys.filter(|key| !FREE.contains(key)).chain(more.iter().copied()).collect();
        known.sort_unstable();
        keys.sort_unstable();
        assert_eq!(known, keys, "{kind}");
    }
}

/// For tests/pipeline.sh, which names the folder that it made in `FORMATS_FOLDER`.
#[test]
#[ignore = "checks the folder that FORMATS_FOLDER names"]
fn every_file_of_a_folder_passes() {
    let folder = std::env::var("FORMATS_FOLDER").expect("FORMATS_FOLDER names a folder");
    let kinds = formats::check_folder(Path::new(&folder));
    assert!(kinds.values().sum::<usize>() > 0, "{folder} holds no file that has a schema");
    println!("{kinds:?}");
}
