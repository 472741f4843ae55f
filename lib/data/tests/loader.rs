//! Shards written, opened and loaded: order, workers, resuming, splits, and every way a set can be
//! broken.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::path::Path;
use std::sync::Arc;

use cream_data::shards::writer::{SplitWriter, mark_search_validation, write_index};
use cream_data::{
    Batch, Crops, DataError, EvalTransform, Filter, ImageKind, Loader, LoaderSettings, Mixing,
    SampleId, ShardSet, Split, TrainCrop, TrainInterpolation, TrainTransform, Transform, Views,
};

const CLASSES: u32 = 3;
const PER_CLASS: u32 = 10;

/// A grey 12 x 10 PNG whose content depends on `seed`.
fn image(seed: u32) -> Vec<u8> {
    let data: Vec<u8> = (0..120_u32).map(|i| (i * 7 + seed * 31 + i * i * seed) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 12, 10);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    bytes
}

/// Three classes of ten training and one of two validation images, in shards of a few samples.
fn write_set(dir: &Path) {
    let mut train = SplitWriter::new(dir, Split::Train, 10_000);
    for class in 0..CLASSES {
        for number in 0..PER_CLASS {
            let bytes = image(class * 100 + number);
            train.push(&format!("s{number}"), class, ImageKind::Png, &bytes).unwrap();
        }
    }
    let mut train = train.finish().unwrap();
    mark_search_validation(&mut train.rows, 0.2, 1);
    let mut val = SplitWriter::new(dir, Split::Validation, 10_000);
    for class in 0..CLASSES {
        val.push("v", class, ImageKind::Png, &image(1000 + class)).unwrap();
    }
    let classes = ["ant", "bee", "cat"].map(String::from).to_vec();
    write_index(dir, classes, train, val.finish().unwrap(), serde_json::json!({})).unwrap();
}

fn set() -> (tempfile::TempDir, Arc<ShardSet>) {
    let dir = tempfile::tempdir().unwrap();
    write_set(dir.path());
    let set = ShardSet::open(dir.path()).unwrap();
    (dir, Arc::new(set))
}

fn settings(workers: usize) -> LoaderSettings {
    LoaderSettings { batch: 4, workers, queue: 2, seed: 5, ..LoaderSettings::default() }
}

fn augment() -> TrainTransform {
    let interpolation = TrainInterpolation::Random;
    let (scale, ratio) = ((0.08, 1.0), (0.75, 4.0 / 3.0));
    let crop = TrainCrop::ResizedCrop { image_size: 8, scale, ratio, interpolation };
    TrainTransform {
        crop,
        flip: 0.5,
        rand_augment: None,
        colour_jitter: 0.4,
        erasing: 0.5,
        mixing: None,
    }
}

fn train(set: &Arc<ShardSet>, workers: usize, epoch: u64, first: usize) -> Vec<Batch> {
    Loader::train(set, Split::Train, augment(), settings(workers), epoch, first)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn samples_come_back_as_written() {
    let (_dir, set) = set();
    set.verify().unwrap();
    assert_eq!(set.classes(), ["ant", "bee", "cat"]);
    let mut bytes = Vec::new();
    for (place, sample) in set.samples(Split::Train).into_iter().enumerate() {
        let (class, number) = (place as u32 / PER_CLASS, place as u32 % PER_CLASS);
        set.read(sample, &mut bytes).unwrap();
        assert_eq!(bytes, image(class * 100 + number));
        assert_eq!(set.label(sample).unwrap(), class);
        assert_eq!(set.key(sample).unwrap(), format!("s{number}"));
    }
    let last = set.samples(Split::Validation)[2];
    set.read(last, &mut bytes).unwrap();
    assert_eq!(bytes, image(1002));
    let beyond = SampleId::from_index(33);
    assert!(matches!(set.read(beyond, &mut bytes), Err(DataError::NoSample { count: 33, .. })));
}

#[test]
fn search_splits_divide_the_training_samples_by_class() {
    let (_dir, set) = set();
    let search = set.samples(Split::SearchValidation);
    assert_eq!(search.len(), 6);
    for class in 0..CLASSES {
        assert_eq!(search.iter().filter(|&&s| set.label(s).unwrap() == class).count(), 2);
    }
    let mut both = [search, set.samples(Split::SearchTrain)].concat();
    both.sort();
    assert_eq!(both, set.samples(Split::Train));
    for split in Split::ALL {
        assert_eq!(set.len(split), set.samples(split).len());
        assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
    }
    assert!(matches!("test".parse::<Split>(), Err(DataError::UnknownSplit(_))));
}

#[test]
fn any_number_of_workers_makes_the_same_batches() {
    let (_dir, set) = set();
    let expected = train(&set, 0, 3, 0);
    assert_eq!(expected.len(), 8);
    assert!(expected.iter().flat_map(|batch| &batch.erasures).any(Option::is_some));
    for workers in [1, 3, 20] {
        assert!(train(&set, workers, 3, 0) == expected, "{workers} workers");
    }
}

#[test]
fn slices_of_all_ranks_are_the_batches_of_one() {
    let (_dir, set) = set();
    let mixing = Some(Mixing { mixup: 0.8, cutmix: 1.0, ..Mixing::default() });
    let transform = TrainTransform { mixing, ..augment() };
    let load = |rank, ranks, workers| -> Vec<Batch> {
        let settings = LoaderSettings { batch: 8, rank, ranks, ..settings(workers) };
        let loader = Loader::train(&set, Split::Train, transform, settings, 2, 0).unwrap();
        loader.map(Result::unwrap).collect()
    };
    let (mean, std) = ([0.5; 3], [0.2; 3]);
    let whole = load(0, 1, 0);
    // Thirty samples: the last batch has six, of which the last of four ranks gets none.
    assert_eq!(whole.iter().map(Batch::len).collect::<Vec<_>>(), [8, 8, 8, 6]);
    assert!(whole.iter().all(|batch| batch.mix.is_some()));
    for ranks in [2, 4] {
        let parts: Vec<Vec<Batch>> = (0..ranks).map(|rank| load(rank, ranks, rank)).collect();
        for (index, batch) in whole.iter().enumerate() {
            let slices: Vec<&Batch> = parts.iter().map(|part| &part[index]).collect();
            let samples: Vec<SampleId> = slices.iter().flat_map(|b| b.samples.clone()).collect();
            assert_eq!(samples, batch.samples);
            let values: Vec<f32> = slices.iter().flat_map(|b| b.normalise(mean, std)).collect();
            assert!(values == batch.normalise(mean, std), "{ranks} ranks, batch {index}");
            let labels: Vec<_> = slices.iter().flat_map(|b| b.mixed_labels()).collect();
            assert_eq!(labels, batch.mixed_labels().collect::<Vec<_>>());
        }
    }
    assert!(load(3, 4, 1)[3].is_empty());
}

#[test]
fn memory_of_batches_is_used_again() {
    let (_dir, set) = set();
    let mut loader = Loader::train(&set, Split::Train, augment(), settings(0), 0, 0).unwrap();
    let first = loader.next().unwrap().unwrap();
    let place = first.pixels.as_ptr();
    let kept = first.clone();
    drop(first);
    let second = loader.next().unwrap().unwrap();
    assert_eq!(second.pixels.as_ptr(), place);
    assert_ne!(kept.pixels.as_ptr(), place);
    assert_ne!(kept, second);
}

#[test]
fn an_epoch_resumes_at_any_batch() {
    let (_dir, set) = set();
    let whole = train(&set, 0, 1, 0);
    for first in [1, 5, 8, 9] {
        let rest = train(&set, 3, 1, first);
        assert!(rest == whole[first.min(8)..], "from batch {first}");
    }
    let mut loader = Loader::train(&set, Split::Train, augment(), settings(2), 1, 3).unwrap();
    loader.next().unwrap().unwrap();
    assert_eq!(loader.position(), 4);
    assert!(train(&set, 1, 1, loader.position()) == whole[4..]);
}

#[test]
fn each_epoch_has_every_sample_once_in_an_order_of_its_own() {
    let (_dir, set) = set();
    let order = |epoch| -> Vec<SampleId> {
        train(&set, 0, epoch, 0).into_iter().flat_map(|batch| batch.samples).collect()
    };
    let (first, second) = (order(0), order(1));
    assert_ne!(first, second);
    for mut order in [first, second] {
        order.sort();
        assert_eq!(order, set.samples(Split::Train));
    }
}

#[test]
fn augmentation_depends_on_the_sample_not_on_its_place() {
    let (_dir, set) = set();
    let whole = train(&set, 0, 2, 0);
    let (batch, place) = (&whole[3], 2);
    let alone = Loader::samples(
        &set,
        vec![batch.samples[place]],
        Transform::Train(augment()),
        settings(1),
        2,
    );
    let alone = alone.unwrap().next().unwrap().unwrap();
    let image = 8 * 8 * 3;
    assert!(*alone.pixels == batch.pixels[place * image..(place + 1) * image]);
    assert_eq!(alone.erasures[0], batch.erasures[place]);
}

#[test]
fn small_images_are_moved_within_their_frame() {
    let (_dir, set) = set();
    let crop = TrainCrop::PadCrop { image_size: 16, shift: 2 };
    let transform = TrainTransform {
        crop,
        flip: 0.0,
        rand_augment: None,
        colour_jitter: 0.0,
        erasing: 0.0,
        mixing: None,
    };
    let framed = EvalTransform::PadCrop { image_size: 16 };
    let sample = set.samples(Split::Train)[4];
    let load = |transform, epoch| {
        let loader = Loader::samples(&set, vec![sample], transform, settings(0), epoch);
        loader.unwrap().next().unwrap().unwrap().pixels
    };
    let still = load(Transform::Eval(framed), 0);
    let mut moves = std::collections::HashSet::new();
    for epoch in 0..200 {
        let moved = load(Transform::Train(transform), epoch);
        let found = (-2..=2_i64).flat_map(|y| (-2..=2_i64).map(move |x| (y, x))).find(|(y, x)| {
            (0..256).all(|p| {
                let (row, column) = (p / 16 - y, p % 16 - x);
                let inside = (0..16).contains(&row) && (0..16).contains(&column);
                let from = if inside { still[((row * 16 + column) * 3) as usize] } else { 0 };
                moved[(p * 3) as usize] == from
            })
        });
        moves.insert(found.expect("a shift of at most 2 pixels"));
    }
    assert_eq!(moves.len(), 25);
}

#[test]
fn several_views_of_a_sample_stand_in_a_row() {
    let (_dir, set) = set();
    let samples = set.samples(Split::Train)[3..8].to_vec();
    let crop = EvalTransform::ResizeCrop { image_size: 8, crop: 0.8, filter: Filter::Bicubic };
    let load = |transform: Transform| -> Vec<Batch> {
        let settings = LoaderSettings { batch: 2, ..settings(2) };
        let loader = Loader::samples(&set, samples.clone(), transform, settings, 0).unwrap();
        loader.map(Result::unwrap).collect()
    };
    let views = Views { crops: Crops::Five, mirrored: true };
    let (one, ten) = (load(Transform::Eval(crop)), load(Transform::Views(crop, views)));
    assert_eq!(ten.iter().map(Batch::len).collect::<Vec<_>>(), [20, 20, 10]);
    let image = 8 * 8 * 3;
    for (one, ten) in one.iter().zip(&ten) {
        assert_eq!(ten.pixels.len(), ten.len() * image);
        assert_eq!((ten.labels.len(), ten.erasures.len()), (ten.len(), ten.len()));
        for place in 0..ten.len() {
            assert_eq!(ten.samples[place], one.samples[place / 10]);
            assert_eq!(ten.labels[place], one.labels[place / 10]);
        }
        for (alone, views) in one.pixels.chunks(image).zip(ten.pixels.chunks(10 * image)) {
            // The fifth is the one in the middle.
            assert!(views.chunks(image).nth(4) == Some(alone));
        }
    }
}

#[test]
fn evaluation_counts_every_sample_and_training_may_drop_the_rest() {
    let (_dir, set) = set();
    let settings = LoaderSettings { drop_last: true, ..settings(2) };
    let crop = EvalTransform::ResizeCrop { image_size: 8, crop: 0.875, filter: Filter::Bilinear };
    let eval = Loader::eval(&set, Split::Train, crop, settings).unwrap();
    assert_eq!(eval.batches(), 8);
    let batches: Vec<Batch> = eval.map(Result::unwrap).collect();
    assert_eq!(batches.last().unwrap().len(), 2);
    let samples: Vec<SampleId> = batches.into_iter().flat_map(|batch| batch.samples).collect();
    assert_eq!(samples, set.samples(Split::Train));
    let train = Loader::train(&set, Split::Train, augment(), settings, 0, 0).unwrap();
    assert_eq!((train.batches(), train.count()), (7, 7));
}

#[test]
fn settings_out_of_range_are_named() {
    let (_dir, set) = set();
    let bad = LoaderSettings { batch: 0, ..settings(0) };
    let error = Loader::train(&set, Split::Train, augment(), bad, 0, 0).err().unwrap();
    assert_eq!(error.to_string(), "batch is 0, but must be 1 to 65536");
    let named = |bad: LoaderSettings, transform: TrainTransform| {
        let made = Loader::train(&set, Split::Train, transform, bad, 0, 0);
        made.err().unwrap().to_string()
    };
    let bad = LoaderSettings { ranks: 3, ..settings(0) };
    assert_eq!(named(bad, augment()), "ranks is 3, but must be a divisor of the batch");
    let bad = LoaderSettings { ranks: 2, rank: 2, ..settings(0) };
    assert_eq!(named(bad, augment()), "rank is 2, but must be below the number of ranks");
    let bad = LoaderSettings { ranks: 4, ..settings(0) };
    let mixing = TrainTransform { mixing: Some(Mixing::default()), ..augment() };
    assert!(named(bad, mixing).starts_with("batch is 4, but must be an even number per rank"));
    let transform = TrainTransform { flip: 1.5, ..augment() };
    let error = Loader::train(&set, Split::Train, transform, settings(0), 0, 0).err().unwrap();
    assert!(error.to_string().starts_with("flip is 1.5"));
}

#[test]
fn a_broken_sample_stands_in_its_place_and_the_rest_still_come() {
    let (dir, set) = set();
    // Breaks the PNG signature of the first sample, which the size check of opening cannot see.
    let path = dir.path().join("train-000000.tar");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|four| four == b"\x89PNG").unwrap();
    bytes[at] = 0;
    std::fs::write(&path, &bytes).unwrap();
    let crop = EvalTransform::PadCrop { image_size: 16 };
    for workers in [0, 2] {
        let loader = Loader::eval(&set, Split::Train, crop, settings(workers)).unwrap();
        let results: Vec<_> = loader.collect();
        assert_eq!(results.len(), 8);
        let error = results[0].as_ref().unwrap_err().to_string();
        assert!(error.contains("train-000000.tar: sample s0: neither JPEG nor PNG"), "{error}");
        assert!(results[1..].iter().all(Result::is_ok));
    }
    assert!(matches!(set.verify(), Err(DataError::Mismatch { what: "its SHA-256", .. })));
}

#[test]
fn leaving_an_epoch_early_ends_the_threads() {
    let (_dir, set) = set();
    let mut loader = Loader::train(&set, Split::Train, augment(), settings(3), 0, 0).unwrap();
    loader.next().unwrap().unwrap();
    drop(loader);
    assert_eq!(Arc::strong_count(&set), 1);
}

/// Opens a set after `harm` was done to it, and returns the error.
fn harmed(harm: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    write_set(dir.path());
    harm(dir.path());
    ShardSet::open(dir.path()).unwrap_err().to_string()
}

fn edit(dir: &Path, from: &str, to: &str) {
    let path = dir.join("index.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn each_harm_to_a_set_is_found_at_opening() {
    let remove =
        |file: &'static str| move |dir: &Path| std::fs::remove_file(dir.join(file)).unwrap();
    let cases: Vec<(String, &str)> = vec![
        (harmed(remove("index.json")), "no index.json"),
        (harmed(remove("train-000001.tar")), "train-000001.tar"),
        (harmed(remove("val-table.csv")), "val-table.csv"),
        (harmed(|d| edit(d, "\"cream-shards\"", "\"other\"")), "format is \"other\""),
        (harmed(|d| edit(d, "\"version\": 1", "\"version\": 2")), "format version 2"),
        (harmed(|d| edit(d, "\"samples\": 30", "\"samples\": 31")), "30 samples"),
        (harmed(|d| edit(d, "train-000000.tar", "../x.tar")), "not a plain file name"),
        (harmed(|d| edit(d, "\"made\"", "\"maid\"")), "unknown field `maid`"),
        (harmed(|d| edit(d, "\"sha256\": \"", "\"sha256\": \"x")), "64 hexadecimal"),
        (harmed(|d| std::fs::write(d.join("index.json"), "{").unwrap()), "EOF"),
        (
            harmed(|d| {
                let path = d.join("train-000000.tar");
                let length = std::fs::metadata(&path).unwrap().len();
                std::fs::OpenOptions::new()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_len(length / 2)
                    .unwrap();
            }),
            "its size in bytes",
        ),
        (
            harmed(|d| {
                let path = d.join("train-table.csv");
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(path, text.replacen("s0", "s1", 1)).unwrap();
            }),
            "its SHA-256",
        ),
    ];
    for (error, wanted) in cases {
        assert!(error.contains(wanted), "{error:?} should say {wanted:?}");
        assert!(!error.contains('\n'), "{error:?} is more than one line");
    }
}
