//! The binary as a user runs it: every form of source, every hazard, every kind of error.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

mod made;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cream_data::{ShardSet, Split, decode};
use made::content;
use tempfile::TempDir;

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn prep(src: &Path, out: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
        .args([src, out])
        .args(flags)
        .env_remove("CREAM_SEED")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs with success.
fn good(src: &Path, out: &Path, flags: &[&str]) -> String {
    let output = prep(src, out, flags);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    stderr(&output)
}

/// Runs with the given exit status, and returns the one line that says why.
fn bad(status: i32, src: &Path, out: &Path, flags: &[&str]) -> String {
    let output = prep(src, out, flags);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("imagenet-prep: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}

fn png(value: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 3);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[value; 12]).unwrap();
    bytes
}

/// Two classes, `train` with three images each and `val` with one.
fn class_folders() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (class, first) in [("ant", 0), ("bee", 10)] {
        for (split, count) in [("train", 3), ("val", 1)] {
            let folder = dir.path().join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let name = format!("{class}{split}{number}.png");
                fs::write(folder.join(name), png(first + number)).unwrap();
            }
        }
    }
    dir
}

fn keys(set: &ShardSet, split: Split) -> Vec<String> {
    set.samples(split).into_iter().map(|s| set.key(s).unwrap().to_owned()).collect()
}

#[test]
fn the_bundled_data_keeps_every_pixel_and_label() {
    let out = tempfile::tempdir().unwrap();
    let src = tests_folder().join("data/fashion-mnist");
    let text = good(&src, out.path(), &["--search-val-share", "0.15"]);
    assert!(text.contains("5000 training images (750 of them for search validation)"), "{text}");
    let set = ShardSet::open(out.path()).unwrap();
    set.verify().unwrap();
    assert_eq!((set.len(Split::Train), set.len(Split::Validation)), (5000, 3000));
    assert_eq!((set.num_classes(), set.classes()[9].as_str()), (10, "Ankle boot"));
    let raw = |name: &str, header: usize| {
        let mut bytes = Vec::new();
        let file = fs::File::open(src.join(name)).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
        bytes.split_off(header)
    };
    let pixels = raw("train-images-idx3-ubyte.gz", 16);
    let labels = raw("train-labels-idx1-ubyte.gz", 8);
    let mut bytes = Vec::new();
    for sample in set.samples(Split::Train).into_iter().step_by(41) {
        let number: usize = set.key(sample).unwrap()["train-".len()..].parse().unwrap();
        assert_eq!(set.label(sample).unwrap(), u32::from(labels[number]));
        set.read(sample, &mut bytes).unwrap();
        let grey: Vec<u8> = decode(&bytes).unwrap().pixels.into_iter().step_by(3).collect();
        assert_eq!(grey, pixels[number * 784..(number + 1) * 784]);
    }
    let marked = set.samples(Split::SearchValidation);
    for class in 0..10 {
        assert_eq!(marked.iter().filter(|&&s| set.label(s).unwrap() == class).count(), 75);
    }
}

#[test]
fn real_photographs_give_the_same_bytes_for_any_number_of_workers() {
    let src = tests_folder().join("data/plankton");
    // The licence and the note beside the class folders are no class folders.
    let (one, three) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let flags = ["--val-share", "0.2", "--quiet", "--workers"];
    let text = good(&src, one.path(), &[&flags[..], &["1"]].concat());
    assert!(text.is_empty(), "{text}");
    good(&src, three.path(), &[&flags[..], &["3"]].concat());
    assert!(content(one.path()) == content(three.path()));
    let set = ShardSet::open(one.path()).unwrap();
    assert_eq!(set.num_classes(), 6);
    assert_eq!(set.len(Split::Train) + set.len(Split::Validation), 105);
    let sample = set.samples(Split::Train)[0];
    let source = src.join(&set.classes()[0]).join(format!("{}.jpg", set.key(sample).unwrap()));
    let mut bytes = Vec::new();
    set.read(sample, &mut bytes).unwrap();
    assert_eq!(bytes, fs::read(source).unwrap());
}

#[test]
fn small_shards_divide_a_split() {
    let out = tempfile::tempdir().unwrap();
    let src = tests_folder().join("data/fashion-mnist");
    good(&src, out.path(), &["--shard-size", "5"]);
    let set = ShardSet::open(out.path()).unwrap();
    set.verify().unwrap();
    let shards: Vec<u64> = content(out.path())
        .iter()
        .filter(|(name, _)| name.starts_with("train-0"))
        .map(|(_, bytes)| bytes.len() as u64)
        .collect();
    assert_eq!(shards.len(), 3);
    // A closed tar ends with two empty blocks.
    assert!(shards.iter().all(|&bytes| bytes <= (5 << 20) + 1024));
    let last = *set.samples(Split::Train).last().unwrap();
    let mut bytes = Vec::new();
    set.read(last, &mut bytes).unwrap();
    assert_eq!(decode(&bytes).unwrap().width, 28);
}

#[test]
fn every_hazard_is_kept_or_set_aside_with_its_reason() {
    let src = class_folders();
    let ant = src.path().join("train/ant");
    let photo = fs::read(tests_folder().join("golden/photos/chelsea.jpg")).unwrap();
    // Kept: a PNG called .JPEG, a name that is not UTF-8, a name that another class has too, and a
    // name that WebDataset would split.
    fs::write(ant.join("wrong.JPEG"), png(7)).unwrap();
    fs::write(ant.join(OsStr::from_bytes(b"caf\xe9.jpg")), &photo).unwrap();
    fs::write(ant.join("001.png"), png(8)).unwrap();
    fs::write(src.path().join("train/bee/001.png"), png(9)).unwrap();
    fs::write(ant.join("v1.2.png"), png(6)).unwrap();
    // Passed over.
    fs::write(ant.join("notes.txt"), "not an image").unwrap();
    fs::write(ant.join(".DS_Store"), "x").unwrap();
    // Set aside.
    fs::write(ant.join("cut.jpg"), &photo[..photo.len() / 2]).unwrap();
    fs::write(ant.join("empty.jpg"), "").unwrap();
    fs::write(ant.join("page.jpg"), "<html>").unwrap();
    fs::write(ant.join("wrong.png"), png(5)).unwrap();
    std::os::unix::fs::symlink("nowhere", ant.join("lost.jpg")).unwrap();
    let mut bomb = photo.clone();
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    fs::write(ant.join("bomb.jpg"), bomb).unwrap();

    let out = src.path().join("out");
    let text = good(src.path(), &out, &["--max-bad-share", "0.5"]);
    assert!(text.contains("6 set aside") && text.contains("2 files not called"), "{text}");
    let report = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    for (name, reason) in [
        ("train/ant/cut.jpg", "truncated"),
        ("train/ant/empty.jpg", "empty"),
        ("train/ant/page.jpg", "neither JPEG nor PNG"),
        ("train/ant/wrong.png", "duplicate key"),
        ("train/ant/lost.jpg", "No such file"),
        ("train/ant/bomb.jpg", "pixels"),
    ] {
        let line = report.lines().find(|line| line.starts_with(name)).expect(name);
        assert!(line.contains(reason), "{line}");
    }
    let set = ShardSet::open(&out).unwrap();
    let train = keys(&set, Split::Train);
    for key in ["wrong", "caf%E9", "ant_001", "bee_001", "v1%2E2"] {
        assert!(train.iter().any(|found| found == key), "{key}: {train:?}");
    }
    assert_eq!(train.len(), 6 + 5);
}

#[test]
fn too_many_bad_images_fail_the_run_and_leave_no_set() {
    let src = class_folders();
    fs::write(src.path().join("train/ant/page.jpg"), "<html>").unwrap();
    let out = src.path().join("out");
    let error = bad(1, src.path(), &out, &[]);
    assert!(error.contains("1 of 9 images are bad") && error.contains("page.jpg"), "{error}");
    assert!(fs::read_to_string(out.join("quarantine.csv")).unwrap().contains("page.jpg"));
    assert!(ShardSet::open(&out).is_err());
    // The same folder serves once the share is allowed.
    good(src.path(), &out, &["--max-bad-share", "0.2"]);
    assert_eq!(ShardSet::open(&out).unwrap().len(Split::Train), 6);
}

#[test]
fn a_finished_set_is_left_alone_until_told_otherwise() {
    let src = class_folders();
    let out = src.path().join("out");
    good(src.path(), &out, &[]);
    let before = content(&out);
    let index = fs::metadata(out.join("index.json")).unwrap().modified().unwrap();
    assert!(good(src.path(), &out, &["--workers", "2"]).contains("up to date"));
    assert_eq!(fs::metadata(out.join("index.json")).unwrap().modified().unwrap(), index);

    let error = bad(2, src.path(), &out, &["--seed", "1"]);
    assert!(error.contains("seed was 0, is 1") && error.contains("--overwrite"), "{error}");
    assert_eq!(content(&out), before);
    good(src.path(), &out, &["--seed", "1", "--overwrite"]);

    fs::write(src.path().join("train/ant/new.png"), png(99)).unwrap();
    let error = bad(2, src.path(), &out, &["--seed", "1"]);
    assert!(error.contains("SRC holds other files now"), "{error}");
    good(src.path(), &out, &["--overwrite"]);
    assert_eq!(ShardSet::open(&out).unwrap().len(Split::Train), 7);
}

#[test]
fn what_an_interrupted_run_left_is_replaced_and_other_files_are_not() {
    let src = class_folders();
    let (clean, out) = (src.path().join("clean"), src.path().join("out"));
    good(src.path(), &clean, &[]);
    fs::create_dir(&out).unwrap();
    for left in ["train-000000.tar", "train-000007.tar", ".val-000000.tar.9-0.tmp"] {
        fs::write(out.join(left), "half").unwrap();
    }
    let error = bad(2, src.path(), &out, &[]);
    assert!(error.contains("not empty and no shard set"), "{error}");
    fs::write(out.join(".imagenet-prep.lock"), "").unwrap();
    good(src.path(), &out, &[]);
    assert!(content(&out) == content(&clean));
    let error = bad(2, src.path(), src.path(), &["--overwrite"]);
    assert!(error.contains("is SRC itself"), "{error}");
}

#[test]
fn lists_name_images_anywhere_and_order_numbers_as_numbers() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("pool")).unwrap();
    let mut train = "label,path\n".to_owned();
    for label in [10, 2] {
        for number in 0..2 {
            fs::write(dir.path().join(format!("pool/{label}-{number}.png")), png(label)).unwrap();
            train += &format!("{label},pool/{label}-{number}.png\n");
        }
    }
    fs::write(dir.path().join("train.csv"), &train).unwrap();
    fs::write(dir.path().join("val.csv"), "path,label\npool/10-0.png,10\n").unwrap();
    let out = dir.path().join("out");
    good(dir.path(), &out, &[]);
    let set = ShardSet::open(&out).unwrap();
    assert_eq!(set.classes(), ["2", "10"]);
    assert_eq!(keys(&set, Split::Train), ["2-0", "2-1", "10-0", "10-1"]);

    let cases = [
        ("val.csv", "path,label\npool/2-0.png,3\n", "label 3 does not occur in train.csv"),
        ("val.csv", "file,label\nx,2\n", "no column path"),
        ("val.csv", "path,label\n,2\n", "line 2: empty path"),
        ("val.csv", "path,label\n", "no images"),
        ("train.csv", "path,label\na,1,2\n", "CSV"),
    ];
    for (file, text, reason) in cases {
        fs::write(dir.path().join(file), text).unwrap();
        let error = bad(2, dir.path(), &dir.path().join("other"), &[]);
        assert!(error.contains(file) && error.contains(reason), "{error}");
    }
}

fn write_idx(dir: &Path, name: &str, header: &[u32], values: &[u8]) {
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(values);
    fs::write(dir.join(name), bytes).unwrap();
}

fn idx_files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "t10k"] {
        write_idx(dir.path(), &format!("{part}-images-idx3-ubyte"), &[0x803, 4, 2, 3], &[9; 24]);
        write_idx(dir.path(), &format!("{part}-labels-idx1-ubyte"), &[0x801, 4], &[0, 1, 1, 0]);
    }
    dir
}

#[test]
fn idx_files_without_names_number_their_classes() {
    let src = idx_files();
    let out = src.path().join("out");
    good(src.path(), &out, &[]);
    let set = ShardSet::open(&out).unwrap();
    assert_eq!(set.classes(), ["0", "1"]);
    assert_eq!(
        keys(&set, Split::Validation),
        ["t10k-00000", "t10k-00003", "t10k-00001", "t10k-00002"]
    );
}

#[test]
fn each_fault_of_an_idx_file_is_named() {
    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "train-labels-idx1-ubyte";
    let cases: [(&str, &[u32], usize, &str); 8] = [
        (IMAGES, &[0x801, 4, 2, 3], 24, "magic number"),
        (IMAGES, &[0x803, 4], 0, "no IDX header"),
        (IMAGES, &[0x803, 4, 2, 3], 23, "fewer than the 24 values"),
        (IMAGES, &[0x803, 4, 2, 3], 25, "more than the 24 values"),
        (IMAGES, &[0x803, u32::MAX, u32::MAX, u32::MAX], 0, "values"),
        (IMAGES, &[0x803, 4, 0, 3], 0, "sides must be"),
        (IMAGES, &[0x803, 5, 2, 3], 30, "4 labels, but there are 5 images"),
        (LABELS, &[0x801, 3], 3, "3 labels, but there are 4 images"),
    ];
    for (file, header, values, reason) in cases {
        let src = idx_files();
        write_idx(src.path(), file, header, &vec![0; values]);
        let error = bad(2, src.path(), &src.path().join("out"), &[]);
        assert!(error.contains("train-") && error.contains(reason), "{error}");
    }
    let src = idx_files();
    fs::remove_file(src.path().join("t10k-labels-idx1-ubyte")).unwrap();
    assert!(bad(2, src.path(), &src.path().join("out"), &[]).contains("missing"));
    let src = idx_files();
    fs::write(src.path().join("classes.txt"), "only\n").unwrap();
    assert!(bad(2, src.path(), &src.path().join("out"), &[]).contains("1 names, but a label is 1"));
    let src = idx_files();
    fs::remove_file(src.path().join(IMAGES)).unwrap();
    fs::write(src.path().join(format!("{IMAGES}.gz")), "this is not compressed").unwrap();
    assert!(bad(2, src.path(), &src.path().join("out"), &[]).contains("gzip"));
    // A bomb is read no further than its header promises.
    let header: Vec<u8> = [0x803_u32, 4, 2, 3].iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, &[header, vec![0; 80 << 20]].concat()).unwrap();
    fs::write(src.path().join(format!("{IMAGES}.gz")), packer.finish().unwrap()).unwrap();
    let error = bad(2, src.path(), &src.path().join("out"), &[]);
    assert!(error.contains("more than the 24 values"), "{error}");
}

#[test]
fn classes_and_images_can_be_chosen() {
    let src = tests_folder().join("data/fashion-mnist");
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--random-classes", "3", "--per-class", "20", "--val-per-class", "5", "--seed"];
    let choose = |seed: &str, name: &str| {
        let out = dir.path().join(name);
        good(&src, &out, &[&flags[..], &[seed]].concat());
        ShardSet::open(out).unwrap()
    };
    let (first, again, other) = (choose("1", "a"), choose("1", "b"), choose("2", "c"));
    assert_eq!((first.len(Split::Train), first.len(Split::Validation)), (60, 15));
    assert_eq!(first.checksum(), again.checksum());
    assert_ne!(keys(&first, Split::Train), keys(&other, Split::Train));

    let named = dir.path().join("named");
    good(&src, &named, &["--classes", "Bag, Coat", "--per-class", "4"]);
    assert_eq!(ShardSet::open(&named).unwrap().classes(), ["Coat", "Bag"]);
    let error = bad(2, &src, &dir.path().join("d"), &["--classes", "Hat"]);
    assert!(error.contains("no class Hat"), "{error}");
    let error = bad(2, &src, &dir.path().join("d"), &["--random-classes", "11"]);
    assert!(error.contains("has 10 classes, fewer than the 11"), "{error}");
}

#[test]
fn wrong_input_ends_with_status_2_and_writes_nothing() {
    let src = class_folders();
    let (path, out) = (src.path(), src.path().join("out"));
    let single = path.join("train");
    for (source, flags, reason) in [
        (path.join("nothing"), &[][..], "No such file"),
        (path.join("train/ant/anttrain0.png"), &[], "not a folder"),
        (path.join("train/ant"), &[], "no class folders"),
        (single.clone(), &[], "--val-share 0.1"),
        (path.to_owned(), &["--val-share", "0.1"], "validation images of its own"),
        (path.to_owned(), &["--search-val-share", "2"], "not a share"),
        (path.to_owned(), &["--workers", "0"], "from 1 to 256"),
        (path.to_owned(), &["--shard-size", "0"], "from 1 to"),
        (path.to_owned(), &["--classes", "ant,,bee"], "empty name"),
        (path.to_owned(), &["--classes", "a", "--random-classes", "1"], "exclude each other"),
    ] {
        let error = bad(2, &source, &out, flags);
        assert!(error.contains(reason), "{error}");
    }
    fs::create_dir(path.join("val/cow")).unwrap();
    assert!(bad(2, path, &out, &[]).contains("no training folder"));
    fs::rename(path.join("val/cow"), path.join("train/cow")).unwrap();
    assert!(bad(2, path, &out, &[]).contains("class cow has no training images"));
    for flags in [["--shards", "3"], ["--search-val-share", "NaN"]] {
        assert_eq!(prep(path, &out, &flags).status.code(), Some(2), "{flags:?}");
    }
    assert!(!out.exists());
}

#[test]
fn settings_come_from_file_and_environment_too() {
    let src = class_folders();
    let config = src.path().join("prep.toml");
    fs::write(&config, "seed = 3\nworkers = 1\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
        .args([src.path(), &src.path().join("out")])
        .args(["--print-config", "--config", config.to_str().unwrap(), "--shard-size", "7"])
        .env("CREAM_SEARCH_VAL_SHARE", "0.25")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in
        ["seed = 3 ", "search-val-share = 0.25 ", "shard-size = 7 ", "max-bad-share = 0.001 "]
    {
        assert!(text.contains(line), "{text}");
    }
    assert!(!src.path().join("out").exists());
}
