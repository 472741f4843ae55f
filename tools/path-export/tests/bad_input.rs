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
mod weights;

use std::fs;
use std::os::unix::net::UnixListener;

use bad_input::Table;
use cream_arch::{
    Board, BoardFile, Candidate, Convention, Cost, FlopsInterval, Path, Shape, Space,
};
use safetensors::Dtype;
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
    let shape = Shape::fixed(32, vec![1; 5]);
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

/// The tensors with one changed, left out, or added.
fn with_tensors(change: impl FnOnce(&mut weights::Tensors)) -> Vec<u8> {
    let mut tensors = weights::tensors();
    change(&mut tensors);
    tensors.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    weights::file(None, &tensors)
}

fn place_of(tensors: &weights::Tensors, name: &str) -> usize {
    tensors.iter().position(|tensor| tensor.0 == name).unwrap()
}

#[test]
fn tensors_that_are_not_the_network_s_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&PATH_EXPORT, folder.path());
    fs::write(folder.path().join("arch.json"), weights::architecture().to_json()).unwrap();
    let bits = |value: f32| value.to_le_bytes();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, Vec<u8>, &[&str]); 8] = [
        ("missing tensor", with_tensors(|all| drop(all.remove(place_of(all, "bn1.bias")))),
            &["(1 difference): bn1.bias is missing; give weights of this network"]),
        ("unknown tensor", with_tensors(|all| all.push(("extra.weight".to_owned(), Dtype::F32, vec![1], vec![0; 4]))),
            &["(1 difference): extra.weight is not part of this network"]),
        ("misshapen tensor", with_tensors(|all| { let at = place_of(all, "bn1.bias"); all[at].2 = vec![2, 4] }),
            &["bn1.bias has shape [2, 4], not [8]"]),
        ("whole numbers", with_tensors(|all| { let at = place_of(all, "bn1.bias"); (all[at].1, all[at].3) = (Dtype::I64, vec![0; 64]) }),
            &["bn1.bias has type I64, not F32"]),
        ("tensors of another network", with_tensors(|all| all.iter_mut().for_each(|tensor| tensor.0 += "x")),
            &["differences): conv_stem.weight is missing", "; and ", " more; give weights"]),
        ("value that is not finite", with_tensors(|all| { let at = place_of(all, "conv_stem.weight"); all[at].3[8..12].copy_from_slice(&bits(f32::NAN)) }),
            &["conv_stem.weight holds NaN at 2, and weights are finite"]),
        ("negative variance", with_tensors(|all| { let at = place_of(all, "bn1.running_var"); all[at].3[4..8].copy_from_slice(&bits(-0.5)) }),
            &["bn1.running_var holds -0.5 at 1, and no variance is below 0"]),
        ("one tensor under two names", with_tensors(|all| { let stem = all[place_of(all, "conv_stem.weight")].clone(); all.push(("_conv_stem.weight".to_owned(), stem.1, stem.2, stem.3)) }),
            &["holds conv_stem.weight twice"]),
    ];
    for (what, bytes, parts) in rows {
        fs::write(folder.path().join("w.safetensors"), bytes).unwrap();
        for form in ["onnx --out @/net.onnx", "huggingface --out @/net"] {
            let arguments = format!("--weights @/w.safetensors --arch @/arch.json --format {form}");
            table.refuses(what, &arguments, &[&["@/w.safetensors: "], parts].concat());
        }
    }
    assert!(!folder.path().join("net.onnx").exists() && !folder.path().join("net").exists());
}

#[test]
fn weights_that_cannot_be_exported_and_flags_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new(&PATH_EXPORT, folder.path());
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let described = |key: &str, value: Value| {
        let mut description = weights::description();
        description[key] = value;
        weights::file(Some(&description), &weights::tensors())
    };
    let good = weights::file(Some(&weights::description()), &weights::tensors());
    write("w.safetensors", &good);
    write("plain.safetensors", &weights::file(None, &weights::tensors()));
    write("cut.safetensors", &good[..good.len() - 1]);
    write("text.safetensors", b"version https://git-lfs");
    write("newer.safetensors", &described("version", json!(2)));
    write(
        "supernet.safetensors",
        &weights::file(
            Some(
                &json!({"format": "cream-supernet", "version": 1, "space": {}, "depths": [1], "image_size": 32, "num_classes": 3, "seed": 0}),
            ),
            &weights::tensors(),
        ),
    );
    write(
        "logits.safetensors",
        &weights::file(Some(&json!({"format": "cream-logits", "version": 1})), &Vec::new()),
    );
    write(
        "step.safetensors",
        &weights::file(
            Some(
                &json!({"run": {"format": "cream-checkpoint", "version": 1, "kind": "retrain"}, "state": {}}),
            ),
            &Vec::new(),
        ),
    );
    write("few.safetensors", &described("classes", json!(["cat"])));
    fs::create_dir(folder.path().join("run")).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 24] = [
        ("missing weights", "@/none.safetensors --format onnx", &["@/none.safetensors: ", "check the name"]),
        ("truncated weights", "@/cut.safetensors --format onnx", &["@/cut.safetensors: not a safetensors file", "copy it again"]),
        ("text for weights", "@/text.safetensors --format onnx", &["not a safetensors file", "is it the right file?"]),
        ("folder without weights", "@/run --format onnx", &["@/run: holds no model.safetensors", "finished retraining"]),
        ("device for weights", "/dev/null --format onnx", &["/dev/null: is not a file"]),
        ("newer weights", "@/newer.safetensors --format onnx", &["its description: version is 2, and this program reads 1"]),
        ("too few class names", "@/few.safetensors --format onnx", &["classes names 1 of the 3 classes"]),
        ("supernet for weights", "@/supernet.safetensors --format onnx", &["is a supernet; retrain one of its paths"]),
        ("checkpoint for weights", "@/step.safetensors --format onnx", &["is a checkpoint; give the model.safetensors"]),
        ("logits for weights", "@/logits.safetensors --format onnx", &["holds cream-logits, not weights"]),
        ("foreign weights alone", "@/plain.safetensors --format onnx", &["@/plain.safetensors: does not say what network", "--arch"]),
        ("weights of another network", "@/w.safetensors --arch 14 --format onnx", &["do not fit the network"]),
        ("architecture that is not there", "@/w.safetensors --arch @/none --format onnx", &["@/none: No such file"]),
        ("no form", "@/w.safetensors", &["--weights: give --format onnx or --format huggingface"]),
        ("unknown form", "@/w.safetensors --format onxx", &["invalid value 'onxx'", "onnx"]),
        ("operators too old", "@/w.safetensors --format onnx --opset 12", &["--opset: opset 12", "allowed: 13 to 22"]),
        ("no images", "@/w.safetensors --format onnx --batch 0", &["invalid value '0'", "dynamic, or 1 to 65536"]),
        ("image smaller than the strides", "@/w.safetensors --format onnx --image-size 16", &["--image-size: image_size: 16"]),
        ("folder for a file", "@/w.safetensors --format onnx --out @/run", &["@/run: is there, and is no file; name a file"]),
        ("file in no folder", "@/w.safetensors --format onnx --out @/no/net.onnx", &["@/no/net.onnx: its folder is not there"]),
        ("huggingface without a folder", "@/w.safetensors --format huggingface", &["name the folder with --out"]),
        ("folder that is there", "@/w.safetensors --format huggingface --out @/run", &["@/run: is there already; name a new folder"]),
        ("flag of the other form", "@/w.safetensors --format huggingface --out @/new --opset 17", &["--opset: is for --format onnx"]),
        ("run and weights", "@/w.safetensors @/run --format onnx", &["cannot be used with"]),
    ];
    for (what, arguments, parts) in rows {
        table.refuses(what, &format!("--weights {arguments}"), parts);
    }
    for flag in
        ["--arch 14", "--format onnx", "--out x", "--opset 17", "--batch 2", "--keep-batch-norm"]
    {
        let parts = ["is for --weights; leave it out"];
        table.refuses("flag without weights", &format!("--name 14 {flag}"), &parts);
    }
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    table.refuses(
        "socket for a file",
        "--weights @/w.safetensors --format onnx --out @/socket",
        &["@/socket: is there, and is no file"],
    );
}
