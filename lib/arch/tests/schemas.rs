//! The JSON Schemas say what the readers do.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test panics to fail")]

mod json_schema;

use cream_arch::{
    Architecture, BASELINES, Board, BoardFile, Candidate, Convention, Cost, FlopsInterval,
    PUBLISHED, Path, Provenance, Shape, Source, Space,
};
use json_schema::Schemas;
use serde_json::{Value, json};

/// A network with every optional key filled in.
fn complete_network() -> Value {
    let mut network = Architecture::from_json(PUBLISHED[0].1).unwrap();
    network.provenance = Some(Provenance {
        source: Source::Search,
        space: Some("cream".to_owned()),
        path: Some(Path(vec![vec![0], vec![3, 3]])),
        run: Some("runs/x".to_owned()),
        seed: Some(u64::MAX),
        index: Some(1),
        step: Some(2),
        batch_top1: Some(0.5),
        validation_top1: Some(1.0),
        flops: Some(3),
        params: Some(4),
        supernet_sha256: Some("00".to_owned()),
    });
    serde_json::to_value(network).unwrap()
}

fn board() -> Value {
    let space = Space::published();
    let path = Path(vec![vec![3]; 5]);
    let cost = Cost::of(&space.architecture(&path, 32, 10).unwrap());
    let (flops, params) = (cost.flops(Convention::Published), cost.params());
    let mut board = Board::new(10);
    board.offer(Candidate { path, flops, params, batch_score: 0.5, step: 1 });
    let shape = Shape::fixed(32, vec![1; 5]);
    let file = BoardFile::new(&board, space, shape, 10, FlopsInterval::ALL, 5);
    serde_json::to_value(file).unwrap()
}

/// The document with one value put at a JSON pointer, or taken away.
fn changed(document: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent).unwrap(), value) {
        (Value::Object(object), Some(value)) => drop(object.insert(key.to_owned(), value)),
        (Value::Object(object), None) => drop(object.remove(key).unwrap()),
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{pointer}: {other}"),
    }
    document
}

#[test]
fn shipped_files_and_complete_documents_pass() {
    let schemas = Schemas::load();
    for (name, text) in PUBLISHED.iter().chain(&BASELINES) {
        let verdict = schemas.check_architecture(&serde_json::from_str(text).unwrap());
        assert_eq!(verdict, Ok(()), "{name}");
    }
    assert_eq!(schemas.check_architecture(&complete_network()), Ok(()));
    assert_eq!(schemas.check_board(&board()), Ok(()));
    let scored = changed(&board(), "/entries/0/validation_top1", Some(json!(0.5)));
    let limited = changed(&scored, "/interval/flops_max", Some(json!(9_000_000)));
    assert_eq!(schemas.check_board(&limited), Ok(()));
    BoardFile::from_json(&limited.to_string()).unwrap();
}

#[test]
fn what_the_architecture_schema_refuses_the_reader_refuses() {
    let good = complete_network();
    let cases = [
        ("/format", Some(json!("cream-board"))),
        ("/version", Some(json!(2))),
        ("/version", None),
        ("/colour", Some(json!(1))),
        ("/image_size", Some(json!(0))),
        ("/image_size", Some(json!(4097))),
        ("/image_size", Some(json!(-1))),
        ("/num_classes", Some(json!(1_000_001))),
        ("/num_classes", Some(json!("10"))),
        ("/input/mean", Some(json!([0.5, 0.5]))),
        ("/input/std/1", Some(json!(0.0))),
        ("/input/evaluation", Some(json!({"method": "pad-crop", "crop": 0.875}))),
        ("/input/evaluation", Some(json!({"method": "resize-crop", "crop": 0.875}))),
        ("/input/evaluation/crop", Some(json!(0.0))),
        ("/padding", Some(json!("full"))),
        ("/norm/epsilon", Some(json!(0.0))),
        ("/norm/momentum", Some(json!(1.5))),
        ("/stem/kernel", Some(json!(2))),
        ("/stem/stride", Some(json!(9))),
        ("/stages", Some(json!([]))),
        ("/stages/1", Some(json!([]))),
        ("/stages/1/0/operator", Some(json!("inverted"))),
        ("/stages/1/0/kernel", Some(json!(33))),
        ("/stages/1/0/expansion", Some(json!(null))),
        ("/stages/1/0/expansion", Some(json!(-1.0))),
        ("/stages/1/0/channels", Some(json!(16385))),
        ("/stages/1/0/activation", Some(json!("gelu"))),
        ("/stages/1/0/squeeze_excite/width", Some(json!(0))),
        ("/stages/1/0/squeeze_excite/gate", Some(json!("relu"))),
        ("/stages/0/0/expansion", Some(json!(2.0))),
        (
            "/stages/6/0/squeeze_excite",
            Some(json!({"width": 8, "activation": "relu", "gate": "sigmoid"})),
        ),
        ("/head/position", Some(json!("pool"))),
        ("/head/channels", None),
        ("/provenance/source", Some(json!("dream"))),
        ("/provenance/path", Some(json!([[-1]]))),
    ];
    let schemas = Schemas::load();
    Architecture::from_json(&good.to_string()).unwrap();
    for (pointer, value) in cases {
        let bad = changed(&good, pointer, value.clone());
        assert!(schemas.check_architecture(&bad).is_err(), "schema: {pointer} {value:?}");
        assert!(Architecture::from_json(&bad.to_string()).is_err(), "reader: {pointer} {value:?}");
    }
}

#[test]
fn what_the_board_schema_refuses_the_reader_refuses() {
    let good = board();
    let cases = [
        ("/space/name", Some(json!(""))),
        ("/space/choices", Some(json!([]))),
        ("/space/choices/0/kernel", Some(json!(4))),
        ("/space/choices/0/expansion", Some(json!(65.0))),
        ("/space/stages/0/max_layers", Some(json!(101))),
        ("/space/squeeze_excite/ratio", Some(json!(0.0))),
        ("/space/growth/order/0", Some(json!(0))),
        ("/space/growth/size", Some(json!(1))),
        ("/depths", Some(json!([]))),
        ("/depths/0", Some(json!(0))),
        ("/interval/flops_max", Some(json!("none"))),
        ("/seed", Some(json!(0.5))),
        ("/entries/0/path", Some(json!([]))),
        ("/entries/0/batch_top1", Some(json!(51.0))),
        ("/entries/0/batch_top1", Some(json!(null))),
        ("/entries/0/flops", Some(json!(-1))),
        ("/entries/0/rank", Some(json!(1))),
    ];
    let schemas = Schemas::load();
    BoardFile::from_json(&good.to_string()).unwrap();
    for (pointer, value) in cases {
        let bad = changed(&good, pointer, value.clone());
        assert!(schemas.check_board(&bad).is_err(), "schema: {pointer} {value:?}");
        assert!(BoardFile::from_json(&bad.to_string()).is_err(), "reader: {pointer} {value:?}");
    }
}

/// A reader that learns a new word must teach it to the schema: its error lists all it knows.
#[test]
fn words_are_the_same_in_schema_and_reader() {
    let good = complete_network();
    let schemas = Schemas::load();
    for (value, words) in [
        ("/stem/activation", "/$defs/activation/enum"),
        ("/stages/1/0/operator", "/$defs/block/properties/operator/enum"),
        ("/stages/1/0/squeeze_excite/gate", "/$defs/gate/enum"),
        ("/padding", "/$defs/padding/enum"),
        ("/head/position", "/$defs/head/properties/position/enum"),
        ("/provenance/source", "/$defs/provenance/properties/source/enum"),
        (
            "/input/evaluation/interpolation",
            "/$defs/evaluation/oneOf/0/properties/interpolation/enum",
        ),
    ] {
        let bad = changed(&good, value, Some(json!("?")));
        let error = Architecture::from_json(&bad.to_string()).unwrap_err().to_string();
        let words: Vec<String> = schemas
            .architecture_part(words)
            .as_array()
            .unwrap()
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap()))
            .collect();
        let listed = error.matches('`').count() / 2 - 1;
        assert_eq!(listed, words.len(), "{value}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{value}: {error}");
    }
}
