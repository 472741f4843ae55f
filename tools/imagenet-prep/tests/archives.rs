//! Archives as downloaded: the same shards as from class folders, and what is wrong with archives.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

mod made;

use std::fs;
use std::path::Path;

use cream_data::Split;
use made::{
    SYNSETS, TRUTH, claiming, class_folders, devkit, good, gzip, images, keys, member, members,
    meta, official_archives, png, refused, sealed, shards, tar,
};

const TRAIN: &str = "ILSVRC2012_img_train.tar";
const VAL: &str = "ILSVRC2012_img_val.tar";
const KIT: &str = "ILSVRC2012_devkit_t12.tar.gz";
const TENCH: &str = SYNSETS[1].0;
const FOX: &str = SYNSETS[0].0;

/// The official archives with one file of them replaced.
fn with(file: &str, content: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    official_archives(dir.path());
    fs::write(dir.path().join(file), content).unwrap();
    dir
}

/// A training archive of the given inner archive and a whole one.
fn train_of(inner: &[u8]) -> Vec<u8> {
    let (train, _) = images();
    let other = tar(&members(&train, Some(FOX)));
    tar(&[member("n01440764.tar", b'0', inner), member("n02119789.tar", b'0', &other)])
}

#[test]
fn every_form_of_the_same_images_gives_the_same_shards() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    class_folders(&at("folders"));
    official_archives(&at("official"));
    let (train, val) = images();
    let mut all = vec![member("set/", b'5', &[])];
    for (part, images) in [("train", &train), ("val", &val)] {
        for image in images {
            let name = format!("set/{part}/{}/{}.JPEG", image.class, image.stem);
            all.push(member(&name, b'0', &image.bytes));
        }
    }
    fs::write(at("folders.tar"), tar(&all)).unwrap();
    let expected = good(&at("folders"), &at("a"), &[]);
    assert_eq!(expected.classes(), [TENCH, FOX]);
    let official = good(&at("official"), &at("b"), &["--workers", "3"]);
    good(&at("folders.tar"), &at("c"), &[]);
    assert!(shards(&at("a")) == shards(&at("b")), "the official archives differ");
    assert!(shards(&at("a")) == shards(&at("c")), "the tar of class folders differs");
    assert_eq!(official.classes(), expected.classes());
    assert_eq!(
        keys(&official, Split::Validation),
        ["ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"]
    );
    let labels: Vec<u32> =
        official.samples(Split::Validation).iter().map(|&s| official.label(s).unwrap()).collect();
    assert_eq!(labels, [0, 1]);
    let index = fs::read_to_string(at("b").join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["class_names"], serde_json::json!([SYNSETS[1].1, SYNSETS[0].1]));
}

#[test]
fn a_training_archive_alone_and_a_choice_of_it() {
    let dir = tempfile::tempdir().unwrap();
    official_archives(dir.path());
    let (src, out) = (dir.path().join(TRAIN), dir.path().join("out"));
    assert!(refused(&src, &out, &[]).contains("--val-share 0.1"));
    let set = good(&src, &out, &["--val-share", "0.34"]);
    assert_eq!((set.len(Split::Train), set.len(Split::Validation)), (4, 2));
    let few = ["--classes", TENCH, "--per-class", "2", "--val-per-class", "1"];
    let set = good(dir.path(), &dir.path().join("few"), &few);
    assert_eq!(
        (set.classes(), set.len(Split::Train), set.len(Split::Validation)),
        (&[TENCH.to_owned()][..], 2, 1)
    );
    let index = fs::read_to_string(dir.path().join("few/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["class_names"], serde_json::json!([SYNSETS[1].1]));
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let name = |end: &str| format!("{}{end}.JPEG", "x".repeat(150));
    let record = |key: &str, value: &str| {
        let body = format!(" {key}={value}\n");
        let length = body.len() + 3;
        assert_eq!(length.to_string().len(), 3);
        format!("{length}{body}")
    };
    let inner = tar(&[
        member("././@LongLink", b'L', format!("{}\0", name("gnu")).as_bytes()),
        member("xxx", b'0', &png(1)),
        member("pax", b'x', record("path", &name("pax")).as_bytes()),
        member("xxx", b'0', &png(2)),
        member("global", b'g', b"22 comment=of no use\n\n"),
        member("plain.JPEG", b'0', &png(3)),
    ]);
    let dir = with(TRAIN, &train_of(&inner));
    let set = good(dir.path(), &dir.path().join("out"), &[]);
    let stems =
        ["plain".to_owned(), name("gnu").replace(".JPEG", ""), name("pax").replace(".JPEG", "")];
    assert_eq!(keys(&set, Split::Train)[..3], stems);
}

/// What is wrong with single members costs these alone.
#[test]
fn bad_members_are_set_aside_with_their_reason() {
    let mut sparse = [0_u8; 512];
    sparse.copy_from_slice(&member("sparse.JPEG", b'S', b"")[..512]);
    sparse[482] = 1;
    let mut map = [0_u8; 512];
    map[504] = 0;
    let pax = b"22 GNU.sparse.major=1\n";
    let inner = tar(&[
        member("kept.JPEG", b'0', &png(1)),
        member("../../escaped.JPEG", b'0', &png(2)),
        member("/absolute.JPEG", b'0', &png(3)),
        member("symbolic.JPEG", b'2', b""),
        member("hard.JPEG", b'1', b""),
        member("device.JPEG", b'3', b""),
        member("pipe.JPEG", b'6', b""),
        member("strange.JPEG", b'Q', b"abc"),
        [sealed(sparse).to_vec(), map.to_vec()].concat(),
        [member("pax", b'x', pax), member("paxsparse.JPEG", b'0', b"abc")].concat(),
        member("page.JPEG", b'0', b"<html>"),
        member("other/kept.JPEG", b'0', &png(4)),
        claiming(b"caf\xe9.JPEG", b'0', format!("{:011o}\0", png(5).len()).as_bytes(), &png(5)),
        member("folder.JPEG/", b'5', b""),
        member("notes.txt", b'0', b"no image"),
    ]);
    let dir = with(TRAIN, &train_of(&inner));
    let (_, val) = images();
    let mut val = members(&val, None);
    val.push(member("ILSVRC2012_val_00000003.JPEG", b'0', &png(9)));
    val.push(member("other.JPEG", b'0', &png(9)));
    fs::write(dir.path().join(VAL), tar(&val)).unwrap();
    let out = dir.path().join("out");
    let set = good(dir.path(), &out, &["--max-bad-share", "0.9"]);
    assert_eq!(keys(&set, Split::Train)[..2], ["caf%E9", "kept"]);
    assert_eq!((set.len(Split::Train), set.len(Split::Validation)), (5, 2));
    let report = fs::read_to_string(out.join("quarantine.csv")).unwrap();
    let inner = format!("{TRAIN}/n01440764.tar/");
    for (name, reason) in [
        ("../../escaped.JPEG", "n01440764,its name leads out of the archive"),
        ("/absolute.JPEG", "n01440764,its name leads out of the archive"),
        ("symbolic.JPEG", "\"a symbolic link, not a file\""),
        ("hard.JPEG", "\"a hard link, not a file\""),
        ("device.JPEG", "\"a device, not a file\""),
        ("pipe.JPEG", "\"a pipe, not a file\""),
        ("strange.JPEG", "\"an entry of unknown type, not a file\""),
        ("sparse.JPEG", "\"a sparse file, not a file\""),
        ("paxsparse.JPEG", "\"a sparse file, not a file\""),
        ("page.JPEG", "neither JPEG nor PNG"),
        ("other/kept.JPEG", "duplicate key"),
    ] {
        let line = report.lines().find(|line| line.starts_with(&format!("{inner}{name},")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name}: {report}");
    }
    assert!(
        report.contains(&format!(
            "{VAL}/ILSVRC2012_val_00000003.JPEG,,\"the ground truth has 2 images"
        )),
        "{report}"
    );
    assert!(
        report.contains(&format!("{VAL}/other.JPEG,,no number of a validation image")),
        "{report}"
    );
    assert_eq!(report.lines().count(), 1 + 11 + 2, "{report}");
}

/// What is wrong with a container is one line and exit status 2.
#[test]
fn a_broken_archive_is_refused() {
    let image = member("a.JPEG", b'0', &png(1));
    let mut damaged = image.clone();
    damaged[0] = b'b';
    let size = |field: &[u8]| train_of(&tar(&[claiming(b"a.JPEG", b'0', field, &png(1))]));
    let negative = [0xff; 12];
    let mut beyond = [0; 12];
    (beyond[0], beyond[1]) = (0x80, 0x7f);
    let whole = train_of(&tar(std::slice::from_ref(&image)));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("cut: it ends after", image.clone()),
        ("cut: n02119789.tar at byte", whole[..whole.len() - 3000].to_vec()),
        ("n01440764.tar: cut: a.JPEG at byte 512 says 99999 bytes", size(b"00000303237\0")),
        ("n01440764.tar: cut: it ends after", train_of(&image)),
        ("n01440764.tar: byte 512: no tar header: its checksum is wrong", train_of(&damaged)),
        ("size is negative", size(&negative)),
        ("size is beyond all files", size(&beyond)),
        ("is no octal number", size(b"0000009999x\0")),
        (
            "an extended header of 4194304 bytes",
            train_of(&claiming(b"x", b'x', b"00020000000\0", b"")),
        ),
        (
            "pax header: a wrong length",
            train_of(&tar(&[member("x", b'x', b"99 path=a\n"), image.clone()])),
        ),
        (
            "pax header: size \"-1\"",
            train_of(&tar(&[member("x", b'x', b"11 size=-1\n"), image.clone()])),
        ),
        (
            "../n01440764.tar at byte 0 is no plain tar",
            tar(&[member("../n01440764.tar", b'0', &tar(&[]))]),
        ),
        ("class n01440764 has no training images", train_of(&tar(&[member("a.JPEG", b'2', b"")]))),
        ("no images in class folders", tar(&[])),
        ("no tar header", b"<html>".repeat(200)),
    ];
    for (reason, archive) in cases {
        let dir = with(TRAIN, &archive);
        let error = refused(dir.path(), &dir.path().join("out"), &[]);
        assert!(error.contains(TRAIN) || error.contains("class n"), "{reason}: {error}");
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(!dir.path().join("out").exists());
    }
}

#[test]
fn a_broken_development_kit_is_refused() {
    let bomb = gzip(&vec![0; 80 << 20]);
    assert!(bomb.len() < 1 << 20);
    let mut meta_bomb = vec![b' '; 124];
    meta_bomb.extend([0, 1, b'I', b'M', 15, 0, 0, 0]);
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, &vec![0; 80 << 20]).unwrap();
    let packed = packer.finish().unwrap();
    meta_bomb.extend((packed.len() as u32).to_le_bytes());
    meta_bomb.extend(packed);
    let cut = devkit(TRUTH, &meta());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("more than 67108864 bytes unpacked", bomb),
        ("meta.mat: it unpacks to more than 67108864 bytes", devkit(TRUTH, &meta_bomb)),
        ("not whole as gzip", cut[..cut.len() / 2].to_vec()),
        ("meta.mat: cut: an element is longer", devkit(TRUTH, &meta()[..300])),
        ("meta.mat: not a MATLAB 5 file", devkit(TRUTH, b"MATLAB")),
        ("meta.mat: no structure array synsets", devkit(TRUTH, &meta()[..128])),
        ("line 2: \"x\" is no number of a synset", devkit("1\nx\n", &meta())),
        ("no data/ILSVRC2012_validation_ground_truth.txt", gzip(&tar(&[]))),
    ];
    for (reason, kit) in cases {
        let dir = with(KIT, &kit);
        let error = refused(dir.path(), &dir.path().join("out"), &[]);
        assert!(error.contains(KIT) && error.contains(reason), "{reason}: {error}");
    }
    let dir = with(KIT, &devkit("2\n3\n", &meta()));
    let error = refused(dir.path(), &dir.path().join("out"), &[]);
    assert!(
        error.contains("of the class n09999999, of which the training archive has none"),
        "{error}"
    );
    fs::remove_file(dir.path().join(KIT)).unwrap();
    let error = refused(dir.path(), &dir.path().join("out"), &[]);
    assert!(error.contains(KIT) && error.contains("missing"), "{error}");
}

#[test]
fn a_tar_of_class_folders_names_the_class_that_only_validation_has() {
    let dir = tempfile::tempdir().unwrap();
    let src = dir.path().join("set.tar");
    let write = |members: &[Vec<u8>]| fs::write(&src, tar(members)).unwrap();
    let out = |name: &str| dir.path().join(name);
    write(&[member("train/a/1.png", b'0', &png(1)), member("val/b/1.png", b'0', &png(1))]);
    assert!(refused(&src, &out("x"), &[]).contains("no training images of the class b"));
    write(&[
        member("./a/1.png", b'0', &png(1)),
        member("./b/1.png", b'0', &png(2)),
        member("./b/2.png", b'0', &png(3)),
        member("./b/._2.png", b'0', b"of another system"),
        member("loose.png", b'0', &png(3)),
    ]);
    let set = good(&src, &out("y"), &["--val-share", "0.5", "--max-bad-share", "0.5"]);
    assert_eq!(set.classes(), ["a", "b"]);
    let report = fs::read_to_string(out("y").join("quarantine.csv")).unwrap();
    assert!(report.contains("set.tar/loose.png,,in no class folder"), "{report}");
    assert!(Path::new(&src).is_file());
}
