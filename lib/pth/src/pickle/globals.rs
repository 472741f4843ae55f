//! The names that a pickle may refer to. None stands for code: each is a value, or a way to make one, of this crate.

use crate::DType;

/// A class or function that tensors and plain values need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// A dictionary; of its arguments a list of pairs, or another dictionary, is its content.
    Dict,
    /// A tensor of a storage: `(storage, offset, shape, strides, ...)`.
    Tensor,
    /// A tensor as it is: `(tensor, ...)`.
    Parameter,
    /// A type of storage, of these elements.
    Storage(DType),
    /// A shape: `(tuple)`.
    Size,
    /// A type of elements.
    DType(DType),
    /// NumPy's `scalar(type, bytes)`.
    NumpyScalar,
    /// NumPy's `dtype(code, ...)`.
    NumpyType,
    /// `encode(text, 'latin1')`: bytes.
    Encode,
    /// Makes something that is not kept, called so.
    Record(&'static str),
}

impl Global {
    /// What `module.name` stands for; `None` if it is not read.
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict" | "defaultdict" | "Counter") => Self::Dict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::Parameter
            }
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Record("a device"),
            ("torch.storage", "TypedStorage") => Self::Record("a storage type"),
            ("torch" | "torch.storage", "UntypedStorage") => Self::Storage(DType::U8),
            ("torch", _) => return storage_or_dtype(name),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::NumpyScalar,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct")
            | ("numpy", "ndarray") => Self::Record("a NumPy array"),
            ("numpy", "dtype") => Self::NumpyType,
            ("_codecs", "encode") => Self::Encode,
            ("argparse", "Namespace") => Self::Record("a namespace"),
            (
                "pathlib" | "pathlib._local",
                "PosixPath" | "PurePosixPath" | "WindowsPath" | "PureWindowsPath",
            ) => Self::Record("a path"),
            ("builtins" | "__builtin__", _) => return plain(name),
            _ => return None,
        })
    }
}

fn storage_or_dtype(name: &str) -> Option<Global> {
    let dtype = match name {
        "FloatStorage" | "float32" => DType::F32,
        "DoubleStorage" | "float64" => DType::F64,
        "HalfStorage" | "float16" => DType::F16,
        "BFloat16Storage" | "bfloat16" => DType::BF16,
        "LongStorage" | "int64" => DType::I64,
        "IntStorage" | "int32" => DType::I32,
        "ShortStorage" | "int16" => DType::I16,
        "CharStorage" | "int8" => DType::I8,
        "ByteStorage" | "uint8" => DType::U8,
        "BoolStorage" | "bool" => DType::Bool,
        _ => return None,
    };
    Some(if name.ends_with("Storage") { Global::Storage(dtype) } else { Global::DType(dtype) })
}

fn plain(name: &str) -> Option<Global> {
    Some(match name {
        "dict" => Global::Dict,
        "set" | "frozenset" => Global::Record("a set"),
        "list" => Global::Record("a list"),
        "bytearray" => Global::Record("bytes"),
        "complex" => Global::Record("a complex number"),
        "range" | "xrange" | "slice" => Global::Record("a range"),
        _ => return None,
    })
}
