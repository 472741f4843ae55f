//! Every bad input ends with status 2 and one line that says what is wrong, where, and what is allowed.
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

use bad_input::Table;
use cream_arch::{
    Board, BoardFile, Candidate, Convention, Cost, FlopsInterval, Path, Shape, Space,
};
use serde_json::{Value, json};
use tool::Tool;

const PATH_EXPORT: Tool = Tool::new("path-export", env!("CARGO_BIN_EXE_path-export"));

/// A board of one path.
fn board() -> Value {
    let space = Space::published();
    let mut board = Board::new(1);
    let path = Path(vec![vec![3]; 5]);
    let cost = Cost::of(&space.architecture(&path, 32, 10).unwrap());
    let (flops, params) = (cost.flops(Convention::Published), cost.params());
    board.offer(Candidate { path, flops, params, batch_score: 0.5, step: 7 });
    let shape = Shape { image_size: 32, depths: vec![1; 5] };
    let file = BoardFile::new(&board, space, shape, 10, FlopsInterval::ALL, 5);
    serde_json::from_str(&file.to_json()).unwrap()
}

/// The board with one value changed, or with a key that was not there.
fn changed(pointer: &str, value: Value) -> String {
    let mut board = board();
    match board.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            board.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    board.to_string()
}

#[test]
fn values_of_a_board_are_named_by_their_path_with_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&PATH_EXPORT, folder.path());
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, Value, &[&str]); 22] = [
        ("newer version", "/version", json!(2), &["version: 2", "allowed: 1; the file is of a newer program: use that one"]),
        ("older version", "/version", json!(0), &["version: 0", "allowed: 1; supernet-train"]),
        ("another kind of file", "/format", json!("cream-architecture"), &["format: cream-architecture", "allowed: cream-board"]),
        ("unknown key", "/sead", json!(1), &["sead: unknown field", "did you mean `seed`?"]),
        ("newer version of the space", "/space/version", json!(2), &["space.version: 2", "newer program"]),
        ("misspelt key of the space", "/space/nrom", json!(2), &["space.nrom: unknown field", "did you mean `norm`?"]),
        ("no choices", "/space/choices", json!([]), &["space.choices (their number): 0", "1 to 64"]),
        ("huge number of layers", "/space/stages/0/max_layers", json!(1e15 as u64), &["space.stages[0].max_layers", "1 to 100"]),
        ("choice that there is not", "/entries/0/path", json!([[9], [3], [3], [3], [3]]), &["(entries[0]): stage 1 has choice 9", "0 to 5"]),
        ("path of another depth", "/entries/0/path", json!([[3, 3], [3], [3], [3], [3]]), &["entries[0].path", "[1, 1, 1, 1, 1] layers"]),
        ("cost that the path has not", "/entries/0/flops", json!(1), &["entries[0].flops: 1", "which the path counts"]),
        ("score above 1", "/entries/0/batch_top1", json!(7), &["entries[0].batch_top1: 7", "0 to 1"]),
        ("unknown key of an entry", "/entries/0/stpe", json!(7), &["entries[0].stpe", "did you mean `step`?"]),
        ("image smaller than the strides", "/image_size", json!(16), &["json: image_size: 16", "the product of all strides, 32"]),
        ("image of huge size", "/image_size", json!(1_000_000), &["json: image_size: 1000000", "1 to 4096"]),
        ("no classes", "/num_classes", json!(0), &["num_classes: 0", "1 to 1000000"]),
        ("depths of too few stages", "/depths", json!([1, 1]), &["depths (their number): 2", "allowed: 5"]),
        ("limits the wrong way round", "/interval", json!({"flops_min": 2, "flops_max": 1}), &["interval.flops_min: 2", "at most the upper limit, 1"]),
        ("huge limit", "/interval/flops_min", json!(1e99), &["interval.flops_min: invalid type", "1e+99"]),
        ("negative seed", "/seed", json!(-1), &["seed: invalid value", "-1"]),
        ("empty board", "/entries", json!([]), &["the board is empty", "train longer"]),
        ("too many entries", "/entries", vec![board()["entries"][0].clone(); 10_001].into(), &["entries: a list of 10001", "at most 10000"]),
    ];
    for (what, pointer, value, parts) in rows {
        fs::write(folder.path().join("board.json"), changed(pointer, value)).unwrap();
        table.refuses(what, "@/board.json", &[&["@/board.json: "], parts].concat());
    }
}

#[test]
fn spaces_are_named_by_key_or_line() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&PATH_EXPORT, folder.path());
    let good = include_str!("../../../configs/space/cream.toml");
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &str, &[&str]); 10] = [
        ("newer version", "version = 1", "version = 2\nshape = 3", &["version: 2", "allowed: 1; the file is of a newer program"]),
        ("older version", "version = 1", "version = 0", &["version: 0", "allowed: 1; begin with a copy of configs/space/cream.toml"]),
        ("another kind of file", "\"cream-space\"", "\"cream-board\"", &["format: cream-board", "allowed: cream-space"]),
        ("misspelt key", "activation = \"swish\"\npadding", "activaton = \"swish\"\npadding", &["activaton: unknown field", "did you mean `activation`?"]),
        ("wrong type", "kernel = 7", "kernel = \"7\"", &["choices[4].kernel: invalid type", "expected a whole number"]),
        ("even kernel", "kernel = 7", "kernel = 8", &["kernel: 8", "odd numbers from 1 to 31"]),
        ("negative ratio", "ratio = 0.25", "ratio = -1.0", &["squeeze_excite.ratio: -1", "above 0, at most 8"]),
        ("huge number of channels", "channels = 24", "channels = 9999999", &["channels: 9999999", "1 to 16384"]),
        ("sizes below the strides", "sizes = [", "sizes = [4096, 16] #", &["image_size: 16", "the product of all strides, 32"]),
        ("no TOML", "[norm]", "[norm", &["line 14: ", "is it the right file?"]),
    ];
    for (what, from, to, parts) in rows {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{what}: the row changes nothing");
        fs::write(folder.path().join("space.toml"), text).unwrap();
        table.refuses(
            what,
            "--sample 1 --space @/space.toml",
            &[&["@/space.toml: "], parts].concat(),
        );
    }
    fs::write(folder.path().join("space.toml"), "").unwrap();
    table.refuses(
        "empty file",
        "--sample 1 --space @/space.toml",
        &["the document: missing field `format`"],
    );
    table.refuses("missing file", "--sample 1 --space @/none.toml", &["@/none.toml: No such file"]);
}

#[test]
fn files_that_are_no_board_and_requests_that_nothing_meets_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&PATH_EXPORT, folder.path());
    let text = board().to_string();
    fs::write(folder.path().join("whole.json"), &text).unwrap();
    fs::write(folder.path().join("cut.json"), &text[..text.len() / 2]).unwrap();
    fs::write(folder.path().join("arch.json"), include_str!("../../../configs/arch/14.json"))
        .unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    fs::write(folder.path().join("two.json"), text.clone() + &text).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 14] = [
        ("truncated file", "@/cut.json", &["@/cut.json: ", "the text ends too early"]),
        ("an architecture for a board", "@/arch.json", &["@/arch.json: format: cream-architecture", "cream-board; supernet-train"]),
        ("two boards in a file", "@/two.json", &["@/two.json: after the document", "remove what follows"]),
        ("run without a board", "@/run", &["@/run: holds no board.json", "finish this one by running its command again"]),
        ("missing run", "@/none", &["@/none: No such file"]),
        ("limits that no entry meets", "@/whole.json --flops-max 0.1", &["@/whole.json: no entry is inside", "move the limits into that range"]),
        ("limit that is no number", "@/whole.json --flops-max nan", &["flops_max: NaN", "0 to 9e9 (millions)"]),
        ("limits the wrong way round", "@/whole.json --flops-min 5 --flops-max 1", &["flops_min: 5", "at most flops_max, 1 (millions)"]),
        ("limits that no path meets", "--sample 1 --flops-max 0.001", &["no path counts between 0 and 0.001", "move the limits into that range"]),
        ("image smaller than the strides", "--sample 1 --image-size 16", &["image_size: 16", "the product of all strides, 32"]),
        ("no classes", "--sample 1 --image-size 64 --classes 0", &["num_classes: 0", "1 to 1000000"]),
        ("lists of too few stages", "--path [[0],[3]] --image-size 64", &["--path: path [[0],[3]]: 2 lists", "5 searched stages"]),
        ("lists that do not end", "--path [[0] --image-size 64", &["path [[0]: EOF", "write lists such as"]),
        ("name of no network", "--name 288", &["--name: 288: no such network", "known: 14, 43"]),
    ];
    for (what, arguments, parts) in rows {
        table.refuses(what, arguments, parts);
    }
}
