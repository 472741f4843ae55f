//! Files that nothing but malice or damage makes, each refused with one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use cream_pth::{Checkpoint, PthError, Value, Which};

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL: &[u8] = b"\x80\x02M\xe9\x03.";
const SYSTEM: &[u8] = b"\x80\x02}.";

/// A legacy file of the object that `opcodes` make, and of nothing behind the list of keys, which is empty.
fn legacy(opcodes: &[u8]) -> Vec<u8> {
    with_storages(opcodes, b"].")
}

fn with_storages(opcodes: &[u8], storages: &[u8]) -> Vec<u8> {
    [MAGIC, PROTOCOL, SYSTEM, b"\x80\x02", opcodes, b".", b"\x80\x02", storages].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// Opcodes for a storage of `count` floats.
fn storage(key: &str, count: u32) -> Vec<u8> {
    let count = [b"J".as_slice(), &count.to_le_bytes()].concat();
    let parts = [
        b"(".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text(key),
        text("cpu"),
    ];
    [parts.concat(), count, b"tQ".to_vec()].concat()
}

/// Opcodes for a tensor of that storage, with `offset`, shape and strides as opcodes.
fn tensor(storage: &[u8], layout: &[u8]) -> Vec<u8> {
    [b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(), storage, layout, b"\x89}tR"].concat()
}

/// A file of one tensor `w` over a storage of `count` floats that are 1, 2, ...
fn one_tensor(count: u32, layout: &[u8]) -> Vec<u8> {
    let opcodes = [b"}".to_vec(), text("w"), tensor(&storage("k", count), layout), b"s".to_vec()];
    let values: Vec<u8> = (0..count).flat_map(|i| (i as f32 + 1.0).to_le_bytes()).collect();
    let keys = [b"]".to_vec(), text("k"), b"a.".to_vec()].concat();
    with_storages(
        &opcodes.concat(),
        &[keys, u64::from(count).to_le_bytes().to_vec(), values].concat(),
    )
}

fn error(file: &[u8]) -> PthError {
    let read = Checkpoint::read(file).and_then(|file| file.state_dict(Which::Either).map(drop));
    let error = read.expect_err("a bad file was taken");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[track_caller]
fn refused(opcodes: &[u8], why: &str) {
    let error = error(&legacy(opcodes)).to_string();
    assert!(error.contains(why), "{error}\ndoes not say: {why}");
}

#[test]
fn what_the_helpers_make_is_read() {
    let file = one_tensor(3, b"K\x01K\x02\x85K\x01\x85");
    let weights = Checkpoint::read(&file).unwrap().state_dict(Which::Either).unwrap();
    let [(name, tensor)] = weights.tensors.as_slice() else { panic!("{weights:?}") };
    assert_eq!(name, "w");
    assert_eq!(tensor.contiguous(), [2.0_f32.to_le_bytes(), 3.0_f32.to_le_bytes()].concat());
}

#[test]
fn code_is_refused_by_name() {
    for (module, name) in [
        ("posix", "system"),
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "__import__"),
        ("torch", "load"),
        ("torch", "nn.Linear"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict.__init__"),
        ("__main__", "Net"),
    ] {
        let name_itself = format!("refers to `{module}.{name}`: only tensors");
        refused(format!("c{module}\n{name}\n").as_bytes(), &name_itself);
        let on_the_stack = [text(module), text(name), b"\x93".to_vec()].concat();
        refused(&on_the_stack, &name_itself);
        let called = [format!("c{module}\n{name}\n").into_bytes(), text("id"), b"\x85R".to_vec()];
        refused(&called.concat(), &name_itself);
    }
    let offset = MAGIC.len() + PROTOCOL.len() + SYSTEM.len() + 2;
    assert_eq!(
        error(&legacy(b"cposix\nsystem\n")).to_string(),
        format!(
            "byte {offset}: refers to `posix.system`: only tensors and plain values are read, and nothing in a file \
             is run; if you trust the file, load it with PyTorch and save it again with \
             torch.save({{'state_dict': model.state_dict()}}, FILE)"
        )
    );
}

#[test]
fn opcodes_that_make_objects_of_names_are_refused() {
    for opcode in [b'i', b'o', b'P', b'S', b'V', 0x82, 0x83, 0x84, 0x92, 0x96, 0x97, 0x98, 0xff] {
        let error = error(&legacy(&[opcode]));
        assert!(
            matches!(error, PthError::Opcode { opcode: same, .. } if same == opcode),
            "{error}"
        );
    }
}

#[test]
fn broken_pickles_are_refused() {
    refused(b"\x80\x06", "pickle protocol 6, of which 0 to 5 exist");
    refused(b"0", "takes a value from an empty stack");
    refused(b"", "takes a value from an empty stack");
    refused(b"N(a", "takes a value from an empty stack");
    refused(b"t", "down to a mark that is not there");
    refused(b"N(\x85", "a tuple of 1 from a stack of fewer values");
    refused(b"(Nd", "a key without a value");
    refused(b"N(Ne", "adds items to None");
    refused(b"]NNs", "adds items to a list");
    refused(b"h\x07", "takes value 7 of the memo");
    refused(b"gx\n", "a memo index that is no number");
    refused(b"Ix\n", "digits that are no number");
    refused(b"X\x01\x00\x00\x00\xff", "a string that is not UTF-8");
    refused(b"NN\x93", "a name that is no string");
    refused(b"N)R", "calls None");
    refused(b"ctorch\nSize\nNR", "calls with None for a tuple");
    refused(b"ctorch\nFloatStorage\n)R", "calls with arguments that do not suit");
    refused(b"ctorch._utils\n_rebuild_parameter\nN\x85R", "a parameter of None");
    refused(b"ccollections\nOrderedDict\n]Na\x85R", "a list that is not of pairs");
    refused(b"ccollections\nOrderedDict\nK\x01\x85R", "a dictionary of an integer");
    refused(b"NNb", "gives a state to None");
    refused(b"NQ", "a persistent id that is no tuple");
    refused(b")Q", "a persistent id of 0 parts");
    refused(b"(NNNNNtQ", "a persistent id that is no storage");
}

#[test]
fn huge_claims_are_refused_before_memory_is_taken() {
    for claim in [
        b"X\xff\xff\xff\xff".as_slice(),
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8e\x00\x00\x00\x00\x00\x00\x00\x80",
        b"\x8b\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8a\xff",
    ] {
        assert!(matches!(error(&legacy(claim)), PthError::Truncated { .. }), "{claim:?}");
    }
    // A storage of 2^31 - 1 floats, of which none is there.
    let keys = [b"]".to_vec(), text("k"), b"a.".to_vec(), 0x7fff_ffff_u64.to_le_bytes().to_vec()];
    let error = error(&with_storages(&storage("k", 0x7fff_ffff), &keys.concat()));
    assert!(matches!(error, PthError::Truncated { needed: 0x1_ffff_fffc, .. }), "{error}");
}

#[test]
fn storages_that_do_not_agree_are_refused() {
    let refused = |opcodes: &[u8], storages: &[u8], why: &str| {
        let error = error(&with_storages(opcodes, storages)).to_string();
        assert!(error.contains(why), "{error}\ndoes not say: {why}");
    };
    let one = storage("k", 1);
    let key = [b"]".to_vec(), text("k"), b"a.".to_vec()].concat();
    let value = [1_u64.to_le_bytes().as_slice(), &[0; 4]].concat();
    let whole = [key.as_slice(), &value].concat();
    refused(&one, b"].", "storage k: is named by a tensor, but its values are missing");
    refused(b"N", &whole, "storage k: has values, but no tensor names it");
    let twice = [
        b"]".to_vec(),
        text("k"),
        b"a".to_vec(),
        text("k"),
        b"a.".to_vec(),
        value.clone(),
        value.clone(),
    ];
    refused(&one, &twice.concat(), "storage k: has values twice");
    refused(
        &one,
        &[key.as_slice(), &2_u64.to_le_bytes(), &[0; 8]].concat(),
        "holds 2 elements where tensors name 1",
    );
    refused(&one, &[whole.as_slice(), b"x"].concat(), "1 bytes behind the last storage");
    refused(&one, b"N.", "the keys of the storages are no list");
    refused(&one, b"]Na.", "the key of a storage is no string");
    refused(
        &[storage("k", 1), storage("k", 2)].concat(),
        &whole,
        "is 2 elements of float32 in one place and 1 of",
    );
    let negative = storage("k", u32::MAX);
    refused(&negative, &whole, "without a number of elements");
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    let refused = |layout: &[u8], why: &str| {
        let error = error(&one_tensor(3, layout)).to_string();
        assert!(error.contains(why), "{error}\ndoes not say: {why}");
    };
    refused(b"K\x00K\x04\x85K\x01\x85", "does not fit its storage of 3 elements");
    refused(b"K\x03K\x01\x85K\x01\x85", "does not fit its storage of 3 elements");
    refused(b"K\x00K\x02\x85K\x03\x85", "does not fit its storage of 3 elements");
    refused(b"K\x04))", "does not fit its storage of 3 elements");
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    refused(
        &[b"K\x00".as_slice(), huge, b"\x85", huge, b"\x85"].concat(),
        "does not fit its storage",
    );
    refused(b"K\x00K\x02\x85)", "a tensor of 1 sizes and 0 strides");
    refused(b"J\xff\xff\xff\xffK\x02\x85K\x01\x85", "a tensor's offset is no such number");
    refused(b"K\x00J\xff\xff\xff\xff\x85K\x01\x85", "not whole numbers from 0");
    refused(b"K\x00]K\x01a]K\x01a", "a tensor's sizes or strides are a list");
    let deep = [b"K\x00(".as_slice(), &b"K\x01".repeat(65), b"t2"].concat();
    refused(&deep, "a tensor of 65 dimensions, more than 64");
}

#[test]
fn odd_but_right_layouts_are_read() {
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    // A stride along one element, and sizes beside an empty one, mean nothing.
    for (layout, count) in [
        ([b"K\x00K\x01K\x03\x86".as_slice(), huge, b"K\x01\x86"].concat(), 3),
        ([b"K\x00".as_slice(), b"K\x00", huge, huge, b"\x87K\x01K\x01K\x01\x87"].concat(), 0),
    ] {
        let file = one_tensor(3, &layout);
        let weights = Checkpoint::read(&file).unwrap().state_dict(Which::Either).unwrap();
        let (_, tensor) = &weights.tensors[0];
        assert_eq!((tensor.count(), tensor.contiguous().len()), (count, 4 * count));
    }
}

#[test]
fn a_small_file_cannot_expand_without_bound() {
    // One element, seen a million million times.
    let million = b"J\x40\x42\x0f\x00";
    let layout = [b"K\x00".as_slice(), million, million, b"\x86K\x00K\x00\x86"].concat();
    let too_large = error(&one_tensor(1, &layout));
    assert!(
        matches!(too_large, PthError::TooLarge { bytes: 4_000_000_000_000, .. }),
        "{too_large}"
    );
    // The product of its sizes does not fit into 64 bits.
    let layout =
        [b"K\x00(".as_slice(), &million.repeat(4), b"t(", &b"K\x00".repeat(4), b"t"].concat();
    let too_large = error(&one_tensor(1, &layout));
    assert!(matches!(too_large, PthError::TooLarge { bytes: u64::MAX, .. }), "{too_large}");
    // Many tensors, each within the bound.
    let mut opcodes = [b"}".to_vec(), storage("k", 1), b"q\x000".to_vec()].concat();
    for index in 0..100 {
        let layout = b"K\x00J\x00\x00\x01\x00\x85K\x00\x85";
        opcodes
            .extend([text(&format!("w{index}")), tensor(b"h\x00", layout), b"s".to_vec()].concat());
    }
    let keys = [b"]".to_vec(), text("k"), b"a.".to_vec(), 1_u64.to_le_bytes().to_vec(), vec![0; 4]];
    let error = error(&with_storages(&opcodes, &keys.concat())).to_string();
    assert!(error.starts_with("weights of "), "{error}");
}

#[test]
fn values_that_contain_themselves_are_finite() {
    // A list that contains itself, a dictionary that is its own value and key.
    for opcodes in [b"]q\x00h\x00a".as_slice(), b"}q\x00h\x00h\x00s"] {
        let file = legacy(opcodes);
        let checkpoint = Checkpoint::read(&file).unwrap();
        match checkpoint.value(checkpoint.root()) {
            Value::List(items) => assert_eq!(items, &[checkpoint.root()]),
            Value::Dict(items) => assert_eq!(items, &[(checkpoint.root(), checkpoint.root())]),
            other => panic!("{other:?}"),
        }
        assert!(checkpoint.state_dict(Which::Either).is_err());
    }
    // Under the keys that are looked into.
    let key = text("model");
    let file = legacy(&[b"}q\x00".as_slice(), &key, b"h\x00s"].concat());
    assert!(matches!(error(&file), PthError::NoWeights { .. }));
}

#[test]
fn deep_nesting_is_read_and_dropped() {
    let opcodes = [b"]".repeat(1_000_000), b"a".repeat(999_999)].concat();
    let file = legacy(&opcodes);
    let checkpoint = Checkpoint::read(&file).unwrap();
    let Value::List(items) = checkpoint.value(checkpoint.root()) else { panic!("no list") };
    assert_eq!(items.len(), 1);
    drop(checkpoint);
    refused(
        &[b"]".repeat(1_000_000), b"\x85".repeat(1_000_000)].concat(),
        "the file holds a tuple",
    );
}

#[test]
fn what_is_named_often_is_held_once() {
    // Ten lists of ten lists of ... of one string: 10^10 strings, if they were copied.
    let mut opcodes = [text(&"laugh".repeat(1000)), b"q\x00".to_vec()].concat();
    for level in 0..10_u8 {
        opcodes.extend(
            [b"(".to_vec(), [b'h', level].repeat(10), vec![b'l', b'q', level + 1]].concat(),
        );
    }
    let file = legacy(&opcodes);
    assert!(matches!(error(&file), PthError::NoWeights { .. }));
}

#[test]
fn too_many_values_are_refused() {
    const MANY: usize = (1 << 22) + 1;
    refused(&b"N".repeat(MANY), "more than 4194304 values");
    refused(&[b"N".to_vec(), b"2".repeat(MANY)].concat(), "more than 4194304 values");
    refused(&b"(".repeat(MANY), "more than 4194304 values");
    refused(&[b"N".to_vec(), b"\x94".repeat(MANY)].concat(), "more than 4194304 values");
    // A list of ten thousand pairs, made a dictionary a thousand times.
    let pairs = [b"](".to_vec(), b"NN\x86".repeat(10_000), b"e\x85q\x00".to_vec()].concat();
    let copies = b"ccollections\nOrderedDict\nh\x00R".repeat(1000);
    refused(&[pairs, copies].concat(), "more than 4194304 values");
}

#[test]
fn weights_that_are_not_such_are_refused() {
    refused(b"N", "no weights found; the file holds None");
    refused(b"}", "no weights found; the file holds an empty dictionary");
    let keys =
        [b"}".to_vec(), text("epoch"), b"K\x01s".to_vec(), text("state\ndict"), b"}s".to_vec()];
    refused(&keys.concat(), r"the file holds epoch (an integer), state\ndict (a dictionary)");
    let many: Vec<u8> =
        (0..30).flat_map(|i| [text(&format!("key{i}")), b"Ns".to_vec()].concat()).collect();
    refused(&[b"}".to_vec(), many].concat(), "key19 (None), 10 more");
    let w = || tensor(&storage("k", 1), b"K\x00))");
    let keys = [b"]".to_vec(), text("k"), b"a.".to_vec(), 1_u64.to_le_bytes().to_vec(), vec![0; 4]]
        .concat();
    for (items, why) in [
        ([text("a"), w(), b"s".to_vec(), text("a"), w()], "the file holds a twice"),
        (
            [b"K\x01".to_vec(), w(), b"s".to_vec(), text("a"), w()],
            "the file holds an integer for a name",
        ),
    ] {
        let opcodes = [b"}".to_vec(), items.concat(), b"s".to_vec()].concat();
        let error = error(&with_storages(&opcodes, &keys)).to_string();
        assert!(error.contains(why), "{error}");
    }
    let two =
        [text("a"), w(), b"s".to_vec(), text("b"), w(), b"s".to_vec(), text("c"), b"Ns".to_vec()]
            .concat();
    let inner = [b"}".to_vec(), text("state_dict"), b"}".to_vec(), two, b"s".to_vec()].concat();
    let error = error(&with_storages(&inner, &keys)).to_string();
    assert!(error.starts_with("state_dict holds c, which is None"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    for (file, why) in [
        (b"".to_vec(), "the file is empty"),
        (b"\x1f\x8b\x08".to_vec(), "compressed with gzip"),
        (b"<html>".to_vec(), "a web page"),
        (b"version https://git-lfs".to_vec(), "Git LFS"),
        (b"\x02\0\0\0\0\0\0\0{}".to_vec(), "a safetensors file"),
        (b"hello".to_vec(), "neither as a zip archive nor as a pickle"),
        (b"\x80\x02}.".to_vec(), "not with PyTorch's magic number"),
        (tar, "a tar archive, PyTorch's form before 0.1.10"),
        ([MAGIC, b"\x80\x02M\xea\x03."].concat(), "protocol 1002 of PyTorch's legacy form"),
        ([MAGIC, b"\x80\x02N."].concat(), "the protocol is None"),
        (
            [MAGIC, PROTOCOL, b"}", &text("little_endian"), b"\x89s."].concat(),
            "a big-endian checkpoint",
        ),
    ] {
        let error = error(&file).to_string();
        assert!(error.contains(why), "{error}\ndoes not say: {why}");
    }
}
