//! Weights of other programs: PyTorch's checkpoints that are refused, and conversion to our files.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod place;

use std::fs;

use place::Place;
use serde_json::Value;

/// Tensors that fit no network of ours, as PyTorch wrote them in its older and in its newer form.
const LEGACY: &[u8] = include_bytes!("../../../tests/golden/pth/plain.pth");
const ZIP: &[u8] = include_bytes!("../../../tests/golden/pth/plain.zip.pth");

/// The bytes with every occurrence of one text replaced by another.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from.as_bytes()) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    assert_ne!(out, bytes, "{from} does not occur");
    out
}

#[test]
fn checkpoints_that_cannot_be_taken_are_refused_in_a_line() {
    let place = Place::new();
    let hostile = replaced(LEGACY, "torch._utils\n_rebuild_tensor_v2", "posix\nsystem");
    let rows: [(&str, Vec<u8>, &[&str]); 8] = [
        ("truncated", LEGACY[..LEGACY.len() / 2].to_vec(), &[]),
        ("a truncated zip", ZIP[..ZIP.len() - 100].to_vec(), &[]),
        ("a zip of something else", b"PK\x05\x06nothing of PyTorch's".to_vec(), &[]),
        ("another pickle", b"\x80\x02K\x05.".to_vec(), &[]),
        ("a call of what is no tensor", hostile, &["posix.system"]),
        ("another magic number", replaced(LEGACY, "P\u{19}.", "P\u{18}."), &[]),
        ("of another network", LEGACY.to_vec(), &["(130 differences)", "is missing"]),
        ("of another network, as a zip", ZIP.to_vec(), &["(130 differences)", "is missing"]),
    ];
    for (what, bytes, parts) in rows {
        fs::write(place.path("w.pth"), bytes).unwrap();
        for more in ["", " --save-weights @/saved.safetensors"] {
            let error = place.refuses(&format!("--weights @/w.pth --arch @/arch.json{more}"), "");
            assert!(error.contains("w.pth"), "{what}: {error}");
            assert!(parts.iter().all(|part| error.contains(part)), "{what}: {error}");
            assert!(error.trim_end().lines().count() == 1, "{what}: {error}");
            assert!(!place.path("saved.safetensors").exists(), "{what}");
        }
    }
}

#[test]
fn converted_weights_say_what_they_are_and_score_alike() {
    let place = Place::new();
    place.write("foreign.safetensors", &place.foreign());
    let foreign = "--weights @/foreign.safetensors --arch @/arch.json";
    let scored: Value = place.json(&format!("{foreign} --save-weights @/ours.safetensors"));
    assert_eq!(place.json("--weights @/ours.safetensors"), scored);
    // Without data nothing is scored.
    let convert = format!("{foreign} --save-weights @/again.safetensors");
    let convert = convert.replace('@', place.0.path().to_str().unwrap());
    assert_eq!(place::EVALUATE.succeeds(&convert, "").0, "");
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(bytes("again.safetensors") == bytes("ours.safetensors"));
    // Our own files come through unchanged.
    let classes: Vec<String> = (0..4).map(|class| format!("class {class}, \"{class}\"")).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let place = Place::new().named(&classes);
    place.json("--weights @/w.safetensors --save-weights @/copy.safetensors");
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(bytes("copy.safetensors") == bytes("w.safetensors"));
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    place.write("foreign.safetensors", &place.foreign());
    for (file, named) in [
        ("@/none/w.safetensors", "none"),
        ("@/data", "is a folder"),
        ("/dev/full", "no ordinary file"),
    ] {
        let arguments =
            format!("--weights @/foreign.safetensors --arch @/arch.json --save-weights {file}");
        let error = place.refuses(&arguments, "");
        assert!(error.contains(named), "{error}");
    }
}
