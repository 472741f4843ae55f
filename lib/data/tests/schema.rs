//! The JSON Schema of `index.json` knows the keys and limits that the program does.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use cream_data::shards::index::{
    FORMAT, FileRecord, Index, MAX_CLASSES, SplitFiles, Splits, VERSION,
};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../schema/index.schema.json");

fn index() -> Value {
    let file = FileRecord { file: "train-000000.tar".into(), bytes: 1, sha256: "0".repeat(64) };
    let shards = vec![file.clone()];
    let split = SplitFiles { samples: 1, search_validation: 0, table: file, shards };
    let splits = Splits { train: split.clone(), val: split };
    let classes = vec!["a".to_owned()];
    let class_names = Some(vec!["an ant".to_owned()]);
    let format = FORMAT.to_owned();
    serde_json::to_value(Index {
        format,
        version: VERSION,
        classes,
        class_names,
        splits,
        made: json!({}),
    })
    .unwrap()
}

/// What an index need not have.
const OPTIONAL: [&str; 1] = ["class_names"];

/// The keys of an object schema are those of the value, all required but the optional, and no
/// others allowed.
fn same_keys(schema: &Value, value: &Value) {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let properties = schema["properties"].as_object().unwrap();
    let mut known: Vec<&str> = properties.keys().map(String::as_str).collect();
    let required = schema["required"].as_array().unwrap();
    let mut required: Vec<&str> = required.iter().map(|key| key.as_str().unwrap()).collect();
    for list in [&mut keys, &mut known, &mut required] {
        list.sort_unstable();
    }
    assert_eq!(keys, known);
    keys.retain(|key| !OPTIONAL.contains(key));
    assert_eq!(keys, required);
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn the_schema_has_the_keys_and_constants_of_the_type() {
    let (schema, index): (Value, Value) = (serde_json::from_str(SCHEMA).unwrap(), index());
    same_keys(&schema, &index);
    same_keys(&schema["properties"]["splits"], &index["splits"]);
    same_keys(&schema["$defs"]["split"], &index["splits"]["train"]);
    same_keys(&schema["$defs"]["file"], &index["splits"]["train"]["table"]);
    assert_eq!(schema["properties"]["format"]["const"], FORMAT);
    assert_eq!(schema["properties"]["version"]["const"], VERSION);
    for list in ["classes", "class_names"] {
        assert_eq!(schema["properties"][list]["maxItems"], MAX_CLASSES);
    }
}

#[test]
fn the_type_refuses_what_the_schema_does() {
    for pointer in ["", "/splits", "/splits/train", "/splits/val/table", "/splits/train/shards/0"] {
        let whole = index();
        for key in whole.pointer(pointer).unwrap().as_object().unwrap().keys() {
            if OPTIONAL.contains(&key.as_str()) {
                continue;
            }
            let mut lacking = whole.clone();
            lacking.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
            assert!(
                serde_json::from_value::<Index>(lacking).is_err(),
                "{pointer}/{key} is missing"
            );
        }
        let mut more = whole.clone();
        more.pointer_mut(pointer).unwrap()["extra"] = json!(1);
        assert!(serde_json::from_value::<Index>(more).is_err(), "{pointer}/extra is unknown");
    }
}
