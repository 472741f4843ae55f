//! What a step changes that is not to count.

use super::Retraining;
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
    let mut batches = run.training_batches().unwrap().map(Result::unwrap);
    let mut next = || batches.next().unwrap();
    assert!(matches!(run.step(&next()).unwrap(), Step::Taken(_)));
    let (before, loss) = (everything(&run), run.position.loss);
    run.feed.spoiled = true;
    let batch = next();
    let Step::Skipped(problem) = run.step(&batch).unwrap() else { panic!("taken") };
    assert!(problem.to_string().contains("at step 1 (epoch 1,"), "{problem}");
    assert!(everything(&run) == before);
    assert_eq!((run.position.step, run.position.skipped, run.skipped), (2, 1, 1));
    assert_eq!((run.position.loss, run.position.tally.images), (loss, 8));
    run.feed.spoiled = false;
    assert!(matches!(run.step(&next()).unwrap(), Step::Taken(_)));
    assert!(everything(&run) != before);
    run.feed.spoiled = true;
    assert!(run.step(&next()).is_err(), "no more than one is tolerated");
}
