//! The tensorwise way against the layers in f32, on the device that operators are tested on, and there in bf16 too.
//! `tests/trunk.rs` has all kinds of networks, on the CPU in float64.

use crate::layers::{DropPath, Pass, Statistics};
use crate::ops::check::{accelerator, assert_close, numbers, values};
use crate::ops::cross_entropy::cross_entropy;
use crate::{ChildNet, Init, Initialise};
use candle_core::{DType, Device, Result, Tensor};
use cream_arch::{Path, Space, Widths};

struct Numbers(u64);

impl Initialise for Numbers {
    fn values(&mut self, _: &str, init: Init, n: usize) -> Result<Vec<f64>> {
        self.0 += 1;
        let (middle, width) = match init {
            Init::Constant(v) => (v, 0.3),
            Init::Normal(std) => (0.0, 1.7 * std),
            Init::Uniform(bound) => (0.0, bound),
        };
        Ok(numbers(n, self.0).iter().map(|v| middle + width * v).collect())
    }
}

/// Logits, every gradient and the running statistics, by name.
fn train(as_way: fn(Pass) -> Pass, dtype: DType, device: &Device) -> Vec<(String, Vec<f64>)> {
    let widths = Widths { stem: 16, stages: vec![8, 16, 24, 24, 32], last: 40, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path = Path(vec![vec![0], vec![3, 1], vec![4, 5], vec![2, 5], vec![1]]);
    let architecture = space.architecture(&path, 65, 10).unwrap();
    let net = ChildNet::new(&architecture, &mut Numbers(0), DType::F32, device).unwrap();
    let images = Tensor::from_vec(numbers(4 * 65 * 65 * 3, 1), (4, 65, 65, 3), &Device::Cpu);
    let images = images.unwrap().to_dtype(dtype).unwrap().to_device(device).unwrap();
    let target = (Tensor::ones((4, 10), DType::F32, device).unwrap() * 0.1).unwrap();
    let factors = |block: usize| (0..4).map(|i| [0.0, 1.0, 1.7][(block + i) % 3]).collect();
    let drop_path = DropPath::new((0..12).map(factors).collect());
    let pass = net.pass(Statistics::Update).with_gradients().with_drop_path(Some(drop_path));
    let pass = as_way(pass);
    let logits = net.forward(&images, &pass).unwrap();
    let grads = pass.backward(&cross_entropy(&logits, &target).unwrap()).unwrap();
    let mut all = vec![("logits".to_owned(), values(&logits))];
    for (name, parameter) in &net.weights().parameters {
        let gradient = grads.get(parameter).unwrap();
        assert_eq!((gradient.dims(), gradient.dtype()), (parameter.dims(), DType::F32), "{name}");
        all.push((name.clone(), values(gradient)));
    }
    for (name, buffer) in &net.weights().buffers {
        all.push((name.clone(), values(buffer)));
    }
    all
}

#[test]
fn agrees_with_the_layers() {
    let device = accelerator().unwrap_or(&Device::Cpu);
    let mut dtypes = vec![(DType::F32, 1e-4)];
    if device.is_cuda() {
        // Products of other shapes may round a sum to the neighbouring number.
        dtypes.push((DType::BF16, 0.03));
    }
    for (dtype, tolerance) in dtypes {
        let plain = train(Pass::layer_by_layer, dtype, device);
        for ((name, ours), (_, exact)) in train(Pass::tensorwise, dtype, device).iter().zip(&plain)
        {
            assert_close(ours, exact, tolerance, &format!("{dtype:?} {name}"));
        }
    }
}
