//! Runs on a CUDA device beside the same runs on the CPU. `CREAM_TEST_CUDA` has the device's ordinal; tests/cuda/emulated
//! stands in for one.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

#[path = "tiny/place.rs"]
mod place;
mod tiny;

use cream_train::precision::Precision;
use cream_train::report::Silent;
use cream_train::run_folder::Resume;
use cream_train::settings::{Augment, RetrainSettings, SearchSettings};
use cream_train::sitting::{After, Sitting};
use place::{Place, Run, same};

fn device() -> String {
    let ordinal = std::env::var("CREAM_TEST_CUDA").expect("CREAM_TEST_CUDA has a device's ordinal");
    format!("cuda:{ordinal}")
}

/// The column of the metrics that a run left.
fn column(place: &Place, name: &str, column: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(place.path(name).join("metrics.csv")).unwrap();
    let at = reader.headers().unwrap().iter().position(|header| header == column).unwrap();
    reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

/// The largest difference of the two runs' training losses, against the CPU's.
fn difference(place: &Place, name: &str) -> f64 {
    let losses = |name| column(place, name, "train_loss").into_iter().map(|v| v.parse().unwrap());
    let pairs: Vec<(f64, f64)> = losses("cpu").zip(losses(name)).collect();
    assert_eq!(pairs.len(), 3);
    pairs.iter().map(|(cpu, device)| ((device - cpu) / cpu).abs()).fold(0.0, f64::max)
}

/// Everything that a step can have, on images that are mixed and erased.
fn retraining() -> RetrainSettings {
    let mut settings =
        RetrainSettings { mixup: 0.3, drop_path: 0.2, workers: 2, ..tiny::retrain_settings() };
    (settings.augmentation.augment, settings.augmentation.erasing) = (Augment::Full, 0.5);
    settings
}

#[test]
#[ignore = "needs a CUDA device"]
fn a_retraining_follows_the_cpu() {
    let place = Place::new();
    place.finish(&Run::Taught(retraining()), "cpu");
    place.finish(&Run::Taught(RetrainSettings { device: device(), ..retraining() }), "device");
    let difference = difference(&place, "device");
    assert!(difference < 1e-3, "{difference}");
}

/// The same paths are drawn and chosen, by a matching network that is updated on the way.
#[test]
#[ignore = "needs a CUDA device"]
fn a_search_follows_the_cpu() {
    let place = Place::new();
    // At the usual rate two ways of rounding part company within an epoch.
    let learning_rate = Some(0.002);
    let run =
        |device| Run::Search(SearchSettings { device, learning_rate, ..tiny::search_settings() });
    place.finish(&run("cpu".to_owned()), "cpu");
    place.finish(&run(device()), "device");
    assert_eq!(column(&place, "cpu", "board_entries"), column(&place, "device", "board_entries"));
    let difference = difference(&place, "device");
    assert!(difference < 1e-3, "{difference}");
}

#[test]
#[ignore = "needs a CUDA device"]
fn activations_of_half_precision_train_alike() {
    let place = Place::new();
    place.finish(&Run::Retrain(retraining()), "cpu");
    let (device, precision) = (device(), Precision::Bf16);
    place.finish(&Run::Retrain(RetrainSettings { device, precision, ..retraining() }), "bf16");
    let difference = difference(&place, "bf16");
    // Eight bits a value: 0.4 % each, and not all in one direction.
    assert!((1e-6..3e-2).contains(&difference), "{difference}");
}

/// Stopped in mid-epoch, with a batch on its way, numbers unread and a board of images in half precision, and taken up
/// again.
#[test]
#[ignore = "needs a CUDA device"]
fn runs_that_are_taken_up_end_alike() {
    let place = Place::new();
    let runs = [
        Run::Search(SearchSettings {
            device: device(),
            precision: Precision::Bf16,
            ..tiny::search_settings()
        }),
        Run::Retrain(RetrainSettings { device: device(), ..retraining() }),
    ];
    for (number, run) in runs.iter().enumerate() {
        let (whole, cut) = (format!("whole{number}"), format!("cut{number}"));
        let expected = place.finish(run, &whole);
        let mut sitting = Sitting::to_the_end(Resume::Auto);
        sitting.after = Some(After::Steps(7));
        assert!(place.sit(run, &cut, &sitting, &mut Silent).unwrap().is_some());
        same(run, &expected, &place.finish(run, &cut), &cut);
    }
}
