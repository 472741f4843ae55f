//! Images that are no data set: the best classes of each by name.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // test code

#[path = "../../../lib/arch/tests/json_schema/mod.rs"]
mod json_schema;
mod place;

use std::fs;
use std::io::Write;

use cream_arch::Architecture;
use cream_data::{Split, imagenet};
use cream_nn::TensorFile;
use json_schema::Schemas;
use place::{EVALUATE, Place, tiny};
use serde_json::Value;

const SCHEMA: &str = include_str!("../schema/image.schema.json");
const NAMES: [&str; 6] = ["ape", "bee", "cat", "dog, hound", "elk", "fox"];

/// The validation images as files `photos/00.png` to `photos/19.PNG`.
fn photos() -> Place {
    let place = Place::new().named(&NAMES);
    let data = place.data();
    fs::create_dir(place.path("photos")).unwrap();
    for (number, sample) in data.samples(Split::Validation).into_iter().enumerate() {
        let mut bytes = Vec::new();
        data.read(sample, &mut bytes).unwrap();
        let end = if number % 2 == 0 { "png" } else { "PNG" };
        fs::write(place.path(&format!("photos/{number:02}.{end}")), bytes).unwrap();
    }
    place
}

fn arguments(place: &Place, arguments: &str) -> String {
    let all = format!("--weights @/w.safetensors {arguments}");
    all.replace('@', place.0.path().to_str().unwrap())
}

fn lines(place: &Place, flags: &str) -> Vec<Value> {
    let flags = arguments(place, &format!("{flags} --format json"));
    let (out, _) = EVALUATE.succeeds(&flags, "");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// (name, probability) of the best classes.
fn best(line: &Value) -> Vec<(String, f64)> {
    let of =
        |b: &Value| (b["name"].as_str().unwrap().to_owned(), b["probability"].as_f64().unwrap());
    line["best"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_folders_images_are_answered_as_those_of_shards_are() {
    let place = photos();
    fs::write(place.path("photos/notes.txt"), "no image").unwrap();
    fs::create_dir(place.path("photos/more.png")).unwrap();
    let found = lines(&place, "--image @/photos --predictions @/own.csv --batch 7 --workers 3");
    assert_eq!(found.len(), 20);
    let schemas = Schemas::load();
    for (number, line) in found.iter().enumerate() {
        assert_eq!(schemas.check_against(SCHEMA, line), Ok(()));
        assert!(line["image"].as_str().unwrap().contains(&format!("/photos/{number:02}.")));
        for entry in line["best"].as_array().unwrap() {
            let class = entry["class"].as_u64().unwrap() as usize;
            assert_eq!(entry["name"], NAMES[class]);
        }
    }
    // The data's four classes by number, among the network's six.
    fs::write(
        place.path("names"),
        ["class 0, \"0\"", "class 1, \"1\"", "class 2, \"2\"", "class 3, \"3\"", "elk", "fox"]
            .join("\n"),
    )
    .unwrap();
    let shards = "--weights @/w.safetensors --classes-file @/names --predictions @/p.csv --batch 7";
    place.output(shards, "");
    let rows = |name: &str| -> Vec<Vec<String>> {
        let mut csv = csv::Reader::from_path(place.path(name)).unwrap();
        csv.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    };
    let (of_shards, own) = (rows("p.csv"), rows("own.csv"));
    assert_eq!((of_shards.len(), own.len()), (20, 20));
    for ((line, row), own) in found.iter().zip(&of_shards).zip(&own) {
        assert_eq!((own[0].as_str(), own[1].as_str()), (line["image"].as_str().unwrap(), ""));
        let best = best(line);
        assert_eq!(best.len(), 5);
        for (rank, (name, probability)) in best.iter().enumerate() {
            assert_eq!(&own[2 + 2 * rank], name);
            assert_eq!(own[3 + 2 * rank], row[3 + 2 * rank]);
            let shown: f64 = row[3 + 2 * rank].parse().unwrap();
            assert!((probability - shown).abs() < 1e-6);
        }
    }
}

#[test]
fn an_image_is_a_line_and_its_classes_below() {
    let place = photos();
    let flags = "--image @/photos/03.PNG @/photos/00.png";
    let (text, _) = EVALUATE.succeeds(&arguments(&place, flags), "");
    let json = lines(&place, flags);
    let expected: String = json
        .iter()
        .map(|line| {
            let rows =
                best(line).into_iter().map(|(name, p)| format!("{:7.2} %  {name}\n", p * 100.0));
            format!("{}\n{}", line["image"].as_str().unwrap(), rows.collect::<String>())
        })
        .collect();
    assert_eq!(text, expected);
    assert!(text.contains("03.PNG\n") && text.contains(" %  dog, hound\n"), "{text}");

    // From standard input, as every tool takes it.
    let flags = arguments(&place, "--image - --format json");
    let mut child = EVALUATE.start(&flags);
    let bytes = fs::read(place.path("photos/00.png")).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let alone = lines(&place, "--image @/photos/00.png");
    assert_eq!((&line["image"], &line["best"]), (&"-".into(), &alone[0]["best"]));
}

#[test]
fn several_crops_and_a_subset_go_for_images_too() {
    let place = photos();
    let one = lines(&place, "--image @/photos/04.png");
    let ten = lines(&place, "--image @/photos/04.png --crops 10");
    assert_ne!(one[0]["best"], ten[0]["best"]);
    fs::write(place.path("few"), "dog, hound\n\nbee\n").unwrap();
    let few = lines(&place, "--image @/photos/04.png --subset @/few");
    let few: Vec<(u64, f64)> = few[0]["best"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (b["class"].as_u64().unwrap(), b["probability"].as_f64().unwrap()))
        .collect();
    assert_eq!(few.len(), 2);
    let mut classes = [few[0].0, few[1].0];
    classes.sort_unstable();
    assert_eq!(classes, [1, 3]);
    // As probable beside each other as before.
    let probability = |class: u64| {
        let all = one[0]["best"].as_array().unwrap();
        all.iter().find(|b| b["class"] == class).map(|b| b["probability"].as_f64().unwrap())
    };
    assert!((few[0].1 + few[1].1 - 1.0).abs() < 1e-9);
    if let (Some(first), Some(second)) = (probability(few[0].0), probability(few[1].0)) {
        assert!((few[0].1 / few[1].1 - first / second).abs() < 1e-4);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_does_not_hold_up_the_rest() {
    let place = photos();
    let whole = fs::read(place.path("photos/00.png")).unwrap();
    fs::write(place.path("photos/01.PNG"), &whole[..whole.len() / 2]).unwrap();
    fs::write(place.path("photos/02.png"), "GIF89a").unwrap();
    let output = EVALUATE.run(&arguments(&place, "--image @/photos @/gone.jpg --quiet"), "");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(errors.len(), 4, "{errors:?}");
    let says = |line: &str, parts: &[&str]| {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}: {parts:?}");
    };
    says(errors[0], &["warning: ", "photos/01.PNG: truncated", "; give a whole JPEG or PNG"]);
    says(errors[1], &["photos/02.png: neither JPEG nor PNG (it starts with 47494638)"]);
    says(errors[2], &["/gone.jpg: No such file", "check the name"]);
    says(errors[3], &["evaluate: 3 of 21 images could not be read", "leave them out"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.lines().filter(|line| line.contains("/photos/")).count(), 18);

    // One alone is an error like any other.
    for (image, part) in [
        ("photos/01.PNG", "truncated"),
        ("photos/02.png", "neither JPEG nor PNG"),
        ("gone.jpg", "No such file"),
    ] {
        let error = EVALUATE.refuses(&arguments(&place, &format!("--image @/{image}")), "");
        assert!(error.contains(&format!("{image}: ")) && error.contains(part), "{error}");
    }
    let error = EVALUATE.refuses(&arguments(&place, "--image -"), "");
    assert!(error.contains("standard input: neither JPEG nor PNG"), "{error}");
    fs::create_dir(place.path("empty")).unwrap();
    let error = EVALUATE.refuses(&arguments(&place, "--image @/empty"), "");
    assert!(error.contains("empty: holds no .jpg, .jpeg or .png files"), "{error}");
}

#[test]
fn a_network_of_a_thousand_classes_answers_in_imagenets_words() {
    let place = photos();
    let network = Architecture { num_classes: 1000, ..tiny::architecture(tiny::PATH) };
    fs::write(place.path("arch.json"), network.to_json()).unwrap();
    let tensors = Place::tensors(&network);
    place.write("w.safetensors", &TensorFile { description: Value::Null, tensors });
    let flags = "--arch @/arch.json --image @/photos/05.PNG";
    let (_, errors) = EVALUATE.succeeds(&arguments(&place, flags), "");
    assert!(errors.contains("taken for ImageNet's"), "{errors}");
    let words: Vec<&str> = imagenet::classes().map(|(_, words)| words).collect();
    let named = lines(&place, flags);
    for entry in named[0]["best"].as_array().unwrap() {
        assert_eq!(entry["name"], words[entry["class"].as_u64().unwrap() as usize]);
    }
    // Names given come before those guessed; synsets get their words, others stay.
    let mut names: Vec<String> = imagenet::classes().map(|(synset, _)| synset.to_owned()).collect();
    let first = named[0]["best"][0]["class"].as_u64().unwrap() as usize;
    names[first] = "my own".to_owned();
    fs::write(place.path("names"), names.join("\n")).unwrap();
    let own = lines(&place, &format!("{flags} --classes-file @/names"));
    assert_eq!(
        (&own[0]["best"][0]["name"], &own[0]["best"][1]["name"]),
        (&"my own".into(), &named[0]["best"][1]["name"])
    );
    fs::write(place.path("names"), names[1..].join("\n")).unwrap();
    let error =
        EVALUATE.refuses(&arguments(&place, &format!("{flags} --classes-file @/names")), "");
    assert!(error.contains("names: names 999 classes and the network has 1000"), "{error}");
}
