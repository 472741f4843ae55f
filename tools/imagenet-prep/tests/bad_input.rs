//! Settings, places and sets that imagenet-prep refuses, each with one line. Bad sources and bad images: `cli.rs`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../../lib/train/tests/tiny/bad_input.rs"]
mod bad_input;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bad_input::Table;
use tool::Tool;

const PREP: Tool = Tool::new("imagenet-prep", env!("CARGO_BIN_EXE_imagenet-prep"));

fn images() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/fashion-mnist");
    fs::canonicalize(folder).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn settings_are_named_by_key_with_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::new(&PREP, dir.path());
    let src = images();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 8] = [
        ("misspelt key", "seeed = 1", &["@/prep.toml: unknown key `seeed`; did you mean `seed`?"]),
        ("text for a number", "seed = \"x\"", &["@/prep.toml: key `seed`: invalid type: string \"x\""]),
        ("negative number", "seed = -1", &["@/prep.toml: key `seed`: invalid value: integer `-1`"]),
        ("share above a half", "search-val-share = 2.0", &["search-val-share: 2 is not a share: give a number from 0 to 0.5"]),
        ("no workers", "workers = 0", &["workers: 0 is out of range: give a number from 1 to 256"]),
        ("shards of no size", "shard-size = 0", &["shard-size: 0 is out of range: give a number from 1 to 65536"]),
        ("no images per class", "per-class = 0", &["per-class: 0 is out of range: give a number from 1 to 4294967295"]),
        ("no TOML", "seed =", &["@/prep.toml: line 1: "]),
    ];
    for (what, text, parts) in rows {
        fs::write(dir.path().join("prep.toml"), text).unwrap();
        table.refuses(what, &format!("{src} @/out --config @/prep.toml"), parts);
    }
    table.refuses(
        "missing settings",
        &format!("{src} @/out --config @/none"),
        &["@/none: No such file"],
    );
    assert!(!dir.path().join("out").exists());
}

#[test]
fn places_and_sets_that_are_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::new(&PREP, dir.path());
    let src = images();
    let few = format!("{src} @/set --per-class 2 --val-per-class 1 --quiet");
    PREP.succeeds(&few.replace('@', dir.path().to_str().unwrap()), "");
    fs::write(dir.path().join("file"), "x").unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    table.refuses("source that is not there", "@/none @/out", &["@/none: No such file"]);
    table.refuses(
        "source that is empty",
        "@/empty @/out",
        &["@/empty: no class folders, no train.csv and no IDX files"],
    );
    table.refuses(
        "source that is a file",
        "@/file @/out",
        &["@/file: not a folder; give the folder that holds the images"],
    );
    table.refuses("file for a folder", &format!("{src} @/file"), &["@/file: not a folder"]);
    table.refuses(
        "folder below a file",
        &format!("{src} @/file/out"),
        &["@/file/out: not a folder"],
    );
    table.refuses(
        "set of other settings",
        &format!("{few} --seed 3"),
        &[
            "@/set: holds shards made from other input or settings",
            "(seed was 0, is 3)",
            "--overwrite",
        ],
    );
    let index = dir.path().join("set/index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    table.refuses("set of a newer version", &few, &["@/set/index.json: format version 2, but this program reads version 1; use the newer program"]);
    fs::write(&index, &text[..100]).unwrap();
    table.refuses("set with a cut index", &few, &["@/set/index.json: ", "--overwrite"]);
    fs::write(&index, &text).unwrap();
    fs::remove_file(dir.path().join("set/val-000000.tar")).unwrap();
    table.refuses(
        "set without a shard",
        &few,
        &["@/set/val-000000.tar: missing, but index.json names it"],
    );
}

/// A set of a few images, `@/set`.
fn few(table: &Table, dir: &Path) {
    let arguments =
        format!("{} {}/set --per-class 2 --val-per-class 1 --quiet", images(), dir.display());
    PREP.succeeds(&arguments, "");
    table.refuses(
        "no shards at all",
        "stats @/none",
        &["@/none: no index.json; make shards with imagenet-prep SRC"],
    );
    table.refuses("no shards to show", "show @/none --out @/sheet.png", &["@/none: no index.json"]);
}

#[test]
fn what_cannot_be_counted_or_shown_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::new(&PREP, dir.path());
    few(&table, dir.path());
    fs::create_dir(dir.path().join("folder")).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 13] = [
        ("split of no set", "stats @/set --split test", &["invalid value 'test' for '--split <SPLIT>'", "train, search-train, search-val, val"]),
        ("no threads", "stats @/set --workers 0", &["workers: 0 is out of range: give a number from 1 to 256"]),
        ("split to show of no set", "show @/set --out @/sheet.png --split validation", &["invalid value 'validation'", "search-val, val"]),
        ("no tiles", "show @/set --out @/sheet.png --n 0", &["n: 0 is out of range: give a number from 1 to 10000"]),
        ("tiles of no size", "show @/set --out @/sheet.png --size 0", &["image size is 0, but must be 1 to 4096"]),
        ("too large a sheet", "show @/set --out @/sheet.png --size 4096", &["n: 20 tiles of 4096 pixels", "give a smaller --n or --image-size"]),
        ("no sheet's name", "show @/set", &["--out <FILE>"]),
        ("sheet that is a folder", "show @/set --out @/folder", &["@/folder: is a folder; give a file to write"]),
        ("sheet in no folder", "show @/set --out @/nowhere/sheet.png", &["@/nowhere/sheet.png: No such file", "give a file in a folder that is there"]),
        ("augmented validation", "show @/set --out @/sheet.png --split val --augment full", &["augment: val is never augmented; leave it out"]),
        ("mixed and not augmented", "show @/set --out @/sheet.png --augment none --mixup 1", &["mixup and cutmix need augmentation"]),
        ("alpha below none", "show @/set --out @/sheet.png --cutmix=-1", &["cutmix is -1, but must be 0, or 0.01 to 100"]),
        ("augmentation that is none", "show @/set --out @/sheet.png --augment plain", &["invalid value 'plain'", "none, basic, full"]),
    ];
    for (what, arguments, parts) in rows {
        table.refuses(what, arguments, parts);
    }
    fs::write(dir.path().join("recipe.toml"), "augment = \"most\"\nepochs = 3\n").unwrap();
    table.refuses(
        "recipe of no augmentation",
        "show @/set --out @/sheet.png --config @/recipe.toml",
        &["@/recipe.toml: key `augment`: unknown variant `most`, expected one of `none`, `basic`, `full`"],
    );
    let folder = dir.path().join("folder");
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
    table.is_denied(
        "sheet where none may be written",
        "show @/set --out @/folder/sheet.png",
        &["@/folder/sheet.png: Permission denied", "give another path"],
    );
    assert!(!dir.path().join("sheet.png").exists());
}

#[test]
fn a_damaged_image_ends_what_decodes_it_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::new(&PREP, dir.path());
    few(&table, dir.path());
    let shard = dir.path().join("set/train-000000.tar");
    let length = fs::metadata(&shard).unwrap().len();
    fs::write(&shard, vec![0; length as usize]).unwrap();
    let parts = ["@/set/train-000000.tar: sample ", "neither JPEG nor PNG", "--overwrite"];
    table.refuses("shard of zeros, counted", "stats @/set --quiet", &parts);
    table.refuses("shard of zeros, shown", "show @/set --out @/sheet.png", &parts);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a sheet, or a part of one");
    // The other split has its own shards.
    PREP.succeeds(&format!("stats {}/set --split val --quiet", dir.path().display()), "");
    fs::write(&shard, vec![0; length as usize - 512]).unwrap();
    table.refuses(
        "shard cut off",
        "stats @/set",
        &["@/set/train-000000.tar: its size in bytes is "],
    );
}
