//! A file, whichever its form.

use crate::PthError;
use crate::cursor::Cursor;
use crate::error::shown;
use crate::legacy;
use crate::pickle;
use crate::state_dict::{self, StateDict, Which};
use crate::tensor::Tensor;
use crate::value::{Id, Objects, Value};
use crate::zip::Archive;

/// A tensor, and all weights together, may take this many times the file's length and [`SLACK`] more: tensors share
/// storages, but a small file that claims large tensors wants to fill the memory.
const EXPANSION: u64 = 4;
/// Bytes that any file may expand to.
const SLACK: u64 = 1 << 20;

/// A checkpoint file: its values, and the storages of its tensors, which stay in the bytes that were given.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    length: usize,
    objects: Objects<'a>,
    root: Id,
}

impl<'a> Checkpoint<'a> {
    /// Reads a file of either form.
    ///
    /// # Errors
    /// [`PthError`]: what is not as the formats say, or not of what they are read for. Every storage that a tensor
    /// names is there when there is none.
    pub fn read(file: &'a [u8]) -> Result<Self, PthError> {
        let mut objects = Objects::default();
        let root = match file {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => zip(file, &mut objects)?,
            _ if is_tar(file) => {
                let what =
                    "a tar archive, PyTorch's form before 0.1.10 or a checkpoint packed once more,";
                return Err(PthError::Unsupported { what: what.to_owned() });
            }
            [0x80, ..] => legacy::read(file, &mut objects)?,
            _ => return Err(PthError::Foreign { reason: foreign(file) }),
        };
        for storage in objects.storages.iter_mut() {
            if storage.bytes.is_none() {
                return Err(
                    storage.error("is named by a tensor, but its values are missing".to_owned())
                );
            }
        }
        Ok(Self { length: file.len(), objects, root })
    }

    /// The value that was saved.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value of this checkpoint.
    pub fn value(&self, id: Id) -> &Value<'a> {
        self.objects.get(id)
    }

    /// The value under `key` of a dictionary of this checkpoint; `None` if there is none, or `dict` is none.
    pub fn item(&self, dict: Id, key: &str) -> Option<Id> {
        self.objects.item(dict, key)
    }

    /// The tensor that `id` is; `name` is for the error.
    ///
    /// # Errors
    /// [`PthError::TooLarge`]; [`PthError::NoWeights`] if `id` is no tensor.
    pub fn tensor(&self, id: Id, name: &str) -> Result<Tensor<'a>, PthError> {
        let not = |what: String| PthError::NoWeights {
            what: format!("{}: {what}", shown(name)),
            seen: "weights are tensors".to_owned(),
        };
        let Value::Tensor(view) = *self.value(id) else {
            return Err(not(format!("is {}", self.value(id).kind())));
        };
        let (shape, strides) = view.layout(&self.objects).map_err(not)?;
        let Some((storage, bytes)) =
            self.objects.storages.get(view.storage).and_then(|s| Some((s, s.bytes?)))
        else {
            return Err(not("has no values".to_owned()));
        };
        let size = storage.dtype.bytes() as u64;
        let length = if shape.contains(&0) {
            0
        } else {
            shape.iter().fold(size, |length, &size| length.saturating_mul(size))
        };
        self.bounded(length, || format!("tensor {}", shown(name)))?;
        let whole =
            |number: u64| usize::try_from(number).map_err(|_| not("is too large".to_owned()));
        let shape = shape.into_iter().map(whole).collect::<Result<Vec<usize>, _>>()?;
        let strides = strides.into_iter().map(whole).collect::<Result<Vec<usize>, _>>()?;
        let offset = whole(view.offset)?;
        Ok(Tensor { dtype: storage.dtype, shape, strides, offset, storage: bytes })
    }

    /// Refuses what would take far more memory than the file.
    pub(crate) fn bounded(&self, bytes: u64, what: impl Fn() -> String) -> Result<(), PthError> {
        let limit = (self.length as u64).saturating_mul(EXPANSION).saturating_add(SLACK);
        if bytes <= limit {
            return Ok(());
        }
        Err(PthError::TooLarge { what: what(), bytes, file: self.length, limit })
    }

    /// Finds the weights of a network; see [`StateDict`].
    ///
    /// # Errors
    /// [`PthError::NoWeights`] when they are not where checkpoints have them, or are not all tensors;
    /// [`PthError::TooLarge`].
    pub fn state_dict(&self, which: Which) -> Result<StateDict<'a>, PthError> {
        state_dict::find(self, which)
    }
}

/// Reads a file of the zip form: `NAME/data.pkl`, and each storage in `NAME/data/KEY`.
fn zip<'a>(file: &'a [u8], objects: &mut Objects<'a>) -> Result<Id, PthError> {
    let archive = Archive::open(file)?;
    let mut pickles = archive.names().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = match (pickles.next(), pickles.next()) {
        (Some(folder), None) if folder.is_empty() || folder.ends_with('/') => folder,
        _ => {
            let reason = "it is a zip archive, but not with one data.pkl in it".to_owned();
            return Err(PthError::Foreign { reason });
        }
    };
    let content =
        |name: &str| archive.find(&format!("{folder}{name}")).map(|at| (&file[at.clone()], at));
    if content("constants.pkl").is_some() {
        return Err(PthError::Unsupported { what: "TorchScript, which is a program,".to_owned() });
    }
    if content("byteorder").is_some_and(|(order, _)| order != b"little") {
        return Err(PthError::Unsupported { what: "a big-endian checkpoint".to_owned() });
    }
    let Some((_, at)) = content("data.pkl") else {
        return Err(PthError::Foreign { reason: "it has no data.pkl".to_owned() });
    };
    let mut cursor = Cursor::new(&file[..at.end], at.start);
    let root = pickle::load(&mut cursor, objects)?;
    for storage in objects.storages.iter_mut() {
        let Some((bytes, _)) = content(&format!("data/{}", storage.key)) else { continue };
        let length = storage.length()?;
        if bytes.len() as u64 != length {
            let found = bytes.len();
            return Err(storage.error(format!("takes {found} bytes where tensors name {length}")));
        }
        storage.bytes = Some(bytes);
    }
    Ok(root)
}

fn is_tar(file: &[u8]) -> bool {
    file.get(257..262) == Some(b"ustar")
}

/// What bytes are that are neither form.
fn foreign(file: &[u8]) -> String {
    match file {
        [] => "the file is empty",
        [0x1f, 0x8b, ..] => "it is compressed with gzip, to be unpacked first",
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => {
            "it is the pointer that Git LFS leaves in a file's place, to be fetched with git lfs pull"
        }
        [b'<', ..] => "it is a web page, probably in place of a download",
        [_, _, _, _, _, _, _, _, b'{', ..] => "it is a safetensors file, to be given under such a name",
        _ => "it begins neither as a zip archive nor as a pickle",
    }
    .to_owned()
}
