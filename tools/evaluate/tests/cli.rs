//! Runs the built tool on a tiny shard set, with networks and supernets made here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/arch/tests/json_schema/mod.rs"]
mod json_schema;
mod place;

use std::fs;

use candle_core::{DType, Device};
use cream_arch::{Architecture, Convention, Cost};
use cream_data::Split;
use cream_nn::TensorFile;
use json_schema::Schemas;
use place::{EVALUATE, Place, tiny};
use serde_json::{Value, json};

const EVALUATION_SCHEMA: &str = include_str!("../schema/evaluation.schema.json");
const PATH_SCORE_SCHEMA: &str = include_str!("../schema/path-score.schema.json");

#[test]
fn help_version_and_missing_arguments() {
    EVALUATE.explains_itself();
    let output = EVALUATE.run("--data x --weights y --supernet z", "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_is_left_behind_says_the_same_as_what_is_printed() {
    let place = Place::new().retrained();
    let sinks = "--predictions @/p.csv --logits @/l.safetensors --save-inputs @/i.safetensors";
    let json = place.json(&format!("--weights @/run --batch 7 {sinks}"));
    assert_eq!((json["images"].as_u64(), json["split"].as_str()), (Some(20), Some("val")));
    let wrong = [
        ("top1", Some(json!(50.0))),
        ("split", Some(json!("test"))),
        ("images", Some(json!(0))),
        ("loss", None),
        ("extra", Some(json!(1))),
    ];
    holds(EVALUATION_SCHEMA, &json, &wrong);
    let (top1, loss) = (json["top1"].as_f64().unwrap(), json["loss"].as_f64().unwrap());

    let mut csv = csv::Reader::from_path(place.path("p.csv")).unwrap();
    let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    // Four classes have no fifth best.
    assert_eq!(header[..4], ["key", "label", "class1", "probability1"]);
    assert_eq!((header.len(), header[9].as_str()), (10, "probability4"));
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 20);
    let right = rows.iter().filter(|row| row[1] == row[2]).count();
    assert!((right as f64 / 20.0 - top1).abs() < 1e-12);
    let (data, mut mean) = (place.data(), 0.0);
    for (row, sample) in rows.iter().zip(data.samples(Split::Validation)) {
        assert_eq!(&row[0], data.key(sample).unwrap());
        assert_eq!(row[1], data.classes()[data.label(sample).unwrap() as usize]);
        let chances: Vec<f64> = (3..10).step_by(2).map(|i| row[i].parse().unwrap()).collect();
        assert!(chances.is_sorted_by(|a, b| a >= b), "{row:?}");
        assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
        let at = (2..10).step_by(2).find(|&i| row[i] == row[1]).unwrap();
        mean -= chances[at / 2 - 1].ln() / 20.0;
    }
    assert!((mean - loss).abs() < 1e-3, "{mean} {loss}");

    let file = TensorFile::from_bytes(&fs::read(place.path("l.safetensors")).unwrap()).unwrap();
    let logits: Vec<Vec<f32>> = file.tensors["logits"].to_vec2().unwrap();
    let labels: Vec<i64> = file.tensors["labels"].to_vec1().unwrap();
    let expected: Vec<i64> = (0..20).map(|i| i / 5).collect();
    assert_eq!(labels, expected);
    let best = |row: &Vec<f32>| (0..4).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    let right = logits.iter().zip(&labels).filter(|(row, l)| best(row) as i64 == **l).count();
    assert!((right as f64 / 20.0 - top1).abs() < 1e-12);

    let file = TensorFile::from_bytes(&fs::read(place.path("i.safetensors")).unwrap()).unwrap();
    let inputs = &file.tensors["inputs"];
    assert_eq!((inputs.dtype(), inputs.dims()), (DType::U8, &[20, 32, 32, 3][..]));
    // 28-pixel images stand in the middle, on black.
    let first: Vec<u8> = inputs.get(0).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert!(first[..2 * 32 * 3].iter().all(|&v| v == 0) && first.iter().any(|&v| v > 100));

    let text = place.output("--weights @/run", "");
    let percent = format!("val: 20 images, top-1 {:.2} %, top-5 100.00 %, loss ", top1 * 100.0);
    assert!(text.starts_with(&percent) && text.lines().count() == 1, "{text}");
}

/// The document passes, and with any of these keys changed or taken away it does not.
fn holds(schema: &str, document: &Value, wrong: &[(&str, Option<Value>)]) {
    let schemas = Schemas::load();
    assert_eq!(schemas.check_against(schema, document), Ok(()));
    for (key, value) in wrong {
        let mut document = document.clone();
        let object = document.as_object_mut().unwrap();
        match value {
            Some(value) => object.insert((*key).to_owned(), value.clone()),
            None => object.remove(*key),
        };
        assert!(schemas.check_against(schema, &document).is_err(), "{key}: {value:?}");
    }
}

#[test]
fn workers_and_threads_change_nothing_and_batches_no_more_than_rounding() {
    let place = Place::new();
    place.write("w.safetensors", &place.foreign());
    let score = |more: &str| {
        let flags = format!("--weights @/w.safetensors --arch @/arch.json --split train {more}");
        place.json(&format!("{flags} --logits @/l.safetensors"));
        fs::read(place.path("l.safetensors")).unwrap()
    };
    let expected = score("--threads 1 --workers 0");
    assert!(score("--threads 3 --workers 2") == expected);
    // Products of other sizes are added up in another order.
    let logits = |bytes: &[u8]| -> Vec<f32> {
        let file = TensorFile::from_bytes(bytes).unwrap();
        file.tensors["logits"].flatten_all().unwrap().to_vec1().unwrap()
    };
    let (all, fives) = (logits(&expected), logits(&score("--batch 5")));
    assert_eq!(all.len(), fives.len());
    assert!(all.iter().zip(&fives).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn either_set_of_weights_can_be_asked_for() {
    let place = Place::new().retrained();
    let losses = ["", "--ema", "--raw"].map(|which| {
        let json = place.json(&format!("--weights @/run --batch 8 {which}"));
        json["loss"].as_f64().unwrap()
    });
    assert_eq!(losses[0], losses[1]);
    assert_ne!(losses[1], losses[2]);
    let newest = "--batch 8 --weights @/run/checkpoints/step-000000018.safetensors";
    for (which, loss) in [("", losses[0]), ("--ema", losses[1]), ("--raw", losses[2])] {
        let json = place.json(&format!("{newest} {which}"));
        assert_eq!(json["loss"].as_f64().unwrap(), loss, "{which} of the checkpoint");
    }
    // The last row of the metrics scores what was exported.
    let metrics = fs::read_to_string(place.path("run/metrics.csv")).unwrap();
    let last: Vec<&str> = metrics.lines().last().unwrap().split(',').collect();
    assert_eq!(last[5].parse::<f64>().unwrap(), losses[0]);
    let error = place.refuses("--weights @/run/model.safetensors --raw", "");
    assert!(error.contains("model-raw.safetensors"), "{error}");
    let error = place.refuses("--weights @/run/model-raw.safetensors --ema", "");
    assert!(error.contains("no averaged weights"), "{error}");
    let both = EVALUATE.run(&place.arguments("--weights @/run --ema --raw"), "");
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn foreign_weights_need_their_architecture() {
    let place = Place::new();
    let mut file = place.foreign();
    let norm = "blocks.1.0.bn1.num_batches_tracked".to_owned();
    file.tensors.insert(norm, candle_core::Tensor::new(7_i64, &Device::Cpu).unwrap());
    place.write("w.safetensors", &file);
    let error = place.refuses("--weights @/w.safetensors", "");
    assert!(error.contains("w.safetensors") && error.contains("--arch"), "{error}");
    let text = fs::read_to_string(place.path("arch.json")).unwrap();
    let scored = place.output("--weights @/w.safetensors --arch - --split search-val", &text);
    assert!(scored.starts_with("search-val: 12 images"), "{scored}");

    // Another network is refused by the tensors that differ, a far larger one before it takes memory.
    let of_a_million = tiny::architecture("[[0],[3],[2],[1],[4]]");
    let of_a_million = Architecture { num_classes: 1_000_000, ..of_a_million };
    let others = [
        (tiny::architecture("[[1],[3],[2],[1],[4]]"), "blocks.1.0.bn1.bias has shape"),
        (tiny::architecture("[[0],[2],[2],[1],[4]]"), "blocks.2.0.bn1"),
        (of_a_million, "classifier.weight has 48000000 elements"),
    ];
    for (other, named) in others {
        let error = place.refuses("--weights @/w.safetensors --arch -", &other.to_json());
        assert!(error.contains("w.safetensors: ") && error.contains(named), "{error}");
    }
    file.tensors.remove("classifier.bias");
    place.write("part.safetensors", &file);
    let error = place.refuses("--weights @/part.safetensors --arch @/arch.json", "");
    assert!(
        error.contains("part.safetensors: ") && error.contains("classifier.bias is missing"),
        "{error}"
    );
}

#[test]
fn wrong_input_is_one_line_that_says_what_to_do() {
    let place = Place::new();
    place.write("w.safetensors", &place.foreign());
    let whole = "--weights @/w.safetensors --arch @/arch.json";
    let bytes = fs::read(place.path("w.safetensors")).unwrap();
    for (length, name) in [(bytes.len() - 1, "cut"), (40, "short"), (0, "empty")] {
        fs::write(place.path(name), &bytes[..length]).unwrap();
        let error = place.refuses(&format!("--weights @/{name} --arch @/arch.json"), "");
        assert!(error.contains(&format!("{name}: not a safetensors file")), "{error}");
    }
    let error = place.refuses("--weights @/none --arch @/arch.json", "");
    assert!(error.contains("/none") && error.matches("No such file").count() == 1, "{error}");
    let arguments = place.arguments(whole).replace("/data ", "/nowhere ");
    let error = EVALUATE.refuses(&arguments, "");
    assert!(error.contains("nowhere: no index.json"), "{error}");
    let error = place.refuses(&format!("{whole} --device tpu"), "");
    assert!(error.contains("tpu"), "{error}");

    tiny::write_shards_of(&place.path("data"), 3);
    let error = place.refuses(whole, "");
    assert!(error.contains("4 classes and the data 3; give the data it was trained on"), "{error}");
    for flags in ["--batch 0", "--split test", "--format xml"] {
        let output = EVALUATE.run(&place.arguments(&format!("{whole} {flags}")), "");
        assert_eq!(output.status.code(), Some(2), "{flags}");
    }
}

#[test]
fn paths_of_a_supernet_are_a_line_each() {
    let place = Place::new().searched();
    let lists = [tiny::PATH, "[[1],[3],[5],[0],[0]]", tiny::PATH];
    let networks = lists.map(tiny::architecture);
    let input: String = networks.iter().map(|network| network.to_json_line()).collect();
    let out = place.output("--supernet @/search --arch - --recalibration-batches 2", &input);
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for ((line, lists), network) in lines.iter().zip(lists).zip(&networks) {
        assert_eq!(line["path"].to_string(), lists);
        assert_eq!(line["flops"], Cost::of(network).flops(Convention::Published));
        assert_eq!(line["params"], Cost::of(network).params());
        assert_eq!((line["images"].as_u64(), &line["split"]), (Some(12), &"search-val".into()));
    }
    let wrong =
        [("path", Some(json!([[-1]]))), ("flops", Some(json!(0.5))), ("top5", Some(json!(1.1)))];
    holds(PATH_SCORE_SCHEMA, &lines[0], &wrong);
    assert_eq!(lines[0], lines[2]);
    assert_ne!(lines[0]["loss"], lines[1]["loss"]);
    // The order of paths, threads and batches of images change nothing.
    let alone =
        "--supernet @/search/supernet.safetensors --arch - --recalibration-batches 2 --threads 1";
    assert_eq!(place.output(alone, &networks[1].to_json()), format!("{}\n", lines[1]));
}

#[test]
fn what_is_no_path_of_the_supernet_is_refused() {
    let place = Place::new().searched();
    place.write("w.safetensors", &place.foreign());
    let supernet = "--supernet @/search --arch -";
    let good = tiny::architecture(tiny::PATH);
    let mut wide = good.clone();
    wide.stages[2][0].channels = 24;
    let deep = tiny::architecture("[[0],[3,3],[2],[1],[4]]");
    for (network, named) in [(wide, "stages[2][0]"), (deep, "[[0],[3,3],[2],[1],[4]]")] {
        let input = good.to_json_line() + &network.to_json_line();
        let error = place.refuses(supernet, &input);
        assert!(error.contains("architecture 2 of 2") && error.contains(named), "{error}");
    }
    let error = place.refuses(supernet, "");
    assert!(error.contains("standard input") || error.contains("-: "), "{error}");
    let error = place.refuses("--supernet @/search", "");
    assert!(error.contains("--arch"), "{error}");
    let error = place.refuses("--supernet @/w.safetensors --arch -", "");
    assert!(error.contains("is not a supernet"), "{error}");
    let error = place.refuses("--supernet @/data --arch -", "");
    assert!(error.contains("supernet.safetensors"), "{error}");
    let error = place.refuses("--weights @/search/supernet.safetensors --arch @/arch.json", "");
    assert!(error.contains("is a supernet"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_and_a_damaged_image_are_named() {
    let place = Place::new();
    place.write("w.safetensors", &place.foreign());
    let whole = "--weights @/w.safetensors --arch @/arch.json --quiet";
    let error = place.refuses(&format!("{whole} --logits @/none/l.safetensors"), "");
    assert!(error.contains("none/l.safetensors"), "{error}");
    let shard = place.path("data/val-000000.tar");
    let mut bytes = fs::read(&shard).unwrap();
    // The first image's bytes begin after its header of 512.
    bytes[512 + 8..512 + 64].fill(0);
    fs::write(&shard, bytes).unwrap();
    let predictions = format!("{whole} --predictions @/p.csv");
    let error = place.refuses(&predictions, "");
    assert!(error.contains("val-000000.tar: its SHA-256 is "), "{error}");
    let error = place.refuses(&format!("{predictions} --no-verify"), "");
    assert!(error.contains("val-000000.tar: sample i00: "), "{error}");
    assert_eq!(error.matches("broken PNG").count(), 1, "{error}");
    assert!(!place.path("p.csv").exists());
}
