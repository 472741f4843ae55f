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
#[path = "../../../lib/train/tests/tiny/mod.rs"]
mod tiny;
#[path = "../../../lib/train/tests/tiny/tool.rs"]
mod tool;

use std::fs;

use bad_input::Table;
use tempfile::TempDir;
use tool::Tool;

const SEARCH: Tool = Tool::new("supernet-train", env!("CARGO_BIN_EXE_supernet-train"));
const GOOD: &str = "--data @/data --out @/out --space @/space.toml --config @/recipe.toml";
const RECIPE: &str = "image-size = 32\ndepths = [1, 1, 1, 1, 1]\nepochs = 2\nbatch = 8\nwarmup-epochs = 1\nslice = 2\n";

fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tiny::write_shards(&dir.path().join("data"));
    fs::write(dir.path().join("space.toml"), tiny::space_toml()).unwrap();
    fs::write(dir.path().join("recipe.toml"), RECIPE).unwrap();
    dir
}

#[test]
fn recipes_are_named_by_key_with_what_is_allowed() {
    let dir = place();
    let table = Table::new(&SEARCH, dir.path());
    #[rustfmt::skip] // a table reads by rows
    let rows: [(&str, &str, &[&str]); 25] = [
        ("misspelt key", "epoch = 1", &["@/recipe.toml: unknown key `epoch`; did you mean `epochs`?"]),
        ("unknown key", "zzqq = 1", &["@/recipe.toml: unknown key `zzqq`; the keys are augment, batch"]),
        ("text for a number", "epochs = \"x\"", &["@/recipe.toml: key `epochs`: invalid type: string \"x\""]),
        ("negative number", "epochs = -1", &["@/recipe.toml: key `epochs`: invalid value: integer `-1`"]),
        ("fraction for a count", "epochs = 1.5", &["@/recipe.toml: key `epochs`: invalid type: floating point `1.5`"]),
        ("number past all integers", "epochs = 99999999999999999999", &["@/recipe.toml: line 1: "]),
        ("no epochs", "epochs = 0", &["epochs is 0; give 1 to 100000"]),
        ("huge batch", "batch = 100000000", &["batch is 100000000; give 2 to 65536"]),
        ("not a number", "learning-rate = nan", &["@/recipe.toml: key `learning-rate`: NaN"]),
        ("negative rate", "learning-rate = -1.0", &["learning-rate is -1; give a number above 0"]),
        ("share above 1", "label-smoothing = 2.0", &["label-smoothing is 2; give at least 0 and below 1"]),
        ("unknown word", "pick-method = \"best\"", &["@/recipe.toml: key `pick-method`: unknown variant `best`", "one of `meta`, `top1`, `none`"]),
        ("unknown device", "device = \"tpu\"", &["device tpu: give auto, cpu or cuda[:N]"]),
        ("too many workers", "workers = 1000", &["workers is 1000; give 0 to 256"]),
        ("no threads", "threads = 0", &["threads is 0; give 1 to 1024"]),
        ("image smaller than the strides", "image-size = 16", &["image_size: 16 is not allowed; allowed: at least the product of all strides, 32"]),
        ("image of huge size", "image-size = 100000", &["image_size: 100000 is not allowed; allowed: 1 to 4096"]),
        ("depths of too few stages", "depths = [1]", &["depths (their number): 1 is not allowed; allowed: 5"]),
        ("huge depth", "depths = [1, 1, 1, 1, 1000]", &["depths[4]: 1000 is not allowed; allowed: 1 to 100"]),
        ("no checkpoints kept", "keep-checkpoints = 0", &["keep-checkpoints is 0; give 1 to 1000"]),
        ("limit that no path meets", "flops-max = 0.001", &["no path counts between 0 and 0.001", "move the limits into that range"]),
        ("key given twice", "seed = 1\nseed = 2", &["@/recipe.toml: line 2: duplicate key"]),
        ("section", "[search]\nseed = 1", &["@/recipe.toml: key `search`: settings are flat"]),
        ("no TOML", "seed =", &["@/recipe.toml: line 1: "]),
        ("not UTF-8", "\u{0}", &["@/recipe.toml: line 1: "]),
    ];
    for (what, text, parts) in rows {
        // The default batch is more than the data has.
        let batch = if text.contains("batch") { "" } else { "\nbatch = 8\n" };
        fs::write(dir.path().join("recipe.toml"), text.to_owned() + batch).unwrap();
        table.refuses(what, GOOD, parts);
    }
    fs::write(dir.path().join("recipe.toml"), vec![b' '; (1 << 20) + 1]).unwrap();
    table.refuses("huge recipe", GOOD, &["@/recipe.toml: larger than the 1048576 bytes allowed"]);
    assert!(!dir.path().join("out").exists());
}

#[test]
fn places_and_files_are_named() {
    let dir = place();
    let table = Table::new(&SEARCH, dir.path());
    fs::write(dir.path().join("file"), "x").unwrap();
    let with = |what: &str, from: &str, to: &str, parts: &[&str]| {
        assert!(GOOD.contains(from), "{what}");
        table.refuses(what, &GOOD.replace(from, to), parts);
    };
    with(
        "data that are not there",
        "@/data",
        "@/none",
        &["@/none: no index.json; make shards with imagenet-prep"],
    );
    with("empty data folder", "@/data", "@", &["no index.json; make shards with imagenet-prep"]);
    with("data that are a file", "@/data", "@/file", &["@/file: not a folder"]);
    with("missing recipe", "@/recipe.toml", "@/none.toml", &["@/none.toml: No such file"]);
    with("missing space", "@/space.toml", "@/none.toml", &["@/none.toml: No such file"]);
    with(
        "space that is no space",
        "@/space.toml",
        "@/recipe.toml",
        &["@/recipe.toml: batch: unknown field"],
    );
    with("file for a run's folder", "@/out", "@/file", &["@/file", "Not a directory"]);
    table.refuses(
        "missing checkpoint",
        &format!("{GOOD} --quiet --resume @/none"),
        &["checkpoint @/none: No such file"],
    );
    table.refuses(
        "checkpoint that is none",
        &format!("{GOOD} --quiet --resume @/file"),
        &["@/file", "not a safetensors file"],
    );
    fs::write(dir.path().join("prior.toml"), RECIPE.to_owned() + "prior = [1]\n").unwrap();
    let prior = GOOD.replace("recipe", "prior") + " --quiet";
    let parts = ["prior: [1.0] is not allowed; allowed: 6 numbers of at least 0, not all 0"];
    table.refuses("prior of too few weights", &prior, &parts);
    let shard = dir.path().join("data/train-000000.tar");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[600] ^= 1;
    fs::write(&shard, bytes).unwrap();
    table.refuses(
        "shard with another byte",
        &format!("{GOOD} --quiet"),
        &["train-000000.tar: its SHA-256 is ", "copy the folder again or make it anew"],
    );
    assert!(!dir.path().join("out/board.json").exists());
}
