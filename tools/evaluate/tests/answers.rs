//! Which answers count, of which images, and by which crops they are given.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/arch/tests/json_schema/mod.rs"]
mod json_schema;
mod place;

use std::fs;

use candle_core::{DType, Device, Tensor};
use cream_arch::Architecture;
use cream_nn::layers::Statistics;
use cream_nn::{ChildNet, TensorFile, ToBeLoaded};
use json_schema::Schemas;
use place::{EVALUATE, Place, tiny};
use serde_json::Value;

const SCHEMA: &str = include_str!("../schema/evaluation.schema.json");

/// The data's classes.
fn class(number: usize) -> String {
    format!("class {number}, \"{number}\"")
}

/// Logits and labels that a run left.
fn logits(place: &Place, name: &str) -> (Vec<Vec<f32>>, Vec<i64>) {
    let file = TensorFile::from_bytes(&fs::read(place.path(name)).unwrap()).unwrap();
    (file.tensors["logits"].to_vec2().unwrap(), file.tensors["labels"].to_vec1().unwrap())
}

/// (top-1, mean loss) of logits, by their definition.
fn scores(logits: &[Vec<f32>], labels: &[i64]) -> (f64, f64) {
    let (mut right, mut loss) = (0.0, 0.0);
    for (row, &label) in logits.iter().zip(labels) {
        let own = f64::from(row[label as usize]);
        right += f64::from(u8::from(row.iter().all(|&v| f64::from(v) <= own)));
        loss += row.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln() - own;
    }
    (right / labels.len() as f64, loss / labels.len() as f64)
}

fn agrees(json: &Value, (top1, loss): (f64, f64)) {
    assert!((json["top1"].as_f64().unwrap() - top1).abs() < 1e-12, "{json}: {top1}");
    assert!((json["loss"].as_f64().unwrap() - loss).abs() < 1e-6, "{json}: {loss}");
}

fn rows(place: &Place, name: &str) -> Vec<Vec<String>> {
    let mut csv = csv::ReaderBuilder::new().has_headers(false).from_path(place.path(name)).unwrap();
    csv.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn classes_in_another_order_are_found_by_name() {
    let names = ["none", &class(2), &class(0), "no other", &class(3), &class(1)];
    let place = Place::new().named(&names);
    let json = place.json("--weights @/w.safetensors --logits @/l --predictions @/p.csv");
    let (logits, labels) = logits(&place, "l");
    let expected: Vec<i64> = [2, 5, 1, 4].iter().flat_map(|&output| [output; 5]).collect();
    assert_eq!((labels.as_slice(), logits[0].len()), (expected.as_slice(), 6));
    agrees(&json, scores(&logits, &labels));
    let rows = rows(&place, "p.csv");
    for (number, row) in rows[1..].iter().enumerate() {
        assert_eq!(row[1], class(number / 5));
        assert!((2..12).step_by(2).all(|place| names.contains(&row[place].as_str())));
    }
    let error = Place::new().named(&[&class(0), &class(1), &class(2), "x", "y"]);
    let error = error.refuses("--weights @/w.safetensors", "");
    assert!(error.contains("1 of the data's 4 classes") && error.contains("class 3"), "{error}");
}

#[test]
fn a_subset_leaves_other_images_and_answers_out() {
    let place = Place::new().named(&[&class(0), &class(1), &class(2), &class(3)]);
    place.json("--weights @/w.safetensors --logits @/all");
    let (all, labels) = logits(&place, "all");
    // In any order, by name or by number.
    let lists = [format!("{}\n\n {} \n{}\n", class(3), class(1), class(3)), "3\n1".to_owned()];
    for list in lists {
        fs::write(place.path("list"), list).unwrap();
        let sinks = "--logits @/few --predictions @/p.csv --confusion @/c.csv --save-inputs @/i";
        let json = place.json(&format!("--weights @/w.safetensors --subset @/list {sinks}"));
        assert_eq!(json["images"], 10);
        assert_eq!(json["top5"], 1.0);
        let kept: Vec<(Vec<f32>, i64)> = all
            .iter()
            .zip(&labels)
            .filter(|(_, label)| **label % 2 == 1)
            .map(|(row, label)| (vec![row[1], row[3]], label / 2))
            .collect();
        let (expected, expected_labels): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let (few, few_labels) = logits(&place, "few");
        assert_eq!(few_labels, expected_labels);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(few.iter().zip(&expected).all(|(a, b)| a.len() == 2 && near(a, b)));
        agrees(&json, scores(&few, &few_labels));
        let (predictions, confusion) = (rows(&place, "p.csv"), rows(&place, "c.csv"));
        assert_eq!((predictions.len(), predictions[0].len()), (11, 6));
        assert_eq!(confusion[0], ["label", &class(1), &class(3)]);
        assert_eq!((confusion.len(), confusion[2][0].as_str()), (3, class(3).as_str()));
    }
    fs::write(place.path("list"), "x\n").unwrap();
    let error = place.refuses("--weights @/w.safetensors --subset @/list", "");
    assert!(error.contains("list: 1 of 1 names are none of the classes: \"x\""), "{error}");
    // A class of the network that the data does not have.
    let place = Place::new().named(&[&class(0), &class(1), &class(2), &class(3), "else"]);
    fs::write(place.path("list"), "else").unwrap();
    let error = place.refuses("--weights @/w.safetensors --subset @/list", "");
    assert!(error.contains("no images of the classes in --subset"), "{error}");
}

#[test]
fn tables_say_what_the_predictions_say() {
    let place = Place::new().named(&["other", &class(0), &class(1), &class(2), &class(3), "else"]);
    let tables = "--predictions @/p.csv --confusion @/c.csv --per-class @/t.csv --logits @/l";
    let json = place.json(&format!("--weights @/w.safetensors --split train --batch 5 {tables}"));
    let predictions = rows(&place, "p.csv");
    let count = |label: &str, answer: &str| {
        predictions[1..].iter().filter(|row| row[1] == label && row[2] == answer).count()
    };
    let confusion = rows(&place, "c.csv");
    assert_eq!((confusion.len(), confusion[0].len(), confusion[0][0].as_str()), (5, 7, "label"));
    for row in &confusion[1..] {
        for (answer, cell) in confusion[0].iter().zip(row).skip(1) {
            assert_eq!(*cell, count(&row[0], answer).to_string(), "{}: {answer}", row[0]);
        }
        assert_eq!(row[1..].iter().map(|n| n.parse::<u32>().unwrap()).sum::<u32>(), 12);
    }
    let per_class = rows(&place, "t.csv");
    assert_eq!(per_class[0], ["class", "images", "top1", "top5", "confused_with", "confused"]);
    let (logits, labels) = logits(&place, "l");
    let mut top = [0.0; 2];
    for (number, row) in per_class[1..].iter().enumerate() {
        assert_eq!((row[0].as_str(), row[1].as_str()), (class(number).as_str(), "12"));
        let right = count(&row[0], &row[0]);
        assert_eq!(row[2], format!("{:.6}", right as f64 / 12.0));
        let own = logits.iter().zip(&labels).filter(|(_, label)| **label == number as i64 + 1);
        let five = own.filter(|(row, l)| row.iter().any(|&v| v < row[**l as usize])).count();
        assert_eq!(row[3], format!("{:.6}", five as f64 / 12.0));
        top[0] += row[2].parse::<f64>().unwrap() / 4.0;
        top[1] += row[3].parse::<f64>().unwrap() / 4.0;
        let wrong = confusion[0][1..].iter().filter(|answer| **answer != row[0]);
        let most = wrong.clone().map(|answer| count(&row[0], answer)).max().unwrap();
        if most > 0 {
            let first = wrong.clone().find(|answer| count(&row[0], answer) == most).unwrap();
            assert_eq!((&row[4], &row[5]), (first, &format!("{:.6}", most as f64 / 12.0)));
        } else {
            assert_eq!((row[4].as_str(), row[5].as_str()), ("", ""));
        }
    }
    for (key, own) in ["top1", "top5"].iter().zip(top) {
        assert!((json[key].as_f64().unwrap() - own).abs() < 1e-5, "{key}: {json}, {own}");
    }
}

/// Inputs that a run left, through the network by the library's plain forward pass.
fn answers(place: &Place, name: &str, network: &Architecture) -> (Vec<u8>, Vec<Vec<f32>>) {
    let file = TensorFile::from_bytes(&fs::read(place.path(name)).unwrap()).unwrap();
    let inputs = &file.tensors["inputs"];
    let tensors = Place::tensors(network);
    let mut init = ToBeLoaded::from_tensors(&tensors);
    let network = ChildNet::new(network, &mut init, DType::F32, &Device::Cpu).unwrap();
    network.weights().load(&tensors, |_| false).unwrap();
    let input = &network.architecture().input;
    let channels = |values: [f64; 3]| Tensor::new(&values.map(|v| v as f32), &Device::Cpu).unwrap();
    let images = (inputs.to_dtype(DType::F32).unwrap() / 255.0).unwrap();
    let images = images.broadcast_sub(&channels(input.mean)).unwrap();
    let images = images.broadcast_div(&channels(input.std)).unwrap();
    let logits = network.forward(&images, &network.pass(Statistics::Running)).unwrap();
    (inputs.flatten_all().unwrap().to_vec1().unwrap(), logits.to_vec2().unwrap())
}

#[test]
fn the_answer_to_several_crops_is_the_mean_of_their_logits() {
    let place = Place::new().named(&[&class(0), &class(1), &class(2), &class(3)]);
    let network = tiny::architecture(tiny::PATH);
    let image = 32 * 32 * 3;
    place.json("--weights @/w.safetensors --save-inputs @/i1");
    let (middle, _) = answers(&place, "i1", &network);
    for (flags, views, centre) in
        [("--crops 5", 5, 4), ("--crops 10", 10, 4), ("--flip", 2, 0), ("--crops 5 --flip", 10, 4)]
    {
        // Seven images at once are too few for one of ten crops, and make one nevertheless.
        let sinks = "--save-inputs @/i --logits @/l --batch 7";
        let json = place.json(&format!("--weights @/w.safetensors {flags} {sinks}"));
        assert_eq!(json["images"], 20);
        let (inputs, single) = answers(&place, "i", &network);
        assert_eq!((inputs.len(), single.len()), (20 * views * image, 20 * views));
        let (means, labels) = logits(&place, "l");
        for (number, mean) in means.iter().enumerate() {
            let crops = &inputs[number * views * image..(number + 1) * views * image];
            let whole = &middle[number * image..(number + 1) * image];
            assert!(&crops[centre * image..(centre + 1) * image] == whole, "{flags}: {number}");
            for (class, value) in mean.iter().enumerate() {
                let own = single[number * views..(number + 1) * views].iter();
                let expected = own.map(|row| row[class]).sum::<f32>() / views as f32;
                assert!((value - expected).abs() < 1e-4, "{flags}: {value} {expected}");
            }
        }
        agrees(&json, scores(&means, &labels));
    }
}

#[test]
fn another_input_size_goes_to_network_and_crops() {
    let place = Place::new().named(&[&class(0), &class(1), &class(2), &class(3)]);
    let json =
        place.json("--weights @/w.safetensors --image-size 48 --save-inputs @/i --logits @/l");
    let network = tiny::architecture(tiny::PATH).with_image_size(48).unwrap();
    let (inputs, expected) = answers(&place, "i", &network);
    assert_eq!(inputs.len(), 20 * 48 * 48 * 3);
    let (found, labels) = logits(&place, "l");
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(found.iter().zip(&expected).all(|(a, b)| near(a, b)));
    agrees(&json, scores(&found, &labels));
}

#[test]
fn throughput_is_said_when_it_is_asked_for() {
    let place = Place::new().named(&[&class(0), &class(1), &class(2), &class(3)]);
    let json = place.json("--weights @/w.safetensors --throughput");
    assert_eq!(Schemas::load().check_against(SCHEMA, &json), Ok(()));
    assert!(json["images_per_second"].as_f64().unwrap() > 0.0);
    assert!(place.json("--weights @/w.safetensors")["images_per_second"].is_null());
    let flags = place.arguments("--weights @/w.safetensors --throughput");
    let (text, errors) = EVALUATE.succeeds(&flags, "");
    assert!(errors.contains(" images per second, loading included\n"), "{errors}");
    assert_eq!(text, place.output("--weights @/w.safetensors", ""));
}
