//! Every bad input ends with status 2 and one line that says what is wrong, where, and what is allowed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../../lib/train/tests/tiny/bad_input.rs"]
mod bad_input;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;

use bad_input::Table;
use serde_json::{Value, json};
use tool::Tool;

const FLOPS_COUNT: Tool = Tool::new("flops-count", env!("CARGO_BIN_EXE_flops-count"));

fn network() -> Value {
    serde_json::from_str(include_str!("../../../configs/arch/14.json")).unwrap()
}

/// The network with one value changed, or with a key that was not there.
fn changed(pointer: &str, value: Value) -> String {
    let mut network = network();
    match network.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            network.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    network.to_string()
}

#[test]
fn values_are_named_by_their_path_with_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&FLOPS_COUNT, folder.path());
    let many_stages = vec![network()["stages"][1].clone(); 1001];
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, Value, &[&str]); 21] = [
        ("newer version", "/version", json!(2), &["version: 2", "allowed: 1; the file is of a newer program: use that one"]),
        ("older version", "/version", json!(0), &["version: 0", "allowed: 1; path-export"]),
        ("version of another type", "/version", json!("1"), &["version: invalid type", "expected a whole number of at least 0"]),
        ("another kind of file", "/format", json!("cream-board"), &["format: cream-board", "cream-architecture; path-export"]),
        ("unknown key", "/extra", json!(1), &["extra: unknown field", "remove it"]),
        ("misspelt key of a block", "/stages/1/0/kernle", json!(3), &["stages[1][0].kernle", "did you mean `kernel`?"]),
        ("even kernel", "/stages/1/0/kernel", json!(4), &["stages[1][0].kernel: 4", "odd numbers from 1 to 31"]),
        ("negative kernel", "/stages/1/0/kernel", json!(-3), &["stages[1][0].kernel", "-3", "expected a whole number of at least 0"]),
        ("stride of nothing", "/stages/1/0/stride", json!(0), &["stages[1][0].stride: 0", "1 to 8"]),
        ("image smaller than the strides", "/image_size", json!(16), &["image_size: 16", "the product of all strides, 32"]),
        ("image of no size", "/image_size", json!(0), &["image_size: 0", "1 to 4096"]),
        ("image of huge size", "/image_size", json!(1_000_000), &["image_size: 1000000", "1 to 4096"]),
        ("no classes", "/num_classes", json!(0), &["num_classes: 0", "1 to 1000000"]),
        ("huge number of classes", "/num_classes", json!(1e30), &["num_classes: invalid type", "1e+30"]),
        ("huge number of channels", "/stages/1/0/channels", json!(99_999_999), &["stages[1][0].channels: 99999999", "1 to 16384"]),
        ("huge expansion", "/stages/1/0/expansion", json!(1e308), &["stages[1][0].expansion: 1e308", "at most 64"]),
        ("no stages", "/stages", json!([]), &["stages (their number): 0", "1 to 1000"]),
        ("too many stages", "/stages", Value::Array(many_stages), &["stages (their number): 1001", "1 to 1000"]),
        ("fraction outside its range", "/norm/epsilon", json!(0), &["norm.epsilon: 0", "above 0, at most 1"]),
        ("unknown word", "/padding", json!("full"), &["padding: unknown variant `full`", "`half` or `same`"]),
        ("endless name", "/name", json!("a".repeat(5000)), &["name: a text of 5000 bytes", "at most 1000 bytes"]),
    ];
    for (what, pointer, value, parts) in rows {
        fs::write(folder.path().join("arch.json"), changed(pointer, value)).unwrap();
        table.refuses(what, "@/arch.json", &[&["@/arch.json: "], parts].concat());
    }
}

#[test]
fn files_that_are_no_architecture_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&FLOPS_COUNT, folder.path());
    let text = network().to_string();
    let newer = json!({"format": "cream-architecture", "version": 7, "shape": {}}).to_string();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, Vec<u8>, &[&str]); 9] = [
        ("empty file", Vec::new(), &["the document: EOF", "copy it or make it again"]),
        ("truncated file", text[..text.len() / 2].into(), &["EOF", "the text ends too early"]),
        ("newer version with other keys", newer.into(), &["version: 7 is not allowed; allowed: 1", "newer program"]),
        ("a list", b"[1, 2]".into(), &["the document: a list", "allowed: an object"]),
        ("no JSON", b"hello".into(), &["the document: expected value", "is it the right file?"]),
        ("nested without end", "[".repeat(100_000).into(), &["the document: a list"]),
        ("nested without end below a key", format!("{{\"name\": {}", "[".repeat(100_000)).into(), &["name: invalid type"]),
        ("not UTF-8", b"\xff\xfe".into(), &["not UTF-8 text (byte 0)", "is it the right file?"]),
        ("huge file", vec![b' '; (64 << 20) + 1], &["larger than the 67108864 bytes allowed"]),
    ];
    for (what, bytes, parts) in rows {
        fs::write(folder.path().join("arch.json"), bytes).unwrap();
        table.refuses(what, "@/arch.json", &[&["@/arch.json: "], parts].concat());
    }
    table.refuses("missing file", "@/none.json", &["@/none.json: No such file"]);
    table.refuses("folder for a file", "@", &["@: Is a directory"]);
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/arch/14.json");
    let small = format!("--image-size 16 {}", good.display());
    table.refuses(
        "image size of a flag",
        &small,
        &["--image-size", "the product of all strides, 32"],
    );
}
