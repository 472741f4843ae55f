//! Checkpoints that PyTorch wrote (tests/golden/make_pth.py), read in both forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use std::fs;
use std::path::Path;

use cream_pth::{Checkpoint, Id, PthError, StateDict, Value, Which};

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pth");
    fs::read(folder.join(name)).unwrap()
}

/// The tensors as the lines of `make_pth.py` state them.
fn lines(weights: &StateDict<'_>) -> String {
    let mut lines = String::new();
    for (name, tensor) in &weights.tensors {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let shape = if shape.is_empty() { "-".to_owned() } else { shape.join(",") };
        let hex: String = tensor.contiguous().iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = if hex.is_empty() { "-" } else { &hex };
        lines += &format!("{name} {} {shape} {hex}\n", tensor.dtype);
    }
    lines
}

fn check(file: &str, expected: &str, which: Which) -> (String, bool) {
    let bytes = golden(file);
    let checkpoint = Checkpoint::read(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    let weights = checkpoint.state_dict(which).unwrap_or_else(|error| panic!("{file}: {error}"));
    let expected = String::from_utf8(golden(expected)).unwrap();
    assert_eq!(lines(&weights), expected, "{file}");
    (weights.place, weights.averaged)
}

#[test]
fn weights_alone() {
    for file in ["plain.pth", "plain.zip.pth", "plain.3.pth", "plain.4.pth", "plain.5.pth"] {
        for which in [Which::Either, Which::Raw] {
            assert_eq!(check(file, "plain.txt", which), (String::new(), false));
        }
    }
}

#[test]
fn weights_that_data_parallelism_wrapped() {
    for file in ["wrapped.pth", "wrapped.zip.pth"] {
        assert_eq!(check(file, "wrapped.txt", Which::Either), ("model".to_owned(), false));
    }
}

#[test]
fn every_type_and_view() {
    for file in ["types.pth", "types.zip.pth"] {
        check(file, "types.txt", Which::Either);
    }
}

#[test]
fn weights_among_a_trainers_state() {
    for file in ["trained.pth", "trained.zip.pth"] {
        for which in [Which::Either, Which::Averaged] {
            let found = check(file, "trained.txt", which);
            assert_eq!(found, ("state_dict_ema".to_owned(), true));
        }
        assert_eq!(check(file, "trained.raw.txt", Which::Raw), ("state_dict".to_owned(), false));
    }
}

#[test]
fn plain_values_beside_the_weights() {
    for file in ["trained.pth", "trained.zip.pth"] {
        let bytes = golden(file);
        let checkpoint = Checkpoint::read(&bytes).unwrap();
        let item = |key: &str| -> Id { checkpoint.item(checkpoint.root(), key).unwrap() };
        let value = |key: &str| checkpoint.value(item(key)).clone();
        assert_eq!(value("epoch"), Value::Int(3));
        assert_eq!(value("arch"), Value::Str("childnet"));
        assert_eq!(value("metric"), Value::Float(53.75));
        assert_eq!(value("steps"), Value::Int(-12));
        assert_eq!(value("good"), Value::Bool(true));
        assert_eq!(value("args"), Value::Record("a namespace"));
        assert_eq!(value("losses"), Value::Record("a NumPy array"));
        assert_eq!(value("large"), Value::Long(&[0, 0, 0, 0, 0, 0, 0, 0, 64]));
        let accuracy = checkpoint.tensor(item("best_acc1"), "best_acc1").unwrap();
        assert_eq!(
            (accuracy.shape.len(), accuracy.contiguous()),
            (0, 76.5_f32.to_le_bytes().to_vec())
        );
        let optimizer = item("optimizer");
        assert!(checkpoint.item(optimizer, "param_groups").is_some());
        assert!(checkpoint.item(optimizer, "nothing").is_none());
    }
}

#[test]
fn averaged_weights_that_are_not_there() {
    let bytes = golden("wrapped.pth");
    let error = Checkpoint::read(&bytes).unwrap().state_dict(Which::Averaged).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no averaged weights found under state_dict_ema, model_ema, ema_state_dict, ema; the file \
         holds model (a dictionary); load it with PyTorch and save it again with \
         torch.save({'state_dict': model.state_dict()}, FILE)"
    );
}

#[test]
fn files_cut_anywhere_are_refused() {
    for file in ["plain.pth", "plain.4.pth", "plain.zip.pth", "types.pth", "types.zip.pth"] {
        let bytes = golden(file);
        for length in 0..bytes.len() {
            let error = Checkpoint::read(&bytes[..length]).expect_err(file);
            assert!(!error.to_string().contains('\n'), "{file} cut to {length}: {error}");
        }
    }
}

#[test]
fn damaged_bytes_do_no_harm() {
    for file in ["trained.pth", "trained.zip.pth", "types.pth", "types.zip.pth"] {
        let mut bytes = golden(file);
        let mut refused = 0;
        for at in 0..bytes.len() {
            // One bit, another one at each place.
            bytes[at] ^= 1 << (at % 8);
            let weights = Checkpoint::read(&bytes).and_then(|file| file.state_dict(Which::Either));
            match weights.map(|weights| lines(&weights)) {
                Ok(_) => {}
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().contains('\n'), "{error}");
                }
            }
            bytes[at] ^= 1 << (at % 8);
        }
        assert!(refused > bytes.len() / 8, "{file}: only {refused} of its bytes matter");
    }
}

#[test]
fn a_storage_of_another_length_is_refused() {
    let mut bytes = golden("plain.pth");
    // Where the list of keys ends, the first storage begins with its number of elements.
    let at = bytes.windows(2).rposition(|window| window == b"e.").unwrap() + 2;
    bytes[at] += 1;
    let error = Checkpoint::read(&bytes).unwrap_err();
    assert!(matches!(error, PthError::Storage { .. }), "{error}");
    assert!(error.to_string().contains(" elements where tensors name "), "{error}");
}
