//! Paths chosen and bred by their scores with inherited weights.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::HashSet;
use std::fs;
use std::path::Path as FilePath;
use std::process::{Command, Output};

use cream_arch::{
    Architecture, Board, BoardFile, Convention, Cost, FlopsInterval, Path, Shape, Source, Space,
};
use serde_json::{Value, json};

fn path_export(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_path-export")).args(arguments).output().unwrap()
}

fn networks(arguments: &[&str]) -> Vec<Architecture> {
    let output = path_export(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    Architecture::many_from_json(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

fn path_of(network: &Architecture) -> Path {
    network.provenance.clone().unwrap().path.unwrap()
}

fn cost(path: &Path) -> Cost {
    Cost::of(&Space::published().architecture(path, 32, 10).unwrap())
}

/// A run whose supernet has up to two layers a stage, and whose board is empty.
fn write_run(folder: &FilePath) -> String {
    let shape = Shape { image_size: 32, depths: vec![2; 5], min_depths: vec![1; 5] };
    let interval = FlopsInterval { min: 0, max: 7_000_000 };
    let file = BoardFile::new(&Board::new(3), Space::published(), shape, 10, interval, 5);
    fs::write(folder.join("board.json"), file.to_json()).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// A line as evaluate --supernet prints it.
fn line(lists: &str, top1: f64) -> Value {
    let path: Path = lists.parse().unwrap();
    let flops = cost(&path).flops(Convention::Published);
    json!({"path": path, "flops": flops, "params": cost(&path).params(), "split": "search-val",
        "top1": top1, "top5": 1.0, "loss": 0.5, "images": 750})
}

fn write_scores(folder: &FilePath, lines: &[Value]) -> String {
    let file = folder.join("scores.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

const CHEAP: &str = "[[0],[0],[0],[0],[0]]";
const MIDDLE: &str = "[[0],[0,0],[0],[0,2],[0]]";
const COSTLY: &str = "[[0],[1,1],[1],[0,2],[0]]";

#[test]
fn scored_paths_take_the_boards_place() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(folder.path());
    let lines = [line(CHEAP, 0.5), line(COSTLY, 0.7), line(MIDDLE, 0.7), line(CHEAP, 0.9)];
    let scores = write_scores(folder.path(), &lines);
    // Among equals the cheaper; of a path that comes twice the first score.
    let best = networks(&[&run, "--scores", &scores]);
    assert_eq!(path_of(&best[0]).to_string(), MIDDLE);
    let provenance = best[0].provenance.clone().unwrap();
    assert_eq!(provenance.source, Source::Scores);
    assert_eq!((provenance.validation_top1, provenance.batch_top1), (Some(0.7), None));
    let all = networks(&[&run, "--scores", &scores, "--top", "9"]);
    let all: Vec<String> = all.iter().map(|network| path_of(network).to_string()).collect();
    assert_eq!(all, [MIDDLE, COSTLY, CHEAP]);
    assert_eq!(networks(&[&run, "--scores", &scores, "--pareto"]).len(), 2);
}

#[test]
fn offspring_are_new_paths_of_the_supernet_inside_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(folder.path());
    let scores = write_scores(folder.path(), &[line(CHEAP, 0.5), line(MIDDLE, 0.7)]);
    let born =
        |seed: &str| networks(&[&run, "--scores", &scores, "--offspring", "30", "--seed", seed]);
    let children = born("1");
    let paths: HashSet<Path> = children.iter().map(path_of).collect();
    assert_eq!(paths.len(), 30);
    for path in &paths {
        assert!(path.to_string() != CHEAP && path.to_string() != MIDDLE);
        assert!(path.depths().iter().all(|layers| (1..=2).contains(layers)), "{path}");
        assert!(cost(path).flops(Convention::Published) <= 7_000_000, "{path}");
    }
    assert_eq!(children[3].provenance.clone().unwrap().source, Source::Evolution);
    assert_eq!(children, born("1"));
    assert_ne!(children, born("2"));
}

#[test]
fn samples_are_spread_over_the_costs_that_can_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(folder.path());
    let found = networks(&[&run, "--sample", "10", "--spread"]);
    let costs: Vec<u64> = found.iter().map(|n| Cost::of(n).flops(Convention::Published)).collect();
    let shape = Shape { image_size: 32, depths: vec![2; 5], min_depths: vec![1; 5] };
    let cheapest = Space::published().reachable(&shape, 10).unwrap().0;
    for (index, &flops) in costs.iter().enumerate() {
        let part = (flops - cheapest) as f64 / (7_000_000 - cheapest) as f64 * 10.0;
        assert!((index as f64 - 0.01..=index as f64 + 1.01).contains(&part), "{index}: {flops}");
    }
    let depths: HashSet<Vec<usize>> =
        found.iter().map(|network| path_of(network).depths()).collect();
    assert!(depths.len() > 5);
    // Without a run the flags say the same.
    let flags = [
        "--depths",
        "2,2,2,2,2",
        "--min-depths",
        "1,1,1,1,1",
        "--image-size",
        "32",
        "--classes",
        "10",
    ];
    let alike =
        networks(&[&["--sample", "10", "--spread", "--flops-max", "7"], &flags[..]].concat());
    let paths = |networks: &[Architecture]| networks.iter().map(path_of).collect::<Vec<_>>();
    assert_eq!(paths(&alike), paths(&found));
}

#[test]
fn what_is_no_score_of_that_supernet_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(folder.path());
    let changed = |key: &str, value: Value| {
        let mut line = line(MIDDLE, 0.7);
        line[key] = value;
        line
    };
    let deep = line("[[0,0,0],[0],[0],[0],[0]]", 0.7);
    for (bad, named) in [
        (changed("split", json!("val")), "score with --split search-val"),
        (changed("flops", json!(7)), "flops is 7; the path counts"),
        (changed("top1", json!(70.0)), "top1 is 70"),
        (changed("path", json!([[0]])), "1 lists"),
        (deep, "give the run that scored it"),
        (json!({"path": [[0]]}), "missing field `flops`"),
        (json!("scores"), "as evaluate --supernet prints them"),
    ] {
        let scores = write_scores(folder.path(), &[line(CHEAP, 0.5), bad.clone()]);
        for more in [&["--top", "1"][..], &["--offspring", "2"]] {
            let output = path_export(&[&[&run, "--scores", &scores], more].concat());
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{bad}: {error}");
            assert!(error.contains("scores.jsonl: line 2: ") && error.contains(named), "{error}");
            assert!(error.lines().count() == 1 && output.stdout.is_empty(), "{error}");
        }
    }
    let refuses = |arguments: &[&str], named: &str| {
        let output = path_export(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(named), "{error}");
    };
    let empty = write_scores(folder.path(), &[]);
    refuses(&[&run, "--scores", &empty], "holds no scores");
    let one = write_scores(folder.path(), &[line(COSTLY, 0.5)]);
    refuses(
        &[&run, "--scores", &one, "--offspring", "2", "--flops-max", "2.3"],
        "no path is inside the limits",
    );
    refuses(&["--scores", &one], "RUN");
    refuses(&[&run, "--offspring", "2"], "--scores");
}
