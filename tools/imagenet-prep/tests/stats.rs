//! `imagenet-prep stats`: against sets whose figures are known.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/arch/tests/json_schema/mod.rs"]
mod json_schema;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::io::Read;
use std::path::Path;

use cream_data::encode::{encode, grey_png, rgb_png};
use cream_data::shards::writer::{SplitWriter, mark_search_validation, write_index};
use cream_data::{ImageKind, RgbImage, Split};
use json_schema::Schemas;
use serde_json::{Value, json};
use tool::Tool;

const PREP: Tool = Tool::new("imagenet-prep", env!("CARGO_BIN_EXE_imagenet-prep"));
const SCHEMA: &str = include_str!("../schema/stats.schema.json");

/// Two ants and a bee to train on, one ant for validation: eight pixels of 0, 51 and 255, and a grey JPEG.
fn known(dir: &Path) {
    let two = RgbImage { width: 1, height: 2, pixels: [255, 0, 51].repeat(2) };
    let mut train = SplitWriter::new(dir, Split::Train, 1 << 20);
    let mut add = |key, class, bytes: Vec<u8>| {
        train.push(key, class, ImageKind::Png, &bytes).unwrap();
        bytes.len() as u64
    };
    add("a", 0, grey_png(&[0, 255], 2, 1).unwrap());
    add("b", 0, rgb_png(&two).unwrap());
    add("c", 1, grey_png(&[0; 4], 2, 2).unwrap());
    let mut train = train.finish().unwrap();
    mark_search_validation(&mut train.rows, 0.5, 1);
    let flat = RgbImage { width: 16, height: 8, pixels: vec![128; 16 * 8 * 3] };
    let jpeg = encode(&flat, ImageKind::Jpeg, 90).unwrap();
    let mut val = SplitWriter::new(dir, Split::Validation, 1 << 20);
    val.push("v", 0, ImageKind::Jpeg, &jpeg).unwrap();
    let classes = ["ant", "bee"].map(String::from).to_vec();
    write_index(dir, classes, train, val.finish().unwrap(), json!({})).unwrap();
}

fn stats(arguments: &str) -> Value {
    let (out, _) = PREP.succeeds(&format!("stats {arguments} --json --quiet"), "");
    assert_eq!(out.lines().count(), 1);
    let value = serde_json::from_str(&out).unwrap();
    assert_eq!(Schemas::load().check_against(SCHEMA, &value), Ok(()));
    value
}

fn close(value: &Value, wanted: [f64; 3]) {
    for (channel, wanted) in wanted.into_iter().enumerate() {
        let found = value[channel].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-15, "{value}: channel {channel} is not {wanted}");
    }
}

#[test]
fn the_figures_are_those_computed_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    known(dir.path());
    let all = stats(dir.path().to_str().unwrap());
    assert_eq!((&all["classes"], &all["seed"]), (&json!(2), &json!(0)));
    let [train, val] = [&all["splits"][0], &all["splits"][1]];
    assert_eq!((&train["split"], &val["split"]), (&json!("train"), &json!("val")));
    assert_eq!((&train["images"], &train["search_validation"]), (&json!(3), &json!(1)));
    assert_eq!(train["images_per_class"], json!({ "min": 1, "median": 1.5, "max": 2 }));
    assert_eq!((&train["smallest_class"], &train["largest_class"]), (&json!("bee"), &json!("ant")));
    assert_eq!(train["width"], json!({ "min": 1, "median": 2.0, "max": 2 }));
    assert_eq!(train["height"], json!({ "min": 1, "median": 2.0, "max": 2 }));
    assert_eq!([&train["decoded"], &train["jpeg"], &train["grey"], &train["pixels"]], [3, 0, 2, 8]);
    // Red has 0 five times and 1 three times; green 1 once; blue 1 once and 0.2 twice.
    close(&train["mean"], [3.0 / 8.0, 1.0 / 8.0, 1.4 / 8.0]);
    let blue: f64 = 1.08 / 8.0 - (1.4 / 8.0_f64).powi(2);
    close(&train["std"], [15.0_f64.sqrt() / 8.0, 7.0_f64.sqrt() / 8.0, blue.sqrt()]);

    assert_eq!(val["images_per_class"], json!({ "min": 0, "median": 0.5, "max": 1 }));
    assert_eq!([&val["decoded"], &val["jpeg"], &val["grey"], &val["pixels"]], [1, 1, 1, 128]);
    close(&val["mean"], [128.0 / 255.0; 3]);
    close(&val["std"], [0.0; 3]);
    let shard = fs::read(dir.path().join("val-000000.tar")).unwrap();
    let size = std::str::from_utf8(&shard[124..135]).unwrap();
    let size = u64::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap();
    assert_eq!(val["bytes"], size);
    assert_eq!(val["bytes_per_image"], json!({ "min": size, "median": size as f64, "max": size }));
}

#[test]
fn the_table_has_a_column_for_each_split() {
    let dir = tempfile::tempdir().unwrap();
    known(dir.path());
    let dir = dir.path().to_str().unwrap();
    let (table, _) = PREP.succeeds(&format!("stats {dir}"), "");
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).expect(name);
        let cells = line[name.len()..].split("  ").map(str::trim);
        cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    let rows: [(&str, Vec<&str>); 6] = [
        ("images  ", vec!["3", "1"]),
        ("smallest class", vec!["1 (bee)", "0 (bee)"]),
        ("width, min / median / max", vec!["1 / 2 / 2", "16 / 16 / 16"]),
        ("without colour", vec!["66.7 %", "100.0 %"]),
        ("mean of red, green, blue", vec!["0.3750 0.1250 0.1750", "0.5020 0.5020 0.5020"]),
        ("standard deviation", vec!["0.4841 0.3307 0.3231", "0.0000 0.0000 0.0000"]),
    ];
    for (name, wanted) in rows {
        assert_eq!(row(name), wanted, "{table}");
    }
    assert!(!table.contains("drawn with seed"), "{table}");
    let (table, _) = PREP.succeeds(&format!("stats {dir} --split search-val --seed 4"), "");
    assert!(!table.contains("  val") && table.contains("search-val"), "{table}");
    let (table, _) = PREP.succeeds(&format!("stats {dir} --sample 1 --seed 4"), "");
    assert!(table.contains("drawn with seed 4"), "{table}");
}

#[test]
fn a_sample_depends_on_the_seed_and_not_on_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/fashion-mnist");
    PREP.succeeds(&format!("{} {out} --quiet", images.display()), "");
    let all = stats(&format!("{out} --sample 0 --workers 2"));
    assert_eq!(all["splits"][0]["decoded"], 5000);
    // The pixels of the source, added up one by one.
    let mut raw = Vec::new();
    let file = fs::File::open(images.join("train-images-idx3-ubyte.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut raw).unwrap();
    let values = raw[16..].iter().map(|&value| f64::from(value) / 255.0);
    let (n, sum) = (raw.len() as f64 - 16.0, values.clone().sum::<f64>());
    let square: f64 = values.map(|value| (value - sum / n).powi(2)).sum();
    for (key, wanted) in [("mean", sum / n), ("std", (square / n).sqrt())] {
        let found = all["splits"][0][key][1].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{key} is {found}, not {wanted}");
    }
    let sample = |workers: usize, seed: u64| {
        stats(&format!("{out} --split train --sample 300 --workers {workers} --seed {seed}"))
    };
    let one = sample(1, 0);
    assert_eq!(one["splits"][0]["decoded"], 300);
    assert_eq!(one, sample(3, 0));
    assert_ne!(one["splits"][0]["mean"], sample(1, 1)["splits"][0]["mean"]);
    // A sample's figures are about those of all images.
    let off = one["splits"][0]["mean"][0].as_f64().unwrap() - sum / n;
    assert!(off.abs() < 0.03, "{off}");
}

#[test]
fn the_schema_refuses_other_documents() {
    let dir = tempfile::tempdir().unwrap();
    known(dir.path());
    let good = stats(dir.path().to_str().unwrap());
    for (pointer, value) in [
        ("/classes", json!(0)),
        ("/splits", json!([])),
        ("/splits/0/split", json!("test")),
        ("/splits/0/mean", json!([0.5, 0.5])),
        ("/splits/0/std/0", json!(1.5)),
        ("/splits/0/width", json!({ "min": 1 })),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(Schemas::load().check_against(SCHEMA, &bad).is_err(), "{pointer}");
    }
}
