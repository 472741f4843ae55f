//! What the tool prints as JSON is what its schema says.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

#[path = "../../../lib/arch/tests/json_schema/mod.rs"]
mod json_schema;

use std::process::Command;

use json_schema::Schemas;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../schema/counts.schema.json");

/// One JSON line per baseline.
fn counts(arguments: &[&str]) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/arch/baselines/");
    let names = ["mobilenet-v3-large", "efficientnet-b0", "efficientnet-lite0"];
    let files = names.map(|name| format!("{folder}{name}.json"));
    let mut tool = Command::new(env!("CARGO_BIN_EXE_flops-count"));
    let output = tool.args(["--format", "json"]).args(arguments).args(files).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn output_passes() {
    let schemas = Schemas::load();
    for arguments in [&[][..], &["--batch", "8"], &["--convention", "thop"]] {
        for counts in counts(arguments) {
            assert_eq!(schemas.check_against(SCHEMA, &counts), Ok(()), "{arguments:?}");
            assert_eq!(counts.get("memory").is_some(), arguments.contains(&"--batch"));
        }
    }
}

#[test]
fn other_documents_do_not() {
    let good = counts(&["--batch", "8"]).remove(0);
    for (pointer, value) in [
        ("/convention", json!("mystery")),
        ("/flops", json!(1.5)),
        ("/image_size", json!(0)),
        ("/memory/batch", json!(-1)),
        ("/layers", json!([])),
        ("/layers/0/kind", json!("attention")),
        ("/layers/0/output", json!([16, 112])),
        ("/layers/0", json!({"name": "conv_stem"})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(Schemas::load().check_against(SCHEMA, &bad).is_err(), "{pointer}");
    }
}
