//! Safetensors files: PyTorch's names and shapes, and what the tensors are as JSON in the metadata.

use crate::NnError;
use candle_core::{DType, Device, Tensor};
use cream_weights::{Contents, METADATA_KEY, explain, first_few};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// Tensors by name with the JSON object that describes them.
#[derive(Clone, Debug)]
pub struct TensorFile {
    /// What the file says of itself; `Null` in a foreign file.
    pub description: serde_json::Value,
    /// The tensors, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
    /// The bytes of the file. The same tensors and description give the same bytes.
    ///
    /// # Errors
    /// When a tensor has a dtype that the format does not know.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NnError> {
        let raw: Vec<(&String, Raw)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name, Raw::new(tensor)?)))
            .collect::<Result<_, NnError>>()?;
        // One key only: a map of several would be written in no particular order.
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), self.description.to_string())]);
        safetensors::serialize(raw, Some(metadata)).map_err(|e| NnError::File(e.to_string()))
    }

    /// What the file says of itself, checked.
    ///
    /// # Errors
    /// [`NnError::Weights`] for a description that is not as its format says, or of another version: the message names
    /// the key.
    pub fn contents(&self) -> Result<Contents, NnError> {
        Ok(Contents::of(&self.description)?)
    }

    /// Reads a file's bytes. Every length is checked against the bytes before anything is allocated.
    ///
    /// # Errors
    /// When the bytes are not safetensors or hold a dtype that is not supported.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NnError> {
        let not_ours = |e| NnError::File(explain(bytes, &e));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_ours)?;
        let description = match header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY)) {
            Some(text) => serde_json::from_str(text).map_err(|e| {
                NnError::File(format!(
                    "metadata `{METADATA_KEY}` is not JSON: {e}; make the file anew"
                ))
            })?,
            None => serde_json::Value::Null,
        };
        let views = SafeTensors::deserialize(bytes).map_err(not_ours)?;
        check_types(&views)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in views.iter() {
            tensors.insert(name.to_owned(), tensor(name, &view)?);
        }
        Ok(Self { description, tensors })
    }
}

fn supported(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F64 => Some(DType::F64),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        Dtype::I64 => Some(DType::I64),
        Dtype::U32 => Some(DType::U32),
        Dtype::U8 => Some(DType::U8),
        _ => None,
    }
}

fn check_types(views: &SafeTensors) -> Result<(), NnError> {
    let wrong = views.iter().filter(|(_, view)| supported(view.dtype()).is_none());
    let mut wrong: Vec<String> =
        wrong.map(|(name, view)| format!("{name} has {}", view.dtype())).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.sort();
    let named = first_few(&wrong);
    Err(NnError::File(format!("a type that is not supported: {named}; convert to F32")))
}

fn tensor(name: &str, view: &TensorView) -> Result<Tensor, NnError> {
    let Some(dtype) = supported(view.dtype()) else {
        return Err(NnError::File(format!("{name} has the unsupported type {}", view.dtype())));
    };
    // The strides of an empty tensor are products of its other sides, which no data bounds.
    let sides = view.shape().iter().filter(|&&side| side != 0);
    if sides.copied().try_fold(1_usize, usize::checked_mul).is_none() {
        let shape = view.shape();
        return Err(NnError::File(format!("tensor {name} has the impossible shape {shape:?}")));
    }
    Ok(Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?)
}

/// A tensor's bytes in file order.
struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Raw {
    fn new(tensor: &Tensor) -> Result<Self, NnError> {
        let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        // Every value of bf16 is one of f32, and whoever reads the file has one type fewer to know.
        let flat = if flat.dtype() == DType::BF16 { flat.to_dtype(DType::F32)? } else { flat };
        let (dtype, bytes) = match flat.dtype() {
            DType::F32 => (Dtype::F32, le_bytes(flat.to_vec1::<f32>()?, f32::to_le_bytes)),
            DType::F64 => (Dtype::F64, le_bytes(flat.to_vec1::<f64>()?, f64::to_le_bytes)),
            DType::I64 => (Dtype::I64, le_bytes(flat.to_vec1::<i64>()?, i64::to_le_bytes)),
            DType::U32 => (Dtype::U32, le_bytes(flat.to_vec1::<u32>()?, u32::to_le_bytes)),
            DType::U8 => (Dtype::U8, flat.to_vec1::<u8>()?),
            other => return Err(NnError::File(format!("cannot write tensors of type {other:?}"))),
        };
        Ok(Self { dtype, shape: tensor.dims().to_vec(), bytes })
    }
}

fn le_bytes<T, const N: usize>(values: Vec<T>, to_bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.into_iter().flat_map(to_bytes).collect()
}

impl safetensors::View for Raw {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_and_is_the_same_every_time() {
        let tensor = |v: &[f64]| Tensor::from_slice(v, v.len(), &Device::Cpu).unwrap();
        let file = TensorFile {
            description: serde_json::json!({"kind": "test", "a": 1}),
            tensors: BTreeMap::from([
                ("b".to_owned(), tensor(&[1.0, -2.5])),
                ("a".to_owned(), tensor(&[3.0]).to_dtype(DType::F32).unwrap()),
                ("half".to_owned(), tensor(&[-0.375]).to_dtype(DType::BF16).unwrap()),
            ]),
        };
        let bytes = file.to_bytes().unwrap();
        assert_eq!(bytes, file.to_bytes().unwrap());
        let back = TensorFile::from_bytes(&bytes).unwrap();
        assert_eq!(back.description, file.description);
        assert_eq!(back.tensors["b"].to_vec1::<f64>().unwrap(), [1.0, -2.5]);
        assert_eq!(back.tensors["a"].dtype(), DType::F32);
        // Widened, and not a bit lost.
        assert_eq!(back.tensors["half"].to_vec1::<f32>().unwrap(), [-0.375]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let file = TensorFile { description: serde_json::Value::Null, tensors: BTreeMap::new() };
        let bytes = file.to_bytes().unwrap();
        assert!(TensorFile::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(TensorFile::from_bytes(&[0xff; 64]).is_err());
        assert!(TensorFile::from_bytes(b"").is_err());
    }

    #[test]
    fn an_empty_tensor_of_impossible_sides_is_refused() {
        let header = |shape: &str| {
            let text = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
            [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
        };
        let error = TensorFile::from_bytes(&header("[0,1099511627776,1099511627776]")).unwrap_err();
        assert!(
            error.to_string().contains("tensor a has the impossible shape [0, 10995"),
            "{error}"
        );
        assert_eq!(TensorFile::from_bytes(&header("[0,3]")).unwrap().tensors["a"].dims(), [0, 3]);
    }
}
