//! The zip form's container: what is read beyond what `torch.save` writes today, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use cream_pth::{Checkpoint, PthError, Value};

/// An entry of a directory, with what its records say of it.
#[derive(Clone)]
struct Entry {
    name: &'static str,
    content: &'static [u8],
    method: u16,
    flags: u16,
    /// Added to where its header lies.
    shift: u32,
}

fn entry(name: &'static str, content: &'static [u8]) -> Entry {
    Entry { name, content, method: 0, flags: 0, shift: 0 }
}

const ONE: &[u8] = b"\x80\x02K\x01.";

fn checkpoint() -> Vec<Entry> {
    vec![entry("a/data.pkl", ONE), entry("a/version", b"3\n"), entry("a/byteorder", b"little")]
}

fn local(entry: &Entry) -> Vec<u8> {
    let length = (entry.content.len() as u32).to_le_bytes();
    let mut bytes = b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend([length, length].concat());
    bytes.extend([(entry.name.len() as u16).to_le_bytes(), [0, 0]].concat());
    [bytes.as_slice(), entry.name.as_bytes(), entry.content].concat()
}

/// The archive; `wide` puts every size and offset into 64-bit records.
fn archive(entries: &[Entry], wide: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let (header, length) =
            ((file.len() as u32).wrapping_add(entry.shift), entry.content.len() as u32);
        file.extend(local(entry));
        directory.extend(b"PK\x01\x02\0\0\0\0");
        directory.extend([entry.flags.to_le_bytes(), entry.method.to_le_bytes()].concat());
        directory.extend([0; 8]);
        let numbers = if wide { [u32::MAX; 3] } else { [length, length, header] };
        directory.extend([numbers[0].to_le_bytes(), numbers[1].to_le_bytes()].concat());
        let extra: Vec<u8> = if wide {
            let numbers = [length, length, header].map(|number| u64::from(number).to_le_bytes());
            // Another field comes first.
            [b"\x99\x00\x02\x00xx\x01\x00\x18\x00".as_slice(), &numbers.concat()].concat()
        } else {
            Vec::new()
        };
        let lengths = [entry.name.len() as u16, extra.len() as u16, 0].map(u16::to_le_bytes);
        directory.extend(lengths.concat());
        directory.extend([0; 8]);
        directory.extend(numbers[2].to_le_bytes());
        directory.extend([entry.name.as_bytes(), &extra].concat());
    }
    let (start, length) = (file.len() as u64, directory.len() as u64);
    file.extend(directory);
    if wide {
        let at = file.len() as u64;
        file.extend([b"PK\x06\x06".as_slice(), &44_u64.to_le_bytes(), &[0; 12]].concat());
        let count = entries.len() as u64;
        file.extend([count, count, length, start].map(u64::to_le_bytes).concat());
        file.extend([b"PK\x06\x07\0\0\0\0".as_slice(), &at.to_le_bytes(), &[1, 0, 0, 0]].concat());
    }
    let count = if wide { u16::MAX } else { entries.len() as u16 }.to_le_bytes();
    let place = if wide { [u32::MAX; 2] } else { [length as u32, start as u32] };
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count].concat());
    file.extend([place.map(u32::to_le_bytes).concat().as_slice(), &[0, 0]].concat());
    file
}

fn root(file: &[u8]) -> Result<Value<'_>, PthError> {
    let checkpoint = Checkpoint::read(file)?;
    Ok(checkpoint.value(checkpoint.root()).clone())
}

#[track_caller]
fn refused(file: &[u8], why: &str) {
    let error = root(file).expect_err("a bad archive was taken").to_string();
    assert!(error.contains(why) && !error.contains('\n'), "{error}\ndoes not say: {why}");
}

#[test]
fn both_widths_are_read() {
    for wide in [false, true] {
        assert_eq!(root(&archive(&checkpoint(), wide)), Ok(Value::Int(1)));
        // Without a folder, and without what older versions did not write.
        assert_eq!(root(&archive(&[entry("data.pkl", ONE)], wide)), Ok(Value::Int(1)));
    }
}

#[test]
fn a_comment_at_the_end_is_passed_over() {
    let mut file = archive(&checkpoint(), false);
    let at = file.len() - 2;
    file[at] = 5;
    file.extend(b"PK\x05\x06!");
    assert_eq!(root(&file), Ok(Value::Int(1)));
}

#[test]
fn archives_cut_anywhere_are_refused() {
    for wide in [false, true] {
        let file = archive(&checkpoint(), wide);
        for length in 0..file.len() {
            root(&file[..length]).expect_err("a cut archive was taken");
        }
    }
}

#[test]
fn damaged_archives_do_no_harm() {
    for wide in [false, true] {
        let mut file = archive(&checkpoint(), wide);
        for at in 0..file.len() {
            for bit in 0..8 {
                file[at] ^= 1 << bit;
                let _ = root(&file);
                file[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn what_torch_save_never_writes_is_refused() {
    let with = |index: usize, change: &dyn Fn(&mut Entry)| {
        let mut entries = checkpoint();
        change(&mut entries[index]);
        archive(&entries, false)
    };
    let pack = "pack it again with zip -0";
    refused(
        &with(0, &|entry| entry.method = 8),
        "a/data.pkl: is compressed, which torch.save never does",
    );
    refused(&with(0, &|entry| entry.method = 8), pack);
    refused(&with(1, &|entry| entry.flags = 1), "a/version: is encrypted");
    refused(&with(2, &|entry| entry.content = b"big"), "a big-endian checkpoint is not read");
    refused(&with(1, &|entry| entry.name = "a/data.pkl"), "a/data.pkl is there twice");
    refused(&with(1, &|entry| entry.name = "b/data.pkl"), "not with one data.pkl in it");
    refused(&with(0, &|entry| entry.name = "a/other.pkl"), "not with one data.pkl in it");
    refused(
        &with(1, &|entry| entry.name = "a/constants.pkl"),
        "TorchScript, which is a program, is not read",
    );
    refused(&with(0, &|entry| entry.shift = 1), "a/data.pkl is not where the directory says");
    refused(&with(0, &|entry| entry.shift = 1 << 20), "a/data.pkl lies beyond the directory");
    // Both name the header of the first one.
    let first = local(&checkpoint()[0]).len() as u32;
    refused(&with(1, &|entry| entry.shift = first.wrapping_neg()), "overlap");
}

#[test]
fn records_that_do_not_agree_are_refused() {
    let file = archive(&checkpoint(), false);
    let end = file.len() - 22;
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    refused(&changed(end, b"XX"), "it has no directory at its end");
    refused(&changed(end + 4, b"\x01"), "it is one of several parts");
    refused(
        &changed(end + 10, b"\x04"),
        "an entry of the zip archive's directory takes 4 bytes, but 0 are left",
    );
    refused(
        &changed(end + 12, b"\xff\xff\xff\x7f"),
        "the zip archive's directory takes 2147483647 bytes",
    );
    refused(&changed(end + 16, b"\xff\xff\xff\x7f"), "its directory lies beyond its end");
    refused(
        &changed(end + 16, b"\x00\x00\x00\x00"),
        "its directory has fewer entries than it says",
    );
    // Sizes of the first entry, 20 bytes into its record.
    let record = file.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    refused(&changed(record + 20, b"\x04"), "a/data.pkl has two sizes");
    refused(
        &changed(record + 20, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
        "a zip entry takes 2147483647 bytes",
    );
    refused(&changed(record + 20, &[0xff; 8]), "the 64-bit sizes of a/data.pkl are not there");
    let wide = archive(&checkpoint(), true);
    let mut astray = wide.clone();
    let locator = wide.len() - 22 - 20;
    astray[locator + 8] ^= 1;
    refused(&astray, "its 64-bit end record is not where it should be");
}

#[test]
fn storages_that_are_not_as_named_are_refused() {
    const STORAGE: &[u8] = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.";
    let with = |content: &'static [u8]| {
        archive(&[entry("a/data.pkl", STORAGE), entry("a/data/0", content)], false)
    };
    assert_eq!(root(&with(&[0; 4])), Ok(Value::Storage(0)));
    refused(&with(&[0; 5]), "storage 0: takes 5 bytes where tensors name 4");
    refused(
        &archive(&[entry("a/data.pkl", STORAGE)], false),
        "storage 0: is named by a tensor, but its values are missing",
    );
}
