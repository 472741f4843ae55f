//! Every bad input ends with status 2 and one line that says what is wrong, where, and what to do next.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../../lib/train/tests/tiny/bad_input.rs"]
mod bad_input;
#[path = "../../../lib/train/tests/tiny/damage.rs"]
mod damage;
#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bad_input::Table;
use candle_core::{DType, Device};
use cream_data::ShardSet;
use cream_nn::{ChildNet, TensorFile};
use cream_train::KeyedInitialisation;
use cream_train::report::Silent;
use cream_train::run_folder::{Resume, RunFolder};
use cream_train::search::search;
use cream_train::sitting::Sitting;
use damage::Damaged;
use serde_json::{Value, json};
use tempfile::TempDir;
use tool::Tool;

const EVALUATE: Tool = Tool::new("evaluate", env!("CARGO_BIN_EXE_evaluate"));
const GOOD: &str = "--weights @/w.safetensors --data @/data";

/// Shards, an architecture, and weights of it that nobody trained.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny::write_shards(&dir.path().join("data"));
    let network = tiny::architecture(tiny::PATH);
    fs::write(dir.path().join("arch.json"), network.to_json()).unwrap();
    let mut init = KeyedInitialisation::new(3);
    let weights = ChildNet::new(&network, &mut init, DType::F32, &Device::Cpu).unwrap();
    let classes: Vec<String> = (0..4).map(|class| format!("class {class}, \"{class}\"")).collect();
    let description = json!({
        "format": "cream-weights", "version": 1, "weights": "raw", "architecture": network,
        "classes": classes,
    });
    let file = TensorFile { description, tensors: weights.weights().tensors() };
    fs::write(dir.path().join("w.safetensors"), file.to_bytes().unwrap()).unwrap();
    dir
}

fn damaged(dir: &Path) -> Damaged {
    Damaged::read(&dir.join("w.safetensors"))
}

#[test]
fn tensors_that_do_not_fit_are_listed_by_name() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let name = "classifier.bias";
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, Damaged, &[&str]); 9] = [
        ("tensor missing, another too many", damaged(dir.path()).rename(name, "classifier.bais"), &["2 differences", "classifier.bias is missing", "classifier.bais is not part of this network"]),
        ("tensor of another shape", damaged(dir.path()).set(name, "shape", json!([2, 2])), &["1 difference)", "classifier.bias has shape [2, 2], not [4]", "give weights of this network"]),
        ("tensor of integers", damaged(dir.path()).set(name, "dtype", json!("U32")), &["classifier.bias has type u32, not f32"]),
        ("tensor of a type not supported", damaged(dir.path()).set(name, "dtype", json!("I32")), &["a type that is not supported: classifier.bias has I32"]),
        ("type that does not fit the bytes", damaged(dir.path()).set(name, "dtype", json!("I8")), &["not a safetensors file", "do not agree (classifier.bias)"]),
        ("shape that does not fit the bytes", damaged(dir.path()).set(name, "shape", json!([1u64 << 40])), &["not a safetensors file", "do not agree (classifier.bias)"]),
        ("shape past all numbers", damaged(dir.path()).set(name, "shape", json!([1u64 << 40, 1u64 << 40])), &["not a safetensors file", "overflow"]),
        ("place outside the file", damaged(dir.path()).set(name, "data_offsets", json!([0, 1u64 << 40])), &["not a safetensors file", "invalid offset for tensor"]),
        ("type that there is not", damaged(dir.path()).set(name, "dtype", json!("F33")), &["not a safetensors file", "unknown variant `F33`"]),
    ];
    for (what, file, parts) in rows {
        file.write(&dir.path().join("bad.safetensors"));
        let arguments = "--weights @/bad.safetensors --data @/data";
        table.refuses(what, arguments, &[&["@/bad.safetensors: "], parts].concat());
    }
}

#[test]
fn files_that_are_no_weights_are_named() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let bytes = fs::read(dir.path().join("w.safetensors")).unwrap();
    let huge = [&(1u64 << 60).to_le_bytes(), &bytes[8..]].concat();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, Vec<u8>, &[&str]); 7] = [
        ("empty file", Vec::new(), &["it has 0 bytes; copy it again"]),
        ("truncated in its header", bytes[..100].into(), &["it ends after 100 bytes, inside its header; copy it again"]),
        ("truncated in a tensor", bytes[..bytes.len() - 9].into(), &["and its header speaks of", "copy it again"]),
        ("longer than its header says", [&bytes[..], &[0]].concat(), &["and its header speaks of", "copy it again"]),
        ("header of huge length", huge, &["is it the right file?"]),
        ("text", b"{\"format\": \"cream-board\"}".into(), &["is it the right file?"]),
        ("header that is no JSON", [&8u64.to_le_bytes()[..], b"{{{{{{{{"].concat(), &["invalid JSON in header"]),
    ];
    for (what, bytes, parts) in rows {
        fs::write(dir.path().join("bad.safetensors"), bytes).unwrap();
        let parts = &[&["@/bad.safetensors: not a safetensors file: "], parts].concat();
        table.refuses(what, "--weights @/bad.safetensors --data @/data", parts);
    }
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 4] = [
        ("missing weights", "--weights @/none", &["@/none: No such file"]),
        ("folder without weights", "--weights @/data", &["@/data: holds no model.safetensors", "finished retraining"]),
        ("device for weights", "--weights /dev/zero", &["/dev/zero: is not a file"]),
        ("missing architecture", "--weights @/w.safetensors --arch @/none", &["@/none: No such file"]),
    ];
    for (what, arguments, parts) in rows {
        table.refuses(what, &format!("{arguments} --data @/data"), parts);
    }
}

#[test]
fn descriptions_are_named_by_key() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let good =
        TensorFile::from_bytes(&fs::read(dir.path().join("w.safetensors")).unwrap()).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, Value, &[&str]); 11] = [
        ("newer version", "version", json!(2), &["version is 2, and this program reads 1; use the newer program"]),
        ("older version", "version", json!(0), &["version is not 1; make the file anew"]),
        ("format that there is not", "format", json!("cream-dreams"), &["format is cream-dreams", "is it the right file?"]),
        ("format that is missing", "format", json!(null), &["format is missing"]),
        ("logits for weights", "format", json!("cream-logits"), &["holds cream-logits, not weights"]),
        ("unknown key", "extra", json!(1), &["extra unknown field `extra`"]),
        ("unknown kind of weights", "weights", json!("mean"), &["weights unknown variant `mean`", "`ema` or `raw`"]),
        ("no architecture", "architecture", json!(null), &["architecture", "invalid type: null"]),
        ("architecture of a newer version", "architecture", json!({"format": "cream-architecture", "version": 2}), &["architecture version: 2", "newer program"]),
        ("names of too few classes", "classes", json!(["a"]), &["classes names 1 of the 4 classes"]),
        ("another network's weights", "architecture", json!(tiny::architecture("[[1],[3],[2],[1],[4]]")), &["do not fit the network", "blocks.1.0.bn1.bias has shape"]),
    ];
    for (what, key, value, parts) in rows {
        let mut file = good.clone();
        file.description[key] = value;
        fs::write(dir.path().join("bad.safetensors"), file.to_bytes().unwrap()).unwrap();
        let arguments = "--weights @/bad.safetensors --data @/data";
        table.refuses(what, arguments, &[&["@/bad.safetensors: "], parts].concat());
    }
    damaged(dir.path()).metadata("{").write(&dir.path().join("bad.safetensors"));
    let parts = ["@/bad.safetensors: metadata `cream` is not JSON"];
    table.refuses("metadata that is no JSON", "--weights @/bad.safetensors --data @/data", &parts);
    let foreign = TensorFile { description: Value::Null, ..good };
    fs::write(dir.path().join("bad.safetensors"), foreign.to_bytes().unwrap()).unwrap();
    let parts = ["@/bad.safetensors: ", "give its architecture with --arch"];
    table.refuses("foreign weights", "--weights @/bad.safetensors --data @/data", &parts);
}

#[test]
fn what_is_no_supernet_and_what_is_no_path_of_it_is_named() {
    let dir = place();
    let data = Arc::new(ShardSet::open(dir.path().join("data")).unwrap());
    let folder = RunFolder::open(dir.path().join("search"), &Resume::Auto).unwrap();
    let plan = tiny::search_plan(tiny::search_settings());
    search(&plan, &data, &folder, &Sitting::to_the_end(Resume::Auto), &mut Silent).unwrap();
    let table = Table::new(&EVALUATE, dir.path());
    let good = fs::read(dir.path().join("search/supernet.safetensors")).unwrap();
    let good = TensorFile::from_bytes(&good).unwrap();
    let mut newer_space = good.description["space"].clone();
    newer_space["version"] = json!(2);
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, Value, &[&str]); 10] = [
        ("supernet of a newer version", "version", json!(2), &["version is 2, and this program reads 1"]),
        ("weights for a supernet", "format", json!("cream-logits"), &["is not a supernet; give the folder of a finished search"]),
        ("supernet with an unknown key", "extra", json!(1), &["extra unknown field"]),
        ("supernet with a newer space", "space", newer_space, &["space: version: 2", "newer program"]),
        ("supernet of too few depths", "depths", json!([1]), &["depths (their number): 1", "allowed: 5"]),
        ("supernet of huge depth", "depths", json!([1, 1, 1, 1, 100]), &["more than are left of the weights"]),
        ("supernet smaller than its strides", "image_size", json!(8), &["image_size: 8", "the product of all strides"]),
        ("supernet of huge size", "image_size", json!(1_000_000), &["image_size: 1000000", "1 to 4096"]),
        ("supernet of other classes", "num_classes", json!(5), &["classifier.bias has shape [4], not [5]"]),
        ("supernet with a negative seed", "seed", json!(-1), &["seed invalid value"]),
    ];
    for (what, key, value, parts) in rows {
        let mut file = good.clone();
        file.description[key] = value;
        fs::write(dir.path().join("bad.safetensors"), file.to_bytes().unwrap()).unwrap();
        let arguments = "--supernet @/bad.safetensors --arch @/arch.json --data @/data";
        table.refuses(what, arguments, &[&["@/bad.safetensors: "], parts].concat());
    }
    let mut network = tiny::architecture(tiny::PATH);
    network.num_classes = 7;
    fs::write(dir.path().join("classes.json"), network.to_json()).unwrap();
    let large = tiny::architecture(tiny::PATH).with_image_size(64).unwrap();
    fs::write(dir.path().join("large.json"), large.to_json()).unwrap();
    let deep = tiny::architecture("[[0],[3,3],[2],[1],[4]]");
    fs::write(dir.path().join("deep.json"), deep.to_json()).unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 9] = [
        ("path of other classes", "--supernet @/search --arch @/classes.json", &["@/classes.json: architecture 1 of 1: num_classes is 7 and the supernet's 4"]),
        ("path of another size", "--supernet @/search --arch @/large.json", &["@/large.json: architecture 1 of 1: image_size is 64 and the supernet's 32"]),
        ("path of too many layers", "--supernet @/search --arch @/deep.json", &["@/deep.json: architecture 1 of 1: path [[0],[3,3],[2],[1],[4]] does not fit a supernet"]),
        ("supernet without paths", "--supernet @/search", &["--supernet needs --arch"]),
        ("folder without a supernet", "--supernet @/data --arch @/arch.json", &["@/data: holds no supernet.safetensors", "finished search"]),
        ("weights for a supernet", "--supernet @/w.safetensors --arch @/arch.json", &["@/w.safetensors: is not a supernet"]),
        ("supernet for weights", "--weights @/search/supernet.safetensors", &["supernet.safetensors: is a supernet; score its paths with --supernet"]),
        ("folder of a search for weights", "--weights @/search", &["@/search: holds no model.safetensors"]),
        ("checkpoint of a search for weights", "--weights @/search/checkpoints/step-000000012.safetensors", &["is a checkpoint of a search"]),
    ];
    for (what, arguments, parts) in rows {
        table.refuses(what, &format!("{arguments} --data @/data"), parts);
    }
    // A file of a run that is not what its manifest says.
    let supernet = dir.path().join("search/supernet.safetensors");
    let mut bytes = fs::read(&supernet).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&supernet, bytes).unwrap();
    let arguments = "--supernet @/search --arch @/arch.json --data @/data";
    table.refuses(
        "result that was damaged",
        arguments,
        &["supernet.safetensors: has SHA-256", "it is damaged"],
    );
}

#[test]
fn shards_are_named_with_what_differs() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let data = dir.path().join("data");
    let whole = |name: &str| fs::read(data.join(name)).unwrap();
    let (index, shard) = (String::from_utf8(whole("index.json")).unwrap(), whole("val-000000.tar"));
    let parsed: Value = serde_json::from_str(&index).unwrap();
    let edited = |pointer: &str, value: Value| {
        let mut index = parsed.clone();
        match index.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => index[&pointer[1..]] = value,
        }
        index.to_string()
    };
    let zeros = "0".repeat(64);
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, String, &[&str]); 16] = [
        ("index of a newer version", edited("/version", json!(2)), &["index.json: format version 2, but this program reads version 1; use the newer program"]),
        ("index of an older version", edited("/version", json!(0)), &["index.json: format version 0", "make the shards anew with imagenet-prep --overwrite"]),
        ("index of another format", edited("/format", json!("x")), &["index.json: format is \"x\", not \"cream-shards\""]),
        ("index with an unknown key", edited("/extra", json!(1)), &["index.json: extra: unknown field `extra`"]),
        ("index that is cut", index[..index.len() / 2].to_owned(), &["index.json: EOF", "make the shards anew"]),
        ("index without classes", edited("/classes", json!([])), &["index.json: classes: 0 names, but 1 to 1048576 are allowed"]),
        ("index of another number of classes", edited("/classes", json!(["a"])), &["train-table.csv: line 14: class 1, but there are 1 classes"]),
        ("shard outside the folder", edited("/splits/val/shards/0/file", json!("../x.tar")), &["index.json: splits.val.shards[0].file: \"../x.tar\" is not a plain file name"]),
        ("shard of an absolute path", edited("/splits/val/shards/0/file", json!("/etc/passwd")), &["index.json: splits.val.shards[0].file: \"/etc/passwd\" is not a plain file name"]),
        ("shard that is not there", edited("/splits/val/shards/0/file", json!("val-7.tar")), &["val-7.tar: missing, but index.json names it", "copy the folder again"]),
        ("shard of another size", edited("/splits/val/shards/0/bytes", json!(5)), &["val-000000.tar: its size in bytes is ", "but index.json says 5"]),
        ("checksum that is none", edited("/splits/val/shards/0/sha256", json!("00")), &["index.json: splits.val.shards[0].sha256: not 64 hexadecimal digits"]),
        ("checksum of a shard that differs", edited("/splits/val/shards/0/sha256", json!(zeros)), &["val-000000.tar: its SHA-256 is ", "but index.json says 000", "copy the folder again or make it anew"]),
        ("checksum of a table that differs", edited("/splits/val/table/sha256", json!(zeros)), &["val-table.csv: its SHA-256 is ", "but index.json says 000"]),
        ("another number of samples", edited("/splits/val/samples", json!(9)), &["val-table.csv: 20 samples", "but index.json says 9"]),
        ("huge number of samples", edited("/splits/val/samples", json!(1u64 << 40)), &["index.json: splits.val.samples: 1099511627776, more than 2^31 - 1"]),
    ];
    for (what, text, parts) in rows {
        fs::write(data.join("index.json"), text).unwrap();
        table.refuses(what, GOOD, parts);
    }
    fs::write(data.join("index.json"), &index).unwrap();
    fs::write(data.join("val-000000.tar"), &shard[..shard.len() / 2]).unwrap();
    table.refuses("shard that is cut", GOOD, &["val-000000.tar: its size in bytes is "]);
    let mut flipped = shard.clone();
    flipped[600] ^= 1;
    fs::write(data.join("val-000000.tar"), flipped).unwrap();
    table.refuses("shard with another byte", GOOD, &["val-000000.tar: its SHA-256 is "]);
    table.refuses(
        "data that are not there",
        "--weights @/w.safetensors --data @/none",
        &["@/none: no index.json; make shards with imagenet-prep"],
    );
    table.refuses(
        "data that are a file",
        "--weights @/w.safetensors --data @/arch.json",
        &["@/arch.json: not a folder"],
    );

    // A table line that points past its shard, with a checksum that is right.
    fs::write(data.join("val-000000.tar"), &shard).unwrap();
    let past =
        String::from_utf8(whole("val-table.csv")).unwrap().replacen(",0,512,", ",0,99999999,", 1);
    fs::write(data.join("val-table.csv"), &past).unwrap();
    let mut index = parsed.clone();
    index["splits"]["val"]["table"]["sha256"] =
        cream_data::shards::checksum::of_bytes(past.as_bytes()).into();
    index["splits"]["val"]["table"]["bytes"] = past.len().into();
    fs::write(data.join("index.json"), index.to_string()).unwrap();
    table.refuses(
        "sample outside its shard",
        GOOD,
        &["val-table.csv: line 2: bytes 99999999 + ", "do not lie in val-000000.tar"],
    );

    tiny::write_shards_of(&data, 5);
    table.refuses(
        "data of other classes",
        GOOD,
        &["1 of the data's 5 classes cannot be told apart by name among the network's 4: \"class 4, \\\"4\\\"\"; give"],
    );
}

#[test]
fn places_that_cannot_be_written_are_named_before_anything_is_scored() {
    let dir = place();
    // Scoring would fail at the first image: an error about the place is from before.
    fs::write(
        dir.path().join("data/val-000000.tar"),
        vec![0; fs::metadata(dir.path().join("data/val-000000.tar")).unwrap().len() as usize],
    )
    .unwrap();
    let table = Table::new(&EVALUATE, dir.path());
    for flag in ["--predictions", "--logits", "--save-inputs", "--confusion", "--per-class"] {
        #[rustfmt::skip] // a table reads by rows
        let rows: [(&str, &str, &[&str]); 3] = [
            ("folder that is not there", "@/none/file", &["@/none/file: No such file", "; give a file in a folder that is there"]),
            ("file for a folder", "@/arch.json/file", &["@/arch.json/file: Not a directory"]),
            ("folder for a file", "@/data", &["@/data: is a folder; give a file to write"]),
        ];
        for (what, path, parts) in rows {
            table.refuses(&format!("{flag}: {what}"), &format!("{GOOD} {flag} {path}"), parts);
        }
    }
    let twice = format!("{GOOD} --predictions @/out --logits @/out");
    table.refuses("one path for two files", &twice, &["@/out: given for two files"]);
    let late =
        format!("{GOOD} --no-verify --quiet --predictions @/p --logits @/l --save-inputs @/i");
    table.refuses(
        "image that cannot be read",
        &late,
        &["val-000000.tar: sample i00: neither JPEG nor PNG"],
    );
    let left: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        left.iter().all(|name| ["data", "arch.json", "w.safetensors"].contains(&name.as_str())),
        "{left:?}"
    );
}

#[test]
fn files_that_may_not_be_read_or_written_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(dir.path().join("closed")).unwrap();
    mode("closed", 0o555);
    table.is_denied(
        "folder that may not be written",
        &format!("{GOOD} --logits @/closed/l"),
        &["@/closed/l: Permission denied", "make it accessible or give another path"],
    );
    for (what, file, arguments) in [
        ("weights that may not be read", "w.safetensors", GOOD.to_owned()),
        ("architecture that may not be read", "arch.json", format!("{GOOD} --arch @/arch.json")),
        ("shard that may not be read", "data/val-000000.tar", GOOD.to_owned()),
        ("index that may not be read", "data/index.json", GOOD.to_owned()),
    ] {
        mode(file, 0o000);
        table.is_denied(what, &arguments, &[&format!("@/{file}: Permission denied")]);
        mode(file, 0o644);
    }
}

#[test]
fn lists_of_classes_and_sizes_that_do_not_fit_are_named() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("three", "a\nb\nc\n");
    write("gap", "a\n\nb\nc\n");
    write("others", "a\nb\nc\nd\n");
    write("double", "class 0, \"0\"\nx\nx\ny\n");
    write("unknown", "class 1, \"1\"\nbird\n");
    write("beyond", "0\n4\n");
    write("empty", "\n  \n");
    fs::write(dir.path().join("binary"), b"a\xff").unwrap();
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 13] = [
        ("names of too few classes", "--classes-file @/three", &["@/three: names 3 classes and the network has 4; give one name on each line, in the order"]),
        ("names with a gap", "--classes-file @/gap", &["@/gap: line 2 is empty"]),
        ("names that the data does not have", "--classes-file @/others", &["4 of the data's 4 classes cannot be told apart", "with --classes-file"]),
        ("two classes of one name", "--classes-file @/double", &["3 of the data's 4 classes", "class 1"]),
        ("names that are no text", "--classes-file @/binary", &["@/binary: not UTF-8 text"]),
        ("names that are not there", "--classes-file @/none", &["@/none: No such file"]),
        ("subset of an unknown class", "--subset @/unknown", &["@/unknown: 1 of 2 names are none of the classes: \"bird\"; give names"]),
        ("subset of a number too high", "--subset @/beyond", &["@/beyond: 2 of 2 names are none of the classes: \"0\", \"4\""]),
        ("subset of nothing", "--subset @/empty", &["@/empty: names no class; give the name of a class on each line"]),
        ("subset that is not there", "--subset @/none", &["@/none: No such file"]),
        ("size below the strides", "--image-size 31", &["--image-size: image_size: 31", "the product of all strides"]),
        ("folder without images", "--subset @/data", &["@/data: Is a directory"]),
        ("list for a folder of shards", "--classes-file @/data", &["@/data: Is a directory"]),
    ];
    for (what, flags, parts) in rows {
        table.refuses(what, &format!("{GOOD} {flags}"), parts);
    }
    let images = "--weights @/w.safetensors --image";
    table.refuses(
        "folder that holds no images",
        &format!("{images} @/data"),
        &["@/data: holds no .jpg, .jpeg or .png files"],
    );
    table.refuses(
        "image that is none",
        &format!("{images} @/three"),
        &["@/three: neither JPEG nor PNG (it starts with 610a620a); give a whole JPEG or PNG"],
    );
    table.refuses(
        "image that is not there",
        &format!("{images} @/none"),
        &["@/none: No such file", "check the name"],
    );
    table.refuses(
        "image that is empty",
        &format!("{images} /dev/null"),
        &["/dev/null: neither JPEG nor PNG (it starts with nothing: the file is empty)"],
    );
    for flags in [
        format!("{images} @/three --data @/data"),
        format!("{images} @/three --logits @/l"),
        format!("{images} @/three --confusion @/l"),
        "--supernet @/s --image @/three".to_owned(),
        format!("{GOOD} --crops 3"),
        format!("{GOOD} --image-size 0"),
        "--weights @/w.safetensors".to_owned(),
    ] {
        assert_eq!(EVALUATE.run(&flags, "").status.code(), Some(2), "{flags}");
    }
}

#[test]
fn settings_outside_their_range_and_empty_splits_are_named() {
    let dir = place();
    let table = Table::new(&EVALUATE, dir.path());
    table.refuses(
        "device that there is not",
        &format!("{GOOD} --device tpu"),
        &["device tpu: give auto, cpu or cuda"],
    );
    table.refuses("no threads", &format!("{GOOD} --threads 0"), &["threads is 0; give 1 to 1024"]);
    table.refuses(
        "too many workers",
        &format!("{GOOD} --workers 9999"),
        &["workers is 9999, but must be at most 256"],
    );
    let data = dir.path().join("data");
    let text = fs::read_to_string(data.join("train-table.csv")).unwrap().replace(",1\n", ",0\n");
    let mut index: Value =
        serde_json::from_str(&fs::read_to_string(data.join("index.json")).unwrap()).unwrap();
    let train = &mut index["splits"]["train"];
    train["search_validation"] = 0.into();
    train["table"]["sha256"] = cream_data::shards::checksum::of_bytes(text.as_bytes()).into();
    fs::write(data.join("train-table.csv"), text).unwrap();
    fs::write(data.join("index.json"), index.to_string()).unwrap();
    table.refuses(
        "split without images",
        &format!("{GOOD} --split search-val"),
        &["no images in split search-val; give another --split"],
    );
}
