//! Parquet files: the same shards as from class folders, and what is wrong with such files.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

mod made;
#[path = "made/parquet.rs"]
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use cream_data::{ShardSet, Split};
use imagenet_prep::source::{Choice, ClassChoice, list};
use made::{Image, SYNSETS, class_folders, good, images, keys, png, prep, refused, shards};
use rows::Rows;

const TRAIN: &str = "train-00000-of-00001.parquet";
const VAL: &str = "validation-00000-of-00001.parquet";

/// Rows of images in another order than that of the shards; the fox's label is 0 and the tench's 1,
/// though the tench's synset is the first.
fn rows_of(images: &[Image]) -> Rows {
    let row = |image: &Image| {
        let label = i64::from(image.class == SYNSETS[1].0);
        (Some(image.bytes.clone()), Some(format!("{}.JPEG", image.stem)), Some(label))
    };
    let mut order: Vec<&Image> = images.iter().collect();
    order.sort_by_key(|image| image.bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>() % 17);
    Rows::new(order.into_iter().map(row).collect())
}

fn write(dir: &Path, name: &str, rows: &Rows) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(name), rows.file()).unwrap();
}

/// Both files, the training one changed.
fn set(change: impl Fn(&mut Rows)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (train, val) = images();
    let (mut train, val) = (rows_of(&train), rows_of(&val));
    change(&mut train);
    write(dir.path(), TRAIN, &train);
    write(dir.path(), VAL, &val);
    dir
}

fn index(out: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(out.join("index.json")).unwrap()).unwrap()
}

#[test]
fn rows_give_the_shards_of_class_folders_whatever_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    class_folders(&at("folders"));
    let expected = good(&at("folders"), &at("a"), &[]);
    let (train, val) = images();
    for codec in [0, 1] {
        let (mut train, mut val) = (rows_of(&train), rows_of(&val));
        // Names as people say them: which synsets they are, the images' names tell.
        train.names = Some(vec![SYNSETS[0].1, SYNSETS[1].1]);
        val.names = train.names.clone();
        (train.codec, val.codec) = (codec, codec);
        let (src, out) = (at(&format!("rows{codec}")), at(&format!("b{codec}")));
        write(&src.join("data"), TRAIN, &train);
        write(&src.join("data"), VAL, &val);
        let set = good(&src, &out, &["--workers", "3"]);
        assert!(shards(&at("a")) == shards(&out), "codec {codec}");
        assert_eq!(set.classes(), expected.classes());
        assert_eq!(index(&out)["class_names"], serde_json::json!([SYNSETS[1].1, SYNSETS[0].1]));
    }
    // Names that are synsets.
    let (mut named, mut val) = (rows_of(&train), rows_of(&val));
    named.names = Some(vec![SYNSETS[0].0, SYNSETS[1].0]);
    val.names = named.names.clone();
    named.label_type = 1;
    write(&at("named"), TRAIN, &named);
    write(&at("named"), "test.parquet", &val);
    good(&at("named"), &at("c"), &[]);
    assert!(shards(&at("a")) == shards(&at("c")));
}

#[test]
fn rows_without_paths_or_names_are_numbered() {
    let dir = set(|rows| rows.paths.fill(None));
    let out = dir.path().join("out");
    let set = good(dir.path(), &out, &[]);
    assert_eq!(set.classes(), ["0", "1"]);
    assert!(keys(&set, Split::Train).contains(&"train-00000005".to_owned()));
    assert!(index(&out).get("class_names").is_none());
    let few = ["--random-classes", "1", "--per-class", "2", "--val-per-class", "1"];
    let set = good(dir.path(), &dir.path().join("few"), &few);
    assert_eq!((set.len(Split::Train), set.len(Split::Validation)), (2, 1));
}

/// What pyarrow writes, in each of its forms.
#[test]
fn files_of_the_usual_writer_are_read() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let photo = fs::read(here.join("../../tests/golden/photos/chelsea.jpg")).unwrap();
    for form in ["snappy-dictionary", "snappy-plain-second", "gzip", "none-small-pages"] {
        let dir = tempfile::tempdir().unwrap();
        for part in ["train", "val"] {
            let file = here.join(format!("tests/fixtures/{form}.parquet"));
            fs::copy(file, dir.path().join(format!("{part}.parquet"))).unwrap();
        }
        let listing = list(&Choice {
            src: dir.path().to_owned(),
            seed: 0,
            val_share: None,
            per_class: None,
            val_per_class: None,
            classes: ClassChoice::All,
            workers: 1,
        })
        .unwrap_or_else(|failure| panic!("{form}: {failure:?}"));
        assert_eq!(listing.classes.ids, ["ant", "bee", "cow"]);
        assert_eq!((listing.train.len(), listing.val.len()), (9, 9));
        for item in &listing.train {
            let number: usize = item.key.parse().unwrap();
            assert_eq!(item.class as usize, number % 3);
            assert_eq!(item.name(), format!("train.parquet#{number}"));
            assert!(item.read().unwrap() == photo[..300 + 40 * number], "{form}: {number}");
        }
    }
}

#[test]
fn bad_rows_are_set_aside_with_their_reason() {
    let dir = set(|rows| {
        rows.names = Some(vec![SYNSETS[0].0, SYNSETS[1].0]);
        for (path, label) in [
            ("null", Some(0)),
            ("path-only", Some(0)),
            ("unlabelled", None),
            ("beyond", Some(2)),
            ("negative", Some(-1)),
            ("page", Some(1)),
        ] {
            let bytes = match path {
                "null" | "path-only" => None,
                "page" => Some(b"<html>".to_vec()),
                _ => Some(png(7)),
            };
            rows.images.push(bytes);
            rows.paths.push((path != "null").then(|| format!("{path}.JPEG")));
            rows.labels.push(label);
        }
        let (image, path) = (rows.images[0].clone(), rows.paths[0].clone());
        let label = rows.labels[0];
        rows.images.push(image);
        rows.paths.push(path);
        rows.labels.push(label);
    });
    let (_, val) = images();
    let mut val = rows_of(&val);
    val.names = Some(vec![SYNSETS[0].0, SYNSETS[1].0]);
    write(dir.path(), VAL, &val);
    let out = dir.path().join("out");
    let set = good(dir.path(), &out, &["--max-bad-share", "0.9"]);
    assert_eq!(set.len(Split::Train), 6);
    let report = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    for (row, reason) in [
        (6, "n02119789,its image is null"),
        (7, "\"it has no bytes, only the path path-only.JPEG; write the files anew"),
        (8, ",its label is null"),
        (9, ",its label 2 is none of 2"),
        (10, ",its label -1 is none of 2"),
        (11, "neither JPEG nor PNG"),
        (12, "duplicate key"),
    ] {
        let line = report.lines().find(|line| line.starts_with(&format!("{TRAIN}#{row},")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{row}: {report}");
    }
    assert_eq!(report.lines().count(), 8, "{report}");
}

#[test]
fn files_that_are_not_as_they_should_be_are_refused() {
    type Change = fn(&mut Rows);
    let cases: [(&str, Change); 9] = [
        ("no column image.bytes; it has image, data, path, label", |rows| rows.columns[0] = "data"),
        ("no column label; it has image, bytes, path, class", |rows| rows.columns[2] = "class"),
        ("column label: of another type", |rows| rows.label_type = 6),
        ("column image.bytes: of another type", |rows| rows.image_type = 2),
        ("compressed with zstd; snappy, gzip or none are read", |rows| rows.codec = 6),
        ("its encoding is DELTA_BINARY_PACKED", |rows| rows.encoding = 5),
        ("bytes that unpack to", |rows| rows.inflated = 1 << 31),
        ("label: page at byte", |rows| rows.more_rows = 3),
        ("more than 1048576 rows in a group", |rows| rows.more_rows = 1 << 40),
    ];
    for (reason, change) in cases {
        let dir = set(change);
        let error = refused(dir.path(), &dir.path().join("out"), &[]);
        assert!(error.contains(TRAIN) && error.contains(reason), "{reason}: {error}");
    }
    let dir = set(|_| {});
    let path = dir.path().join(TRAIN);
    let whole = fs::read(&path).unwrap();
    let mut footer = whole.clone();
    let length = whole.len();
    footer[length - 60..length - 30].fill(0xff);
    let mut long = whole.clone();
    long[length - 8..length - 4].fill(0xff);
    for (reason, bytes) in [
        ("cut: it does not end with PAR1", &whole[..length - 1]),
        ("not a parquet file", b"nothing"),
        ("a footer of 4294967295 bytes", &long),
        ("footer: ", &footer),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = refused(dir.path(), &dir.path().join("out"), &[]);
        assert!(error.contains(TRAIN) && error.contains(reason), "{reason}: {error}");
    }
    let dir = set(|rows| rows.names = Some(vec!["a", "b"]));
    assert!(refused(dir.path(), &dir.path().join("out"), &[]).contains("other names than"));
}

/// Damage in the images costs those, and never the process.
#[test]
fn damage_anywhere_is_an_error_or_a_bad_image() {
    let dir = set(|rows| rows.codec = 1);
    let path: PathBuf = dir.path().join(TRAIN);
    let whole = fs::read(&path).unwrap();
    let mut refusals = 0;
    for at in (0..whole.len()).step_by(whole.len().div_ceil(120)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).unwrap();
        let out = dir.path().join("out");
        let output = prep(dir.path(), &out, &["--overwrite", "--max-bad-share", "1"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("panicked"), "{at}: {text}");
        match output.status.code() {
            Some(0) => ShardSet::open(&out).unwrap().verify().unwrap(),
            Some(1 | 2) => refusals += 1,
            other => panic!("{at}: {other:?} {text}"),
        }
    }
    assert!(refusals > 5);
}
