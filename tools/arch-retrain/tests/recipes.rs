//! The recipes of the published networks against the table of what was published, and their learning rates.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cream_arch::Architecture;
use cream_cli::config::from_toml;
use cream_data::transform::RandAugment;
use cream_data::{TrainCrop, TrainInterpolation};
use cream_train::checkpoint::FREE;
use cream_train::settings::RetrainSettings;
use serde_json::Value;
use tool::Tool;

const RETRAIN: Tool = Tool::new("arch-retrain", env!("CARGO_BIN_EXE_arch-retrain"));

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The table's columns by network, each the values by setting; a setting that a recipe does not use is left out.
fn published() -> BTreeMap<String, BTreeMap<String, String>> {
    let table = read("tests/golden/recipes.csv");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let mut networks = BTreeMap::new();
    for (column, network) in rows[0].iter().enumerate().skip(1) {
        let values = rows[1..].iter().filter(|row| !row[column].is_empty());
        let values = values.map(|row| (row[0].to_owned(), row[column].to_owned())).collect();
        networks.insert((*network).to_owned(), values);
    }
    networks
}

/// Everything that training by a recipe does, under the table's names.
fn resolved(network: &str) -> BTreeMap<String, Value> {
    let settings: RetrainSettings =
        from_toml(&read(&format!("configs/retrain/{network}.toml"))).unwrap().settings;
    settings.check().unwrap();
    let architecture =
        Architecture::from_json(&read(&format!("configs/arch/{network}.json"))).unwrap();
    let Architecture { image_size, ref input, .. } = architecture;
    let Value::Object(keys) = serde_json::to_value(&settings).unwrap() else { panic!() };
    let mut values: BTreeMap<String, Value> = keys.into_iter().collect();
    let transform = settings.augmentation.train_transform(image_size, input.evaluation).unwrap();
    let TrainCrop::ResizedCrop { scale, ratio, interpolation, .. } = transform.crop else {
        panic!("{:?}", transform.crop)
    };
    assert_eq!(interpolation, TrainInterpolation::Random);
    let RandAugment { operations, magnitude, deviation, probability, .. } =
        transform.rand_augment.unwrap();
    assert_eq!(values["rand-operations"], operations);
    assert_eq!(values["rand-magnitude"], magnitude);
    let mut add = |name: &str, value: Value| values.insert(name.to_owned(), value);
    add("image-size", image_size.into());
    add("base-rate", settings.base_rate().into());
    add("devices", (settings.global_batch() / settings.batch).into());
    add("scale-min", scale.0.into());
    add("scale-max", scale.1.into());
    add("ratio-min", ratio.0.into());
    add("ratio-max", ratio.1.into());
    add("interpolation", "random".into());
    add("rand-deviation", deviation.into());
    add("rand-probability", probability.into());
    for (i, colour) in ["red", "green", "blue"].iter().enumerate() {
        add(&format!("mean-{colour}"), input.mean[i].into());
        add(&format!("std-{colour}"), input.std[i].into());
    }
    values
}

fn agree(value: &Value, published: &str) -> bool {
    match value {
        Value::String(text) => text == published,
        Value::Bool(flag) => flag.to_string() == published,
        // To the last bit, however it is written.
        Value::Number(number) => published.parse() == Ok(number.as_f64().unwrap()),
        _ => false,
    }
}

#[test]
fn every_recipe_is_the_published_one() {
    let published = published();
    assert_eq!(published.len(), 6);
    for (network, table) in &published {
        let values = resolved(network);
        for (name, expected) in table.iter().filter(|(name, _)| !name.starts_with("top-")) {
            let value = values.get(name).unwrap_or_else(|| panic!("{network}: no {name}"));
            assert!(agree(value, expected), "{network}: {name} is {value}, published {expected}");
        }
    }
}

/// A setting that is added must be said to be in the published recipes, or not to matter there.
#[test]
fn the_table_leaves_nothing_open() {
    let elsewhere = [
        // Stated through others: base-rate, devices, scale-min and scale-max.
        &["learning-rate", "accumulate", "scale"][..],
        // Without a teacher, of another crop, of no consequence for the weights, or free.
        &["teacher-weight", "teacher-temperature", "shift", "evaluate-epochs", "seed", "precision"],
        // Of the other schedule.
        &["decay-epochs", "decay-rate", "min-learning-rate", "cooldown-epochs"],
    ];
    let elsewhere: BTreeSet<&str> = elsewhere.concat().into_iter().chain(FREE).collect();
    for (network, table) in &published() {
        let settings = serde_json::to_value(RetrainSettings::default()).unwrap();
        for key in settings.as_object().unwrap().keys() {
            let open = !table.contains_key(key) && !elsewhere.contains(key.as_str());
            assert!(!open, "{network}: the table says nothing of {key}");
        }
    }
}

#[test]
fn headers_name_accuracy_and_command() {
    for (network, table) in &published() {
        let text = read(&format!("configs/retrain/{network}.toml"));
        let accuracy = format!("top-1 {} %, top-5 {} %", table["top-1"], table["top-5"]);
        let command = format!("# command    make retrain ARCH=configs/arch/{network}.json DATA=");
        for part in [&accuracy, &command, "# hardware ", "# time "] {
            assert!(text.contains(part), "{network}: {part}");
        }
    }
}

/// Rows of `--print-schedule`: epoch, step, rate.
fn schedule(arguments: &str) -> Vec<(usize, usize, f64)> {
    let arguments = arguments.replace('@', root().to_str().unwrap());
    let (out, errors) = RETRAIN.succeeds(&format!("{arguments} --print-schedule"), "");
    assert_eq!(errors, "");
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("epoch,step,learning_rate"));
    let row = |line: &str| {
        let [epoch, step, rate] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (epoch.parse().unwrap(), step.parse().unwrap(), rate.parse().unwrap())
    };
    lines.map(row).collect()
}

fn golden(name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(&read("tests/golden/schedules.json")).unwrap();
    let values = all[name]["values"].as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn every_recipe_prints_its_learning_rates() {
    let step = golden("step");
    for (network, table) in &published() {
        let rows = schedule(&format!("--config @/configs/retrain/{network}.toml"));
        let decays = table["schedule"] == "step";
        assert_eq!(rows.len(), if decays { 500 } else { 510 });
        for (epoch, &(number, first, rate)) in rows.iter().enumerate() {
            assert_eq!((number, first), (epoch, epoch * 1251), "{network}");
            let exact = match epoch {
                // The golden values include the warm-up, which both schedules share.
                _ if epoch < 3 || (decays && epoch < step.len()) => step[epoch],
                _ if decays => 0.064 * 0.973_f64.powi((epoch as f64 / 2.4) as i32),
                500.. => 1e-5,
                _ => {
                    let angle = std::f64::consts::PI * epoch as f64 / 500.0;
                    1e-5 + (0.064 - 1e-5) * (1.0 + angle.cos()) / 2.0
                }
            };
            assert!((rate - exact).abs() < 1e-12, "{network}, epoch {epoch}: {rate}, not {exact}");
        }
    }
}

#[test]
fn rates_that_change_within_epochs_have_a_row_for_every_step() {
    let golden = golden("linear");
    let rows = schedule(
        "--schedule linear --learning-rate 1 --warmup-epochs 0 --epochs 5 --batch 4 \
         --accumulate 2 --images 65",
    );
    assert_eq!(rows.len(), 40);
    for (step, &(epoch, number, rate)) in rows.iter().enumerate() {
        assert_eq!((epoch, number), (step / 8, step));
        assert!((rate - golden[step]).abs() < 1e-15, "step {step}");
    }
}

#[test]
fn the_rate_is_scaled_with_the_images_of_a_step() {
    let peak = |batch: &str| {
        let rows = schedule(&format!("--config @/configs/retrain/287.toml {batch}"));
        rows.iter().map(|row| row.2).fold(0.0, f64::max)
    };
    let published = peak("");
    assert_eq!(published, peak("--batch 64 --accumulate 16"));
    let quarter = peak("--batch 256 --accumulate 1");
    assert!((quarter * 4.0 - published).abs() < 1e-4 * published, "{quarter} {published}");
}

#[test]
fn too_few_images_for_a_step_are_refused() {
    let error = RETRAIN.refuses("--print-schedule --images 100", "");
    assert!(error.contains("--images is 100; give at least the 128 of one step"), "{error}");
    let error = RETRAIN.run("--images 100", "");
    assert_eq!(error.status.code(), Some(2));
}
