//! `imagenet-prep show`: the sheet holds what the loader gives a trainer.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cream_data::{
    Batch, EvalTransform, Filter, Loader, LoaderSettings, Mixing, RandAugment, RgbImage, ShardSet,
    Split, TrainCrop, TrainInterpolation, TrainTransform, Transform, decode,
};
use tempfile::TempDir;
use tool::Tool;

const PREP: Tool = Tool::new("imagenet-prep", env!("CARGO_BIN_EXE_imagenet-prep"));
const SIDE: usize = 48;
const GAP: usize = 2;

/// Photographs in six classes.
fn set() -> (TempDir, Arc<ShardSet>) {
    let dir = tempfile::tempdir().unwrap();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/plankton");
    let (src, out) = (src.display(), dir.path().join("set"));
    PREP.succeeds(&format!("{src} {} --val-share 0.2 --quiet", out.display()), "");
    let set = Arc::new(ShardSet::open(out).unwrap());
    (dir, set)
}

/// The sheet and the lines about its tiles.
fn show(dir: &TempDir, arguments: &str) -> (RgbImage, Vec<String>) {
    let (set, sheet) = (dir.path().join("set"), dir.path().join("sheet.png"));
    let words = format!("show {} --out {} {arguments}", set.display(), sheet.display());
    let (out, errors) = PREP.succeeds(&words, "");
    assert_eq!(errors, "");
    (decode(&fs::read(sheet).unwrap()).unwrap(), out.lines().map(str::to_owned).collect())
}

/// The pixels of a tile, and whether a gap follows it.
fn tile(sheet: &RgbImage, row: usize, column: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in row * (SIDE + GAP)..row * (SIDE + GAP) + SIDE {
        let start = (y * sheet.width + column * (SIDE + GAP)) * 3;
        pixels.extend_from_slice(&sheet.pixels[start..start + SIDE * 3]);
    }
    pixels
}

/// What arch-retrain does unless told otherwise.
fn full() -> TrainTransform {
    TrainTransform {
        crop: TrainCrop::ResizedCrop {
            image_size: SIDE,
            scale: (0.08, 1.0),
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            interpolation: TrainInterpolation::Random,
        },
        flip: 0.5,
        rand_augment: Some(RandAugment { operations: 2, magnitude: 9.0, ..RandAugment::default() }),
        colour_jitter: 0.0,
        erasing: 0.2,
        mixing: None,
    }
}

/// The first batch of an epoch as a trainer loads it.
fn batch(
    set: &Arc<ShardSet>,
    split: Split,
    transform: impl Into<Transform>,
    (batch, seed, epoch): (usize, u64, u64),
) -> Batch {
    let settings = LoaderSettings { batch, seed, ..LoaderSettings::default() };
    Loader::train(set, split, transform, settings, epoch, 0).unwrap().next().unwrap().unwrap()
}

/// Every tile is its image, but for what is erased: there is noise.
fn same(sheet: &RgbImage, columns: usize, batch: &Batch, tiles: usize) -> usize {
    let mut erased = 0;
    for (place, pixels) in batch.pixels.chunks_exact(SIDE * SIDE * 3).take(tiles).enumerate() {
        let tile = tile(sheet, place / columns, place % columns);
        let Some(e) = batch.erasures[place] else {
            assert!(tile == pixels, "tile {place}");
            continue;
        };
        let mut differ = 0;
        for (at, (shown, pixel)) in tile.chunks(3).zip(pixels.chunks(3)).enumerate() {
            let (y, x) = (at / SIDE, at % SIDE);
            let inside = (e.y..e.y + e.height).contains(&y) && (e.x..e.x + e.width).contains(&x);
            assert!(inside || shown == pixel, "tile {place}, row {y}, column {x}");
            differ += usize::from(shown != pixel);
        }
        assert!(differ > e.height * e.width * 9 / 10, "tile {place} has no noise");
        erased += 1;
    }
    erased
}

#[test]
fn a_sheet_is_the_first_images_of_the_epoch_with_their_augmentation() {
    let (dir, set) = set();
    let flags = "--split train --n 30 --augment full --size 48 --seed 3 --epoch 2";
    let (sheet, lines) = show(&dir, flags);
    // 8 columns: the square of 7 is less than twice 30.
    assert_eq!((sheet.width, sheet.height), (8 * 50 - 2, 4 * 50 - 2));
    let batch = batch(&set, Split::Train, full(), (64, 3, 2));
    assert!(same(&sheet, 8, &batch, 30) > 2);
    // Between tiles, and where there is none, the sheet is white.
    assert_eq!(sheet.pixels[SIDE * 3..(SIDE + GAP) * 3], [255; 6]);
    assert!(tile(&sheet, 3, 6).iter().chain(&tile(&sheet, 3, 7)).all(|&value| value == 255));
    assert_eq!(lines.len(), 30);
    for (place, line) in lines.iter().enumerate() {
        let key = set.key(batch.samples[place]).unwrap();
        let class = &set.classes()[batch.labels[place] as usize];
        assert_eq!(*line, format!("{}\t{}\t{key}\t{class}", place / 8 + 1, place % 8 + 1));
    }
    // Full is arch-retrain's default, and each part of the key counts.
    let (again, _) = show(&dir, "--n 30 --image-size 48 --seed 3 --epoch 2");
    assert!(again == sheet);
    for other in ["--seed 4 --epoch 2", "--seed 3 --epoch 1", "--seed 3 --epoch 2 --augment basic"]
    {
        assert!(show(&dir, &format!("--n 30 --size 48 {other}")).0 != sheet, "{other}");
    }
}

#[test]
fn the_search_s_images_are_shown_as_supernet_train_has_them() {
    let (dir, set) = set();
    let (sheet, lines) = show(&dir, "--split search-train --n 8 --size 48");
    let transform = TrainTransform { rand_augment: None, colour_jitter: 0.4, ..full() };
    same(&sheet, 4, &batch(&set, Split::SearchTrain, transform, (128, 0, 0)), 8);
    assert_eq!(lines.len(), 8);
}

#[test]
fn without_augmentation_and_of_validation_images_it_is_the_evaluation_s_crop() {
    let (dir, set) = set();
    let crop = EvalTransform::ResizeCrop { image_size: 48, crop: 0.875, filter: Filter::Bicubic };
    for (flags, split) in [
        ("--augment none", Split::Train),
        ("--split val", Split::Validation),
        ("--split search-val", Split::SearchValidation),
    ] {
        let (sheet, _) = show(&dir, &format!("--n 4 --size 48 --seed 1 {flags}"));
        assert_eq!(same(&sheet, 3, &batch(&set, split, crop, (4, 1, 0)), 4), 0);
    }
    // All there are, where there are fewer than asked for.
    let (_, lines) = show(&dir, "--split val --size 48 --n 5000");
    assert_eq!(lines.len(), set.len(Split::Validation));
}

#[test]
fn images_are_mixed_as_in_the_trainer_s_batches() {
    let (dir, set) = set();
    let flags = "--n 7 --size 48 --augment basic --erasing 0 --batch 4 --mixup 0.8 --seed 2";
    let (sheet, lines) = show(&dir, flags);
    let mixing = Some(Mixing { mixup: 0.8, cutmix: 0.0, ..Mixing::default() });
    let transform = TrainTransform { rand_augment: None, erasing: 0.0, mixing, ..full() };
    let settings = LoaderSettings { batch: 4, seed: 2, ..LoaderSettings::default() };
    let loader = Loader::train(&set, Split::Train, transform, settings, 0, 0).unwrap();
    let mut tiles = 0;
    for batch in loader.take(2).map(Result::unwrap) {
        let images: Vec<&[u8]> = batch.pixels.chunks_exact(SIDE * SIDE * 3).collect();
        for (place, (label, partner, own)) in batch.mixed_labels().enumerate().take(7 - tiles) {
            let shown = tile(&sheet, tiles / 4, tiles % 4);
            let pairs = images[place].iter().zip(images[batch.partner(place)]);
            for (shown, (&a, &b)) in shown.iter().zip(pairs) {
                let wanted = own * f32::from(a) + (1.0 - own) * f32::from(b);
                assert!((f32::from(*shown) - wanted).abs() < 0.51, "tile {tiles}");
            }
            let [label, partner] = [label, partner].map(|label| &set.classes()[label as usize]);
            let end = format!("\t{label}\t\t{partner} {:.3}", 1.0 - own);
            assert!(lines[tiles].ends_with(&end), "{}: {end}", lines[tiles]);
            tiles += 1;
        }
    }
    assert_eq!(tiles, 7);
}

#[test]
fn a_recipe_is_followed_and_standard_output_takes_the_sheet() {
    let (dir, set) = set();
    let recipe = dir.path().join("config.toml");
    let text = "epochs = 3\naugment = \"basic\"\ntransform = \"pad-crop\"\nshift = 3\nflip = 0.25\n\
                colour-jitter = 0.0\nerasing = 0.0\nimage-size = 48\nseed = 9\nbatch = 16\n";
    fs::write(&recipe, text).unwrap();
    let (sheet, lines) = show(&dir, &format!("--n 6 --config {}", recipe.display()));
    let crop = TrainCrop::PadCrop { image_size: SIDE, shift: 3 };
    let transform = TrainTransform { crop, flip: 0.25, rand_augment: None, erasing: 0.0, ..full() };
    same(&sheet, 4, &batch(&set, Split::Train, transform, (16, 9, 0)), 6);
    let words = format!(
        "show {} --n 6 --config {} --out -",
        dir.path().join("set").display(),
        recipe.display()
    );
    let output = PREP.run(&words, "");
    assert!(output.status.success());
    assert!(decode(&output.stdout).unwrap() == sheet);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), lines);
    // Only what it knows is printed as settings, and where each comes from.
    let (printed, _) = PREP.succeeds(&format!("{words} --flip 1 --print-config"), "");
    assert!(printed.contains("flip = 1.0  # flag --flip") && printed.contains("seed = 9  # "));
    assert!(printed.contains("# ignored: epochs in "), "{printed}");
}
