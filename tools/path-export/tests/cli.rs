//! Runs the built tool: output, exit status, errors.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use std::path::Path as FilePath;
use std::process::{Command, Output};

use cream_arch::{
    Architecture, Board, BoardFile, Candidate, Convention, Cost, FlopsInterval, Path, Shape,
    Source, Space,
};

fn path_export(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_path-export")).args(arguments).output().unwrap()
}

/// The networks that a run prints, which must succeed.
fn networks(arguments: &[&str]) -> Vec<Architecture> {
    let output = path_export(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    Architecture::many_from_json(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// The error of a run that must refuse its input.
fn refusal(arguments: &[&str]) -> String {
    let output = path_export(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn flops(network: &Architecture) -> u64 {
    Cost::of(network).flops(Convention::Published)
}

fn path_of(network: &Architecture) -> Path {
    network.provenance.clone().unwrap().path.unwrap()
}

/// A board of one-layer paths of choices 0, 2 and 3, which cost more in this order; validation
/// puts 3 first, 0 second, 2 last.
fn write_board(directory: &FilePath) -> BoardFile {
    let space = Space::published();
    let mut board = Board::new(10);
    for (step, choice, score) in [(7, 0, 0.5), (8, 2, 0.4), (9, 3, 0.6)] {
        let path = Path(vec![vec![choice]; 5]);
        let cost = Cost::of(&space.architecture(&path, 32, 10).unwrap());
        let (flops, params) = (cost.flops(Convention::Published), cost.params());
        board.offer(Candidate { path, flops, params, batch_score: 1.0 - score, step });
        board.entries.last_mut().unwrap().validation_score = Some(score);
    }
    let shape = Shape::fixed(32, vec![1; 5]);
    let interval = FlopsInterval { min: 0, max: 9_000_000 };
    let file = BoardFile::new(&board, space, shape, 10, interval, 5);
    std::fs::write(directory.join("board.json"), file.to_json()).unwrap();
    file
}

fn choices(networks: &[Architecture]) -> Vec<usize> {
    networks.iter().map(|network| path_of(network).0[0][0]).collect()
}

#[test]
fn a_run_exports_its_best_validated_path_with_where_it_came_from() {
    let directory = tempfile::tempdir().unwrap();
    write_board(directory.path());
    std::fs::write(directory.path().join("supernet.safetensors"), "abc").unwrap();
    let run = directory.path().to_str().unwrap();
    let found = networks(&[run]);
    assert_eq!(choices(&found), [3]);
    assert_eq!((found[0].image_size, found[0].num_classes), (32, 10));
    let provenance = found[0].provenance.clone().unwrap();
    assert_eq!(provenance.source, Source::Search);
    assert_eq!((provenance.seed, provenance.step), (Some(5), Some(9)));
    assert_eq!((provenance.batch_top1, provenance.validation_top1), (Some(0.4), Some(0.6)));
    assert_eq!(provenance.flops, Some(flops(&found[0])));
    // SHA-256 of the three bytes "abc", from FIPS 180-2, appendix B.1.
    let checksum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(provenance.supernet_sha256.as_deref(), Some(checksum));
}

#[test]
fn top_limits_and_pareto_select() {
    let directory = tempfile::tempdir().unwrap();
    let board = write_board(directory.path());
    let file = directory.path().join("board.json");
    let file = file.to_str().unwrap();
    assert_eq!(choices(&networks(&[file, "--top", "2"])), [3, 0]);
    assert_eq!(choices(&networks(&[file, "--top", "9"])), [3, 0, 2]);
    assert_eq!(choices(&networks(&[file, "--pareto"])), [0, 3]);
    let below_best = (board.entries[0].flops as f64 - 1.0) / 1e6;
    assert_eq!(choices(&networks(&[file, "--flops-max", &below_best.to_string()])), [0]);
    let above_cheapest = (board.entries[1].flops as f64 + 1.0) / 1e6;
    let limit = above_cheapest.to_string();
    assert_eq!(choices(&networks(&[file, "--flops-min", &limit, "--top", "3"])), [3, 2]);
    let error = refusal(&[file, "--flops-max", "0.1"]);
    assert!(error.contains("no entry") && error.contains("MFLOPs"), "{error}");
}

#[test]
fn published_names_and_lists_make_the_same_network() {
    let lists = "[[0],[3,3],[3,1,3],[3,3,3,3],[3,3,3]]";
    let by_list = networks(&["--path", lists, "--image-size", "224", "--classes", "1000"]);
    let by_name = networks(&["--name", "287"]);
    assert_eq!(by_list[0].stages, by_name[0].stages);
    assert_eq!(flops(&by_name[0]), 287_178_432);
    let small = networks(&["--name", "efficientnet-b0", "--classes", "10", "--image-size", "64"]);
    assert_eq!((small[0].num_classes, small[0].image_size), (10, 64));
}

#[test]
fn released_lists_are_read_both_ways() {
    let released = "[[0],[3],[3,3],[3,3],[3],[3],[0]]";
    let arguments = ["--path", released, "--image-size", "64", "--classes", "1000"];
    let literal = networks(&arguments);
    assert_eq!(path_of(&literal[0]).to_string(), "[[3],[3,3],[3,3],[3],[3]]");
    let as_built = networks(&[&arguments[..], &["--released-reading"]].concat());
    assert_eq!(path_of(&as_built[0]).to_string(), "[[0],[3,3],[3,3],[1],[3]]");
    assert_eq!(flops(&as_built[0]), 13_842_176);
}

#[test]
fn samples_lie_inside_and_depend_on_seed_and_index_only() {
    let arguments =
        ["--sample", "20", "--flops-max", "3", "--flops-min", "2.5", "--image-size", "32"];
    let arguments = [&arguments[..], &["--classes", "10"]].concat();
    let first = networks(&[&arguments[..], &["--seed", "1"]].concat());
    assert_eq!(first.len(), 20);
    assert!(first.iter().all(|network| (2_500_000..=3_000_000).contains(&flops(network))));
    let mut shorter = arguments.clone();
    shorter[1] = "5";
    assert_eq!(networks(&[&shorter[..], &["--seed", "1"]].concat()), first[..5]);
    assert_ne!(networks(&[&arguments[..], &["--seed", "2"]].concat()), first);
    assert!(first[1..].iter().any(|network| path_of(network) != path_of(&first[0])));
}

#[test]
fn samples_of_a_run_come_from_its_supernet_and_limits() {
    let directory = tempfile::tempdir().unwrap();
    let mut board = write_board(directory.path());
    let limit = board.entries.iter().map(|entry| entry.flops).max().unwrap();
    board.interval.max = limit;
    std::fs::write(directory.path().join("board.json"), board.to_json()).unwrap();
    let found = networks(&[directory.path().to_str().unwrap(), "--sample", "30"]);
    for network in &found {
        assert_eq!(path_of(network).depths(), [1; 5]);
        assert_eq!((network.image_size, network.num_classes), (32, 10));
        assert!(flops(network) <= limit);
    }
}

#[test]
fn notes_for_people_can_be_silenced() {
    let noted = path_export(&["--name", "14"]);
    let note = String::from_utf8(noted.stderr).unwrap();
    assert!(note.contains("13.842 MFLOPs") && note.lines().count() == 1, "{note}");
    assert!(path_export(&["--name", "14", "--quiet"]).stderr.is_empty());
}

#[test]
fn wrong_input_is_status_two_and_says_what() {
    let empty = tempfile::tempdir().unwrap();
    let sized = ["--image-size", "64", "--classes", "10"];
    let cases: [(&[&str], &str); 9] = [
        (&[], "RUN"),
        (&["/no/such/board.json"], "/no/such/board.json"),
        (&[empty.path().to_str().unwrap()], "holds no board.json"),
        (&["--name", "288"], "known: 14, 43"),
        (&["--name", "14", "--sample", "2"], "cannot be used"),
        (&["--sample", "0"], "at least 1"),
        (&["--sample", "1", "--flops-max", "0.1"], "those count"),
        (&["--sample", "1", "--depths", "1,2,3"], "depths"),
        (&["--sample", "1", "--space", "/no/such.toml"], "/no/such.toml"),
    ];
    for (arguments, named) in cases {
        let error = refusal(arguments);
        assert!(error.contains(named), "{arguments:?}: {error}");
    }
    for (lists, named) in [
        ("[[0],[3,3]", "EOF"),
        ("[[0],[6],[3],[1],[3]]", "choice 6"),
        ("[[0],[3],[1],[3]]", "4 lists"),
        ("[[0],[],[3],[1],[3]]", "0 layers"),
        ("[[1],[3],[3],[3],[3],[3],[0]]", "must be [0]"),
    ] {
        let error = refusal(&[&["--path", lists], &sized[..]].concat());
        assert!(error.contains(named) && error.lines().count() == 1, "{error}");
    }
}
