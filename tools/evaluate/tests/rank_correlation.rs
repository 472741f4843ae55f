//! Rankings compared, by the built tool.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn compare(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evaluate"))
        .arg("rank-correlation")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// Scores of paths 0, 1, 2, ... in this order of quality.
fn write(folder: &Path, name: &str, scores: &[f64]) {
    let line = |(path, top1): (usize, &f64)| {
        json!({"path": [[path % 6], [path / 6]], "flops": 1_000_000 + path, "params": 1, "split": "val",
            "top1": top1, "top5": 1.0, "loss": 1.0 - top1, "images": 3000})
    };
    let text: String =
        scores.iter().enumerate().map(|line_of| format!("{}\n", line(line_of))).collect();
    fs::write(folder.join(name), text).unwrap();
}

fn rising(count: usize) -> Vec<f64> {
    (0..count).map(|path| 0.5 + path as f64 / 100.0).collect()
}

#[test]
fn rankings_are_compared_with_networks_alone() {
    let folder = tempfile::tempdir().unwrap();
    let order = rising(12);
    let mut swapped = order.clone();
    swapped.swap(0, 1);
    let reverse: Vec<f64> = order.iter().rev().copied().collect();
    write(folder.path(), "alone-0", &order);
    write(folder.path(), "alone-1", &swapped);
    write(folder.path(), "good", &order);
    write(folder.path(), "bad", &reverse);
    let flags = "--alone alone-0 alone-1 --inherited good=good --inherited bad=bad --resamples 500";
    let output = compare(folder.path(), &format!("{flags} --format json"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["paths"], &report["seeds"]), (&json!(12), &json!(2)));
    // One of 66 pairs in the other order.
    let ceiling = report["by_top1"]["ceiling"]["tau"].as_f64().unwrap();
    assert!((ceiling - 64.0 / 66.0).abs() < 1e-12, "{ceiling}");
    // The mean over seeds has that pair tied.
    let good = report["by_loss"]["searches"][0]["tau"].as_f64().unwrap();
    assert!((good - 65.0 / (66.0_f64 * 65.0).sqrt()).abs() < 1e-12, "{good}");
    let less = &report["by_top1"]["first_search_less"][0];
    assert_eq!((&less["search"], &less["above_zero"]), (&json!("bad"), &json!(1.0)));
    let again = compare(folder.path(), &format!("{flags} --format json"));
    assert_eq!(again.stdout, output.stdout);
    let shown = text(&compare(folder.path(), flags).stdout);
    for part in ["12 paths", "other seeds (ceiling)", "good - bad", "FLOPs", "+0.97"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn scores_of_other_paths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "alone", &rising(5));
    write(folder.path(), "fewer", &rising(4));
    write(folder.path(), "more", &rising(6));
    write(folder.path(), "two", &rising(2));
    fs::write(folder.path().join("text"), "tau\n").unwrap();
    fs::write(
        folder.path().join("nan"),
        "{\"path\":[[0]],\"flops\":1,\"top1\":0.5,\"loss\":null,\"images\":3}\n",
    )
    .unwrap();
    for (arguments, named) in [
        (
            "--alone alone --inherited s=fewer",
            "fewer: has no score of path [[4],[0]], which alone has",
        ),
        ("--alone alone --inherited s=more", "more: scores path [[5],[0]], which alone does not"),
        ("--alone two", "two: holds 2 paths"),
        ("--alone alone --inherited alone", "as search=scores.jsonl"),
        ("--alone missing", "missing: "),
        ("--alone text", "text: line 1: "),
        ("--alone nan", "nan: line 1: "),
        ("--inherited s=alone", "--alone"),
    ] {
        let output = compare(folder.path(), arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(named) && output.stdout.is_empty(), "{arguments}: {error}");
    }
}
