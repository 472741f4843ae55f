//! The legacy form: five pickles in a row, then the storages in the order of the fifth.

use crate::PthError;
use crate::cursor::Cursor;
use crate::error::shown;
use crate::pickle;
use crate::value::{Id, Objects, Value};

/// The first pickle's value, 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The second pickle's.
const PROTOCOL: i64 = 1001;

/// Reads a file of the legacy form; the value of its fourth pickle.
pub(crate) fn read<'a>(file: &'a [u8], objects: &mut Objects<'a>) -> Result<Id, PthError> {
    let mut cursor = Cursor::new(file, 0);
    let magic = pickle::load(&mut cursor, objects)?;
    if *objects.get(magic) != Value::Long(&MAGIC) {
        let reason = "it begins with a pickle, but not with PyTorch's magic number".to_owned();
        return Err(PthError::Foreign { reason });
    }
    let version_at = cursor.offset();
    let protocol = pickle::load(&mut cursor, objects)?;
    match *objects.get(protocol) {
        Value::Int(PROTOCOL) => {}
        Value::Int(other) => {
            let what =
                format!("protocol {other} of PyTorch's legacy form, {PROTOCOL} being known,");
            return Err(PthError::Unsupported { what });
        }
        ref other => {
            let reason = format!("the protocol is {}", other.kind());
            return Err(PthError::Pickle { offset: version_at, reason });
        }
    }
    let system = pickle::load(&mut cursor, objects)?;
    if let Some(little) = objects.item(system, "little_endian")
        && *objects.get(little) != Value::Bool(true)
    {
        return Err(PthError::Unsupported { what: "a big-endian checkpoint".to_owned() });
    }
    let root = pickle::load(&mut cursor, objects)?;
    storages(&mut cursor, objects)?;
    Ok(root)
}

/// Reads the list of keys, and the storages behind it.
fn storages<'a>(cursor: &mut Cursor<'a>, objects: &mut Objects<'a>) -> Result<(), PthError> {
    let list_at = cursor.offset();
    let list = pickle::load(cursor, objects)?;
    let reason = |reason: &str| PthError::Pickle { offset: list_at, reason: reason.to_owned() };
    let Value::List(keys) = objects.get(list) else {
        return Err(reason("the keys of the storages are no list"));
    };
    let keys: Option<Vec<&str>> = keys.iter().map(|&key| objects.text(key)).collect();
    for key in keys.ok_or_else(|| reason("the key of a storage is no string"))? {
        let count = cursor.u64("a storage's number of elements")?;
        let Some(storage) = objects.storages.find(key) else {
            let reason = "has values, but no tensor names it".to_owned();
            return Err(PthError::Storage { key: shown(key), reason });
        };
        if storage.count != count {
            let reason = format!("holds {count} elements where tensors name {}", storage.count);
            return Err(storage.error(reason));
        }
        if storage.bytes.is_some() {
            return Err(storage.error("has values twice".to_owned()));
        }
        storage.bytes = Some(cursor.take(storage.length()?, "a storage's values")?);
    }
    match cursor.left() {
        0 => Ok(()),
        left => {
            let reason = format!("{left} bytes behind the last storage");
            Err(PthError::Pickle { offset: cursor.offset(), reason })
        }
    }
}
