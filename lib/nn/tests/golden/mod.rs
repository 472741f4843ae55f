//! Reading the golden files and comparing with them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use candle_core::{DType, Device, Tensor};
use cream_nn::TensorFile;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One golden file.
pub struct Golden {
    tensors: BTreeMap<String, Tensor>,
}

impl Golden {
    pub fn read(name: &str) -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
        let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        Self { tensors: TensorFile::from_bytes(&bytes).unwrap().tensors }
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no golden tensor {name}"))
    }

    /// The tensors under a prefix, without it.
    pub fn group(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let strip = |(name, t): (&String, &Tensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), t.clone()))
        };
        self.tensors.iter().filter_map(strip).collect()
    }

    pub fn count(&self, prefix: &str) -> usize {
        self.tensors.keys().filter(|name| name.starts_with(prefix)).count()
    }

    /// Images `[..., 3, H, W]` as `[N, H, W, 3]`.
    pub fn images(&self, name: &str, dtype: DType) -> Tensor {
        let t = self.get(name).to_dtype(dtype).unwrap();
        let dims = t.dims().to_vec();
        let [c, h, w] = dims[dims.len() - 3..] else { panic!("{dims:?}") };
        t.reshape(((), c, h, w)).unwrap().permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
    }

    pub fn labels(&self, name: &str) -> Vec<u32> {
        self.get(name).to_vec1::<i64>().unwrap().iter().map(|&v| v as u32).collect()
    }

    /// Smoothed labels `[N, classes]`.
    pub fn smoothed(&self, name: &str, classes: usize, smoothing: f64, dtype: DType) -> Tensor {
        let labels = self.labels(name);
        let mut rows = vec![smoothing / classes as f64; labels.len() * classes];
        for (i, &label) in labels.iter().enumerate() {
            rows[i * classes + label as usize] += 1.0 - smoothing;
        }
        Tensor::from_vec(rows, (labels.len(), classes), &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap()
    }

    /// Holds `actual` to `max|a - b| / max|b| <= tolerance`. A golden tensor that lies below the floor (1e-12 in
    /// float64, 1e-6 in float32) is zero by construction, such as the gradient of a norm's bias that another
    /// norm follows, and holds only rounding noise: there the difference itself must stay below the floor.
    pub fn check(&self, name: &str, actual: &Tensor, tolerance: f64) {
        let floor = if actual.dtype() == DType::F64 { 1e-12 } else { 1e-6 };
        let expected = self.get(name);
        assert_eq!(actual.dims(), expected.dims(), "{name}");
        let values = |t: &Tensor| -> Vec<f64> {
            t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        let (a, b) = (values(actual), values(expected));
        let scale = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let limit = if scale < floor { floor } else { scale * tolerance };
        let dtype = actual.dtype();
        assert!(difference <= limit, "{name} {dtype:?}: {difference:e} from values of {scale:e}");
        assert!(a.iter().all(|v| v.is_finite()), "{name} {dtype:?}: not finite");
    }
}
