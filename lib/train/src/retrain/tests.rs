//! What a step changes that is not to count.

use super::Retraining;
use super::step::Reading;
use crate::non_finite::Step;
use crate::report::Silent;
use crate::run_folder::{Resume, RunFolder};
use crate::tiny;
use candle_core::Tensor;
use cream_data::ShardSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that a step may change, bit for bit.
fn everything(run: &Retraining) -> Vec<(String, Vec<u32>)> {
    let (momentum, square, _) = run.optimizer.state();
    let weights = run.network.weights().tensors();
    let average: BTreeMap<String, Tensor> = run.ema.as_ref().unwrap().tensors().clone();
    let groups = [&weights, momentum, square, &average];
    let bits = |t: &Tensor| -> Vec<u32> {
        let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    groups.into_iter().flatten().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}

/// Batches whose pixels become infinite: the first is skipped and leaves no trace but in the counts, the next ends the
/// run.
#[test]
fn a_tolerated_step_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("data");
    tiny::write_shards(&shards);
    let data = Arc::new(ShardSet::open(&shards).unwrap());
    let mut settings = tiny::retrain_settings();
    settings.skip_nonfinite = 1;
    let plan = tiny::retrain_plan(settings);
    let folder = RunFolder::open(dir.path().join("run"), &Resume::Auto).unwrap();
    let mut run = Retraining::start(&plan, &data, &folder, &Resume::Never, &mut Silent).unwrap();
    let batches = &mut run.training_batches().unwrap();
    assert!(matches!(run.step(batches).unwrap(), Step::Taken(_)));
    let (before, loss) = (everything(&run), run.position.loss);
    run.feed.spoiled = Some(0);
    let Step::Skipped(problem) = run.step(batches).unwrap() else { panic!("taken") };
    assert!(problem.to_string().contains("at step 1 (epoch 1,"), "{problem}");
    assert!(everything(&run) == before);
    assert_eq!((run.position.step, run.position.skipped, run.skipped), (2, 1, 1));
    assert_eq!((run.position.loss, run.position.tally.images), (loss, 8));
    run.feed.spoiled = None;
    assert!(matches!(run.step(batches).unwrap(), Step::Taken(_)));
    assert!(everything(&run) != before);
    run.feed.spoiled = Some(0);
    assert!(run.step(batches).is_err(), "no more than one is tolerated");
}

/// Of a step of three batches the second is bad: what the first changed is undone, the third is passed over.
#[test]
fn one_bad_batch_takes_its_step_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("data");
    tiny::write_shards(&shards);
    let data = Arc::new(ShardSet::open(&shards).unwrap());
    let mut settings = tiny::retrain_settings();
    (settings.batch, settings.accumulate, settings.skip_nonfinite) = (4, 3, 1);
    let plan = tiny::retrain_plan(settings);
    let folder = RunFolder::open(dir.path().join("run"), &Resume::Auto).unwrap();
    let mut run = Retraining::start(&plan, &data, &folder, &Resume::Never, &mut Silent).unwrap();
    assert_eq!(run.schedule.steps_per_epoch, 4);
    let batches = &mut run.training_batches().unwrap();
    let before = everything(&run);
    run.feed.spoiled = Some(1);
    assert!(matches!(run.step(batches).unwrap(), Step::Skipped(_)));
    assert!(everything(&run) == before);
    assert_eq!(
        (batches.loader().position(), run.position.step, run.position.tally.images),
        (3, 1, 0)
    );
    let listed = std::fs::read_to_string(dir.path().join("run/non-finite-step-000000000.csv"));
    assert_eq!(listed.unwrap().lines().count(), 1 + 4, "the images of the bad batch alone");
    run.feed.spoiled = None;
    assert!(matches!(run.step(batches).unwrap(), Step::Taken(_)));
    assert_eq!(
        (batches.loader().position(), run.position.step, run.position.tally.images),
        (6, 2, 12)
    );
    // An epoch that is taken up again goes on with the next step's first batch.
    assert_eq!(run.training_batches().unwrap().loader().position(), 6);
}

/// Read one step later, as on a device that is never waited for, numbers are the same; those that are not finite are
/// found one step later, and name the step that they are of.
#[test]
fn numbers_may_be_read_one_step_later() {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("data");
    tiny::write_shards(&shards);
    let data = Arc::new(ShardSet::open(&shards).unwrap());
    let mut settings = tiny::retrain_settings();
    (settings.batch, settings.accumulate) = (4, 2);
    let plan = tiny::retrain_plan(settings);
    let run_with = |reading, spoiled| {
        let folder = RunFolder::open(dir.path().join("run"), &Resume::Auto).unwrap();
        let resume = Resume::Never;
        let mut run = Retraining::start(&plan, &data, &folder, &resume, &mut Silent).unwrap();
        run.reading = reading;
        let mut batches = run.training_batches().unwrap();
        let steps = 4;
        for step in 0..steps {
            let losses = run.position.loss;
            run.step(&mut batches).unwrap();
            let counted = run.position.loss > losses;
            assert_eq!(counted, step > 0 || reading == Reading::BeforeUpdate, "step {step}");
        }
        run.feed.spoiled = spoiled;
        let outcome = run.step(&mut batches).and_then(|_| run.read_up());
        (everything(&run), run.position, outcome.map_err(|error| error.to_string()))
    };
    let at_once = run_with(Reading::BeforeUpdate, None);
    let later = run_with(Reading::OneStepLater, None);
    assert!(at_once == later && later.2.is_ok());
    let error = run_with(Reading::OneStepLater, Some(0)).2.unwrap_err();
    assert!(error.contains("at step 4 (epoch 1,"), "{error}");
    assert!(dir.path().join("run/non-finite-step-000000004.csv").exists());
}
