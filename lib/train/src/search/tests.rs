//! What one step changes, and what it must not.

use super::Search;
use crate::incoming::Sent;
use crate::non_finite::Step;
use crate::report::Silent;
use crate::run_folder::{Resume, RunFolder};
use crate::settings::{PickMethod, SearchSettings};
use crate::sitting::Reason;
use crate::tiny;
use candle_core::{DType, Tensor};
use cream_arch::Path;
use cream_data::ShardSet;
use cream_data::keyed::{Key, Purpose};
use cream_nn::layers::Statistics;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Tensors = BTreeMap<String, Tensor>;

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Names whose tensors are not bit for bit the same.
fn changed(before: &Tensors, after: &Tensors) -> BTreeSet<String> {
    let differs = |name: &String| before.get(name).map(values) != after.get(name).map(values);
    before.keys().chain(after.keys()).filter(|name| differs(name)).cloned().collect()
}

fn momentum(search: &Search) -> Tensors {
    let copy = |(name, t): (&String, &Tensor)| (name.clone(), t.copy().unwrap());
    search.optimizer.state().0.iter().map(copy).collect()
}

/// Every name of the path's tensors.
fn names_on(search: &Search, path: &Path) -> BTreeSet<String> {
    let parameters = search.supernet.path_parameters(path).unwrap();
    let buffers = search.supernet.path_buffers(path).unwrap();
    parameters.iter().chain(&buffers).map(|(name, _)| (*name).to_owned()).collect()
}

/// Runs the first epoch, without a board, and half of the second, and hands over the search and the next batch.
fn with_search(check: impl FnOnce(&mut Search, &Sent)) {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("data");
    tiny::write_shards(&shards);
    let data = Arc::new(ShardSet::open(&shards).unwrap());
    let plan = tiny::search_plan(tiny::search_settings());
    let folder = RunFolder::open(dir.path().join("run"), &Resume::Auto).unwrap();
    let mut search = Search::start(&plan, &data, &folder, &Resume::Never, &mut Silent).unwrap();
    for sent in search.training_batches().unwrap() {
        search.step(&sent.unwrap(), || ()).unwrap();
    }
    assert!(search.prioritized.board().entries.is_empty(), "closed during the warm-up");
    search.end_epoch().unwrap();
    let mut batches = search.training_batches().unwrap();
    for sent in batches.by_ref().take(2) {
        search.step(&sent.unwrap(), || ()).unwrap();
    }
    assert!(!search.prioritized.board().entries.is_empty());
    check(&mut search, &batches.next().unwrap().unwrap());
}

/// A step with a teacher, probes and an update of the matching network changes nothing off the path, and on it the
/// running statistics move once, by the student's batch.
#[test]
fn a_distilled_step_changes_its_path_only() {
    with_search(|search, sent| {
        let step = search.position.step;
        let seed = search.plan.settings.seed;
        let path = search.sampler.sample(&mut Key::new(seed, Purpose::Path).rng(&[step, 0]));
        let before = search.supernet.weights().snapshot().unwrap();
        let momentum_before = momentum(search);
        let matching_before = search.matching.weights().snapshot().unwrap();
        // The student's forward pass by hand, and back.
        let pass = search.supernet.pass(Statistics::Update);
        search.supernet.forward(&search.feed.images_of(sent).unwrap(), &path, &pass).unwrap();
        let by_hand = search.supernet.weights().snapshot().unwrap();
        search.supernet.weights().load(&before, |_| false).unwrap();

        search.step(sent, || ()).unwrap();

        let after = search.supernet.weights().snapshot().unwrap();
        let on_path = names_on(search, &path);
        assert!(changed(&before, &after).is_subset(&on_path));
        assert!(changed(&momentum_before, &momentum(search)).is_subset(&on_path));
        for (name, _) in search.supernet.path_parameters(&path).unwrap() {
            assert!(changed(&before, &after).contains(name), "{name} has been trained");
        }
        for name in search.supernet.weights().buffers.keys() {
            assert_eq!(values(&after[name]), values(&by_hand[name]), "{name}");
        }
        let matching_after = search.matching.weights().snapshot().unwrap();
        let open_steps = step - 4;
        assert_eq!(
            open_steps % search.plan.settings.meta_interval,
            0,
            "this step updates the network"
        );
        assert!(changed(&matching_before, &matching_after).contains("meta_layer.weight"));
    });
}

#[test]
fn a_probe_is_the_start_of_its_batch_and_what_the_path_said_of_it() {
    with_search(|search, sent| {
        search.step(sent, || ()).unwrap();
        let step = search.position.step - 1;
        let entries = &search.prioritized.board().entries;
        let index = entries.iter().position(|e| e.step == step).unwrap();
        let probe = search.prioritized.probes()[index];
        let slice = search.plan.settings.slice;
        let images = search.feed.images_of(sent).unwrap().narrow(0, 0, slice).unwrap();
        assert_eq!(values(&probe.images), values(&images.contiguous().unwrap()));
        assert_eq!(probe.images.storage_and_layout().1.start_offset(), 0);
        let sums = probe.soft_labels.to_dtype(DType::F64).unwrap().sum(1).unwrap();
        assert!(sums.to_vec1::<f64>().unwrap().iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    });
}

/// One batch with a pixel that becomes infinite: skipped, it leaves no trace but in the counts, not even in the matching
/// network, which is updated on other images of the batch first; the next step is taken.
#[test]
fn a_tolerated_step_changes_nothing() {
    with_search(|search, sent| {
        let before = search.supernet.weights().snapshot().unwrap();
        let (momentum_before, matching) =
            (momentum(search), search.matching.weights().snapshot().unwrap());
        let entries = search.prioritized.board().entries.len();
        let (step, loss) = (search.position.step, search.position.loss);
        search.feed.spoiled = Some(0);
        assert!(search.step(sent, || ()).is_err(), "none is tolerated");
        // As for a run that has been given --skip-nonfinite 1.
        search.supernet.weights().load(&before, |_| false).unwrap();
        let touched = search.matching.weights().snapshot().unwrap();
        assert!(!changed(&matching, &touched).is_empty(), "there is something to undo");
        search.matching.weights().load(&matching, |_| false).unwrap();
        let mut plan = search.plan.clone();
        plan.settings.skip_nonfinite = 1;
        search.plan = Box::leak(Box::new(plan));
        assert!(matches!(search.step(sent, || ()).unwrap(), Step::Skipped(_)));
        assert!(changed(&before, &search.supernet.weights().snapshot().unwrap()).is_empty());
        assert!(changed(&momentum_before, &momentum(search)).is_empty());
        assert!(changed(&matching, &search.matching.weights().snapshot().unwrap()).is_empty());
        assert_eq!(search.prioritized.board().entries.len(), entries);
        assert_eq!((search.position.step, search.position.loss), (step + 1, loss));
        assert_eq!((search.skipped, search.position.skipped), (1, 1));
        assert!(search.step(sent, || ()).is_err(), "no more than one is tolerated");
        search.supernet.weights().load(&before, |_| false).unwrap();
        search.feed.spoiled = None;
        assert!(matches!(search.step(sent, || ()).unwrap(), Step::Taken(_)));
    });
}

/// Scoring that is cut off at any point leaves everything as it was, and done again gives what it would have given.
#[test]
fn scoring_can_be_cut_off_anywhere() {
    with_search(|search, _| {
        let before = search.supernet.weights().snapshot().unwrap();
        let scores = |search: &Search| -> Vec<Option<f64>> {
            search.prioritized.board().entries.iter().map(|e| e.validation_score).collect()
        };
        let unscored = scores(search);
        for calls in 0..8 {
            let left = std::cell::Cell::new(calls);
            let stop = || match left.get() {
                0 => Some(Reason::Signal(2)),
                n => {
                    left.set(n - 1);
                    None
                }
            };
            if search.rank_board(stop).unwrap().is_none() {
                break;
            }
            assert_eq!(scores(search), unscored, "after {calls} calls");
            assert!(changed(&before, &search.supernet.weights().snapshot().unwrap()).is_empty());
        }
        search.rank_board(|| None).unwrap();
        assert!(scores(search).iter().all(Option::is_some));
        assert!(changed(&before, &search.supernet.weights().snapshot().unwrap()).is_empty());
    });
}

/// A whole search under these settings: its supernet's tensors, without the matching network's, and its board's paths.
fn finished(settings: SearchSettings) -> (Tensors, Vec<Path>) {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("data");
    tiny::write_shards(&shards);
    let data = Arc::new(ShardSet::open(&shards).unwrap());
    let plan = tiny::search_plan(settings);
    let folder = RunFolder::open(dir.path().join("run"), &Resume::Auto).unwrap();
    let mut search = Search::start(&plan, &data, &folder, &Resume::Never, &mut Silent).unwrap();
    for _ in 0..plan.settings.epochs {
        for sent in search.training_batches().unwrap() {
            search.step(&sent.unwrap(), || ()).unwrap();
        }
        search.end_epoch().unwrap();
    }
    let paths = search.prioritized.board().entries.iter().map(|e| e.path.clone()).collect();
    (search.supernet.weights().tensors(), paths)
}

#[test]
fn where_nobody_teaches_it_does_not_matter_when_the_board_opens() {
    let settings = |pick_method, warmup_epochs| SearchSettings {
        pick_method,
        warmup_epochs,
        ..tiny::search_settings()
    };
    let (early, paths) = finished(settings(PickMethod::None, 0));
    let (late, _) = finished(settings(PickMethod::None, 2));
    assert!(changed(&early, &late).is_empty());
    assert!(!paths.is_empty(), "the board ranks all the same");
    let (taught, _) = finished(settings(PickMethod::Meta, 0));
    assert!(!changed(&early, &taught).is_empty());
}

#[test]
fn paths_of_a_supernet_may_have_fewer_layers() {
    let settings = SearchSettings {
        depths: Some(vec![1, 2, 1, 2, 1]),
        min_depths: Some(vec![1; 5]),
        board_size: 20,
        ..tiny::search_settings()
    };
    let (_, paths) = finished(settings);
    let depths: BTreeSet<Vec<usize>> = paths.iter().map(Path::depths).collect();
    assert!(depths.len() > 1, "{depths:?}");
}
