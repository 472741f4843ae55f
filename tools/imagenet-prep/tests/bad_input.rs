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
