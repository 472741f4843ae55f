//! A run that is killed goes on where it was, and ends as one that never was.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

mod made;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cream_data::encode::encode;
use cream_data::keyed::{Key, Purpose, below};
use cream_data::{ImageKind, RgbImage, ShardSet, Split};
use made::content;
use tempfile::TempDir;

/// Images of each of two classes, so many that there are several shards of a MiB.
const IMAGES: usize = 60;

fn start(src: &Path, out: &Path, bad_share: &str, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_imagenet-prep"))
        .args([src, out])
        .args(["--shard-size", "1", "--short-side", "200", "--max-bad-share", bad_share])
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn good(src: &Path, out: &Path, flags: &[&str]) -> String {
    let output = start(src, out, "0.2", flags).wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// Noise over a soft ground: a JPEG of it is large and quick to make.
fn noisy(number: u64) -> Vec<u8> {
    use rand_core::Rng;
    let mut image = RgbImage::black(320, 240);
    Key::new(number, Purpose::Synthetic).rng(&[0, 0]).fill_bytes(&mut image.pixels);
    encode(&image, ImageKind::Jpeg, 90).unwrap()
}

/// Class folders with images to be made smaller, and some that are bad.
fn source() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (class, first) in [("ant", 0), ("bee", 1000)] {
        for (split, count) in [("train", IMAGES), ("val", IMAGES / 4)] {
            let folder = dir.path().join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let mut bytes = noisy(first + number as u64);
                if number % 17 == 5 {
                    bytes.truncate(bytes.len() / 2);
                }
                fs::write(folder.join(format!("{split}{number:03}.JPEG")), bytes).unwrap();
            }
        }
    }
    dir
}

#[test]
fn killed_at_ten_random_moments_it_ends_with_the_same_bytes() {
    let src = source();
    let whole = src.path().join("whole");
    let begun = Instant::now();
    good(src.path(), &whole, &["--workers", "2"]);
    let span = begun.elapsed().as_micros() as u64;
    let expected = content(&whole);
    let shards = |name: &str| name.starts_with("train-0");
    assert!(expected.iter().filter(|(name, _)| shards(name)).count() >= 3);
    let mut rng = Key::new(5, Purpose::Synthetic).rng(&[0, 0]);
    let (mut kills, mut kept) = (0, 0);
    let mut run = 0;
    while kills < 10 {
        let out = src.path().join(format!("out{run}"));
        run += 1;
        let workers = if run % 2 == 0 { "1" } else { "3" };
        assert!(run < 100, "too few runs live long enough to be killed");
        // Killed again and again until it is through.
        loop {
            let mut child = start(src.path(), &out, "0.2", &["--workers", workers]);
            std::thread::sleep(Duration::from_micros(below(&mut rng, span)));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            let text = child.wait_with_output().unwrap().stderr;
            kept += usize::from(String::from_utf8(text).unwrap().contains("going on after"));
            kills += 1;
            assert!(out.join("index.json").exists() || ShardSet::open(&out).is_err());
        }
        good(src.path(), &out, &[]);
        assert!(content(&out) == expected, "{out:?} differs after {kills} kills");
    }
    assert!(kept > 0, "no run went on after finished shards");
}

/// OUT as a run leaves it that is killed between two shards: its first shards and their records.
fn interrupted(src: &Path, whole: &Path, out: &Path) -> PathBuf {
    let full = out.with_extension("records");
    // More is bad than allowed: all is written but the tables and the index.
    let output = start(src, &full, "0", &[]).wait_with_output();
    assert!(!output.unwrap().status.success());
    fs::create_dir(out).unwrap();
    for name in ["train-000000.tar", ".train-000000.tar.done", "train-000001.tar"] {
        fs::copy(full.join(name), out.join(name)).unwrap();
    }
    fs::write(out.join(".imagenet-prep.lock"), "").unwrap();
    assert_eq!(
        fs::read(out.join("train-000000.tar")).unwrap(),
        fs::read(whole.join("train-000000.tar")).unwrap()
    );
    out.join(".train-000000.tar.done")
}

#[test]
fn finished_shards_are_not_made_again_unless_something_changed() {
    let src = source();
    let whole = src.path().join("whole");
    good(src.path(), &whole, &[]);
    let expected = content(&whole);
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();

    let out = src.path().join("again");
    interrupted(src.path(), &whole, &out);
    let before = modified(&out.join("train-000000.tar"));
    let text = good(src.path(), &out, &[]);
    assert!(text.contains("going on after"), "{text}");
    assert_eq!(modified(&out.join("train-000000.tar")), before);
    assert!(content(&out) == expected);

    // A half-written record, another one's record, a shard that was cut.
    for case in 0..3 {
        let out = src.path().join(format!("case{case}"));
        let record = interrupted(src.path(), &whole, &out);
        let text = fs::read_to_string(&record).unwrap();
        match case {
            0 => fs::write(&record, &text[..text.len() / 2]).unwrap(),
            1 => fs::write(&record, text.replacen("\"run\":\"", "\"run\":\"0", 1)).unwrap(),
            _ => fs::write(out.join("train-000000.tar"), "cut").unwrap(),
        }
        let text = good(src.path(), &out, &[]);
        assert!(!text.contains("going on after"), "{case}: {text}");
        assert!(content(&out) == expected, "{case}");
    }
}

#[test]
fn an_image_that_was_repaired_is_taken_in() {
    let src = source();
    let out = src.path().join("out");
    let bad = src.path().join("train/ant/train005.JPEG");
    let output = start(src.path(), &out, "0", &[]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(out.join(".train-000000.tar.done").exists());
    // Of the same size, so that the listing does not show it.
    let length = fs::metadata(&bad).unwrap().len() as usize;
    let mut bytes = encode(&RgbImage::black(8, 8), ImageKind::Jpeg, 90).unwrap();
    bytes.resize(length, 0);
    fs::write(&bad, bytes).unwrap();
    good(src.path(), &out, &[]);
    let set = ShardSet::open(&out).unwrap();
    let keys: Vec<&str> =
        set.samples(Split::Train).into_iter().map(|sample| set.key(sample).unwrap()).collect();
    assert!(keys.iter().any(|key| key.ends_with("train005")), "{keys:?}");
    let clean = src.path().join("clean");
    good(src.path(), &clean, &[]);
    assert!(content(&out) == content(&clean));
}

#[test]
fn what_is_left_beside_a_whole_set_goes() {
    let src = source();
    let out = src.path().join("out");
    good(src.path(), &out, &[]);
    let expected = content(&out);
    for name in [".train-000000.tar.done", ".imagenet-prep.lock", ".index.json.7-0.tmp"] {
        fs::write(out.join(name), "x").unwrap();
    }
    assert!(good(src.path(), &out, &[]).contains("up to date"));
    assert!(content(&out) == expected);
}
