//! Schedules against the golden values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use cream_train::schedule::{Schedule, Shape};

fn golden(name: &str) -> (serde_json::Value, Vec<f64>) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/schedules.json");
    let all: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let values =
        all[name]["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    (all[name].clone(), values)
}

#[test]
fn linear_per_step() {
    let (settings, values) = golden("linear");
    let steps = settings["steps"].as_u64().unwrap() as usize;
    let schedule = Schedule::linear(settings["rate"].as_f64().unwrap(), 8, steps / 8);
    assert_eq!(values.len(), steps + 1);
    for (step, value) in values.iter().enumerate() {
        assert!((schedule.rate(step as u64) - value).abs() < 1e-15, "step {step}");
    }
}

#[test]
fn step_decay_per_epoch_with_warm_up() {
    let (settings, values) = golden("step");
    let number = |key: &str| settings[key].as_f64().unwrap();
    let schedule = Schedule {
        shape: Shape::Step,
        warmup_epochs: number("warmup_epochs") as usize,
        warmup_rate: number("warmup_rate"),
        decay_epochs: number("decay_epochs"),
        decay_rate: number("decay_rate"),
        per_step: false,
        ..Schedule::linear(number("rate"), 10, values.len())
    };
    for (epoch, value) in values.iter().enumerate() {
        for step in [epoch * 10, epoch * 10 + 9] {
            assert!((schedule.rate(step as u64) - value).abs() < 1e-12 * value, "epoch {epoch}");
        }
    }
}
