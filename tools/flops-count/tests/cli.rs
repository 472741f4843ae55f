//! Runs the built tool: output, exit status, errors.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/arch/");

fn flops_count(arguments: &[&str], input: &str) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_flops-count"));
    let tool = tool.args(arguments).stdin(Stdio::piped());
    let mut child = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A tool that refuses its command line does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Standard output of a run that must succeed.
fn output(arguments: &[&str], input: &str) -> String {
    let output = flops_count(arguments, input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line of a run that must refuse its input.
fn refusal(arguments: &[&str], input: &str) -> String {
    let output = flops_count(arguments, input);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn file(name: &str) -> String {
    format!("{CONFIGS}{name}.json")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

#[test]
fn a_name_stands_for_its_file() {
    assert_eq!(
        output(&["--format", "csv", "43"], ""),
        output(&["--format", "csv", &file("43")], "")
    );
    let error = refusal(&["44"], "");
    assert!(error.contains("44: No such file"), "{error}");
}

#[test]
fn baselines_count_what_their_authors_code_counts() {
    let expected = [
        ("baselines/mobilenet-v3-large", 5_483_032, 216_589_760, 224),
        ("baselines/efficientnet-b0", 5_288_548, 385_814_752, 224),
        ("baselines/efficientnet-b1", 7_794_184, 686_802_832, 240),
        ("baselines/efficientnet-lite0", 4_652_008, 385_187_552, 224),
    ];
    for (name, params, macs, size) in expected {
        let json: Value =
            serde_json::from_str(&output(&["--format", "json", &file(name)], "")).unwrap();
        let found = ["params", "macs", "image_size"].map(|key| json[key].as_u64().unwrap());
        assert_eq!(found, [params, macs, size], "{name}");
    }
}

#[test]
fn json_layers_add_up_in_every_convention() {
    let totals = [("published", 287_178_432), ("macs", 276_262_016), ("ptflops", 288_726_560)];
    for (convention, flops) in totals {
        let arguments = ["--format", "json", "--convention", convention, "-"];
        let json: Value = serde_json::from_str(&output(&arguments, &text("287"))).unwrap();
        assert_eq!(json["flops"], flops);
        assert_eq!(json["convention"], convention);
        let layers = json["layers"].as_array().unwrap();
        let sum: u64 = layers.iter().map(|layer| layer["flops"].as_u64().unwrap()).sum();
        assert_eq!(sum, flops);
    }
}

#[test]
fn several_networks_are_a_line_each() {
    let (first, second) = (file("14"), file("43"));
    let lines = output(&["--format", "json", &first, &second], "");
    let params = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["params"].as_u64().unwrap());
    assert_eq!(params.collect::<Vec<_>>(), [2_673_096, 4_398_600]);
    let csv = output(&["--format", "csv", "-"], &(text("14") + &text("43")));
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "file,name,image_size,num_classes,params,macs,flops");
    assert_eq!(rows[1], "-,cream-14,64,1000,2673096,13188608,13842176");
    assert_eq!(rows[2], "-,cream-43,96,1000,4398600,40655232,42402240");
    let table = output(&[&first, &second], "");
    assert!(table.contains("42,402,240") && table.contains("13,842,176"), "{table}");
}

#[test]
fn one_network_is_a_row_per_layer_in_csv_and_per_block_in_the_table() {
    let csv = output(&["--format", "csv", &file("14")], "");
    let row = "blocks.1.0.se.conv_reduce,squeeze-reduce,64,1,1,16,1,1,1040,1024,1024";
    assert!(csv.lines().any(|line| line == row), "{csv}");
    let table = output(&[&file("14")], "");
    let blocks = table.lines().filter(|line| line.starts_with("blocks.")).count();
    assert_eq!(blocks, 9);
    assert!(table.contains("13,842,176"), "{table}");
}

#[test]
fn size_and_batch_may_be_given() {
    let arguments = ["--format", "json", "--image-size", "64", "--batch", "8", &file("43")];
    let json: Value = serde_json::from_str(&output(&arguments, "")).unwrap();
    assert_eq!(json["image_size"], 64);
    assert_eq!(json["params"], 4_398_600);
    assert_eq!(json["memory"]["batch"], 8);
    // The widest pair is stage 1's expansion from 16 to 64 channels at 32 x 32.
    assert_eq!(json["memory"]["inference_bytes"], 8 * 4 * (16 + 64) * 32 * 32);
}

#[test]
fn wrong_input_is_one_line_that_names_the_place() {
    let good = text("14");
    let cases = [
        (
            good.replace("\"kernel\": 5, \"stride\": 1", "\"kernel\": 4, \"stride\": 1"),
            "stages[2][1].kernel: 4",
        ),
        (good.replace("\"padding\"", "\"pading\""), "unknown field `pading`"),
        (good.replace("\"image_size\": 64", "\"image_size\": 31"), "image_size: 31"),
        (good.replace("\"num_classes\": 1000", "\"num_classes\": 1e30"), "num_classes"),
        (good.replace("\"channels\": 320", "\"channels\": 99999999999"), "stages[6][0].channels"),
        (good.clone() + "{", "document 2"),
        (String::new(), "EOF"),
    ];
    for (input, named) in cases {
        assert_ne!(input, good, "{named}: the case changes nothing");
        let error = refusal(&["-"], &input);
        assert!(
            error.starts_with("flops-count: standard input: ") && error.contains(named),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_wrong_command_line_is_status_two() {
    assert!(refusal(&["/no/such/file.json"], "").contains("/no/such/file.json"));
    assert!(refusal(&[], "").contains("ARCH"));
    assert!(refusal(&["--convention", "mystery", "-"], "").contains("ptflops"));
    assert!(refusal(&["--batch", "18446744073709551615", &file("14")], "").contains("batch"));
    assert!(refusal(&["--image-size", "16", &file("14")], "").contains("--image-size"));
}
