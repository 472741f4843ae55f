//! The binary as a user runs it: the forms hold the same images with the same labels.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cream_data::{ImageKind, decode};
use flate2::read::{GzDecoder, ZlibDecoder};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use tempfile::TempDir;

/// (split, file name) to class id and bytes.
type Set = BTreeMap<(String, String), (String, Vec<u8>)>;

fn make(out: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_imagenet-shaped")).arg(out).args(flags).output().unwrap()
}

fn made(flags: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--train", "23", "--val", "7", "--classes", "4", "--rows-per-file", "9", "-q"];
    let output = make(dir.path(), &[&small, flags].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty() && output.stdout.is_empty());
    dir
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn from_folders(out: &Path) -> Set {
    let mut set = Set::new();
    for split in ["train", "val"] {
        for class in sorted(&out.join("folders").join(split)) {
            for file in sorted(&class) {
                let bytes = fs::read(&file).unwrap();
                set.insert((split.to_owned(), name(&file)), (name(&class), bytes));
            }
        }
    }
    set
}

fn entries(bytes: impl Read) -> Vec<(String, Vec<u8>)> {
    let mut entries = Vec::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        entries.push((entry.path().unwrap().to_str().unwrap().to_owned(), bytes));
    }
    entries
}

/// The ids in the order of the development kit's numbers, as they first occur in `meta.mat`.
fn official_ids(meta: &[u8]) -> Vec<String> {
    assert_eq!(&meta[124..132], b"\x00\x01IM\x0f\x00\x00\x00");
    let mut text = Vec::new();
    ZlibDecoder::new(&meta[136..]).read_to_end(&mut text).unwrap();
    let mut ids: Vec<String> = Vec::new();
    for window in text.windows(9) {
        if window[0] == b'n' && window[1..].iter().all(u8::is_ascii_digit) {
            let id = String::from_utf8(window.to_vec()).unwrap();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

fn from_archives(out: &Path) -> Set {
    let open = |file: &str| File::open(out.join("archives").join(file)).unwrap();
    let kit = entries(GzDecoder::new(open("ILSVRC2012_devkit_t12.tar.gz")));
    let find = |end: &str| &kit.iter().find(|(path, _)| path.ends_with(end)).unwrap().1;
    let ids = official_ids(find("data/meta.mat"));
    let truth = find("data/ILSVRC2012_validation_ground_truth.txt");
    let truth: Vec<usize> =
        std::str::from_utf8(truth).unwrap().lines().map(|line| line.parse().unwrap()).collect();

    let mut set = Set::new();
    for (class, archive) in entries(open("ILSVRC2012_img_train.tar")) {
        let class = class.strip_suffix(".tar").unwrap();
        for (file, bytes) in entries(archive.as_slice()) {
            set.insert(("train".to_owned(), file), (class.to_owned(), bytes));
        }
    }
    for ((file, bytes), number) in entries(open("ILSVRC2012_img_val.tar")).into_iter().zip(truth) {
        set.insert(("val".to_owned(), file), (ids[number - 1].clone(), bytes));
    }
    set
}

fn from_parquet(out: &Path) -> Set {
    let mut set = Set::new();
    for path in sorted(&out.join("parquet/data")) {
        let split = if name(&path).starts_with("train-") { "train" } else { "val" };
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let about = about[0].value.as_ref().unwrap();
        let about: serde_json::Value = serde_json::from_str(about).unwrap();
        let names = &about["info"]["features"]["label"]["names"];
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let image = row.get_group(0).unwrap();
            let class = names[row.get_long(1).unwrap() as usize].as_str().unwrap().to_owned();
            let bytes = image.get_bytes(0).unwrap().data().to_vec();
            let key = (split.to_owned(), image.get_string(1).unwrap().clone());
            set.insert(key, (class, bytes));
        }
    }
    set
}

#[test]
fn the_forms_hold_the_same_images_with_the_same_labels() {
    let dir = made(&["--seed", "3"]);
    let folders = from_folders(dir.path());
    assert_eq!(folders.len(), 30);
    assert!(from_archives(dir.path()) == folders);
    assert!(from_parquet(dir.path()) == folders);
    // Drawn by itself rather than read from the folders.
    let alone = made(&["--seed", "3", "--form", "parquet"]);
    assert!(from_parquet(alone.path()) == folders);
    assert!(!alone.path().join("folders").exists());
}

#[test]
fn images_are_readable_and_no_two_alike() {
    let set = from_folders(made(&["--form", "folders"]).path());
    let mut classes = HashSet::new();
    let mut pixels = HashSet::new();
    for ((split, file), (class, bytes)) in &set {
        assert!(file.ends_with(".JPEG") && (split == "val" || file.starts_with(class.as_str())));
        assert_eq!(ImageKind::of(bytes).unwrap(), ImageKind::Jpeg);
        pixels.insert(decode(bytes).unwrap().pixels);
        classes.insert(class);
    }
    assert_eq!((pixels.len(), classes.len()), (set.len(), 4));
}

#[test]
fn equal_seeds_give_equal_bytes_and_others_do_not() {
    let files = |seed: &str, threads: &str| {
        let dir = tempfile::tempdir().unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_imagenet-shaped"))
            .arg(dir.path())
            .args(["--train", "6", "--val", "2", "--classes", "2", "-q", "--seed", seed])
            .env("RAYON_NUM_THREADS", threads)
            .status()
            .unwrap();
        assert!(status.success());
        let mut files = Vec::new();
        for form in ["archives", "parquet/data"] {
            files.extend(sorted(&dir.path().join(form)).iter().map(|f| fs::read(f).unwrap()));
        }
        files
    };
    let first = files("1", "1");
    assert_eq!(first.len(), 5);
    assert!(first == files("1", "3"));
    assert!(first.iter().zip(files("2", "1")).all(|(a, b)| *a != b));
}

#[test]
fn the_official_numbers_are_in_another_order_than_the_ids() {
    let dir = made(&["--form", "archives"]);
    let kit = File::open(dir.path().join("archives/ILSVRC2012_devkit_t12.tar.gz")).unwrap();
    let kit = entries(GzDecoder::new(kit));
    let meta = kit.iter().find(|(path, _)| path.ends_with("meta.mat")).unwrap();
    let ids = official_ids(&meta.1);
    // Four classes, a group, and the one above.
    assert_eq!(ids.len(), 6);
    assert!(!ids[..4].is_sorted());
}

#[test]
fn hazards_are_what_they_are_called() {
    let set = from_folders(made(&["--hazards", "--form", "folders"]).path());
    let images: Vec<&Vec<u8>> = set.values().map(|(_, bytes)| bytes).collect();
    let count = |is: &dyn Fn(&[u8]) -> bool| images.iter().filter(|bytes| is(bytes)).count();
    let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|w| w == part);
    // Numbers 1, 3, ..., 15 of the training images, and 1, 3, 5 of the seven validation images.
    assert_eq!(count(&|b| ImageKind::of(b).unwrap() == ImageKind::Png), 2);
    assert_eq!(count(&|b| contains(b, b"Adobe")), 2);
    assert_eq!(count(&|b| contains(b, b"Exif\0\0II*\0")), 2);
    assert_eq!(count(&|b| decode(b).is_err()), 1);
    assert_eq!(count(&|b| decode(b).is_ok_and(|image| image.width == 1)), 1);
    let grey = |b: &[u8]| {
        decode(b).is_ok_and(|image| image.pixels.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]))
    };
    assert!(count(&grey) >= 2);
    // The marker of a progressive frame, its length and precision.
    assert_eq!(count(&|b| contains(b, b"\xff\xc2\x00\x11\x08")), 1);
}

#[test]
fn what_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine"), "").unwrap();
    for (flags, part) in [
        (&["--train", "10", "--classes", "11"][..], "--train: 10 is out of range"),
        (&["--classes", "0"], "--classes: 0 is out of range"),
        (&["--rows-per-file", "0"], "--rows-per-file: 0 is out of range"),
        (&[], "is not empty: remove it or give another folder"),
    ] {
        let output = make(dir.path(), flags);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.starts_with("imagenet-shaped: ") && text.contains(part), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
