//! The operators of ONNX that models here have, after <https://onnx.ai/onnx/operators/>.

use std::collections::BTreeMap;

use super::{Model, Node};

/// A tensor.
#[derive(Clone)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|&value| f(value)).collect();
        Self { shape: self.shape.clone(), values }
    }

    /// The element at these indices, of which those along sides of 1 do not count.
    fn at(&self, index: &[usize]) -> f64 {
        let sides = self.shape.iter().zip(index);
        self.values[sides.fold(0, |flat, (&side, &i)| flat * side + if side == 1 { 0 } else { i })]
    }

    /// The larger of the two must have the whole shape.
    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!(self.shape.len(), other.shape.len());
        let shape: Vec<usize> =
            self.shape.iter().zip(&other.shape).map(|(&a, &b)| a.max(b)).collect();
        let count: usize = shape.iter().product();
        let one = |flat| {
            let index = unravelled(flat, &shape);
            f(self.at(&index), other.at(&index))
        };
        let values = (0..count).map(one).collect();
        Self { shape, values }
    }
}

fn unravelled(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &side) in shape.iter().enumerate().rev() {
        (index[place], flat) = (flat % side, flat / side);
    }
    index
}

/// The logits of images.
pub fn logits(model: &Model, images: Array) -> Array {
    let mut values = BTreeMap::from([("images".to_owned(), images)]);
    for (name, constant) in &model.constants {
        let floats = constant.values.iter().map(|&value| value.into()).collect();
        values.insert(name.clone(), Array { shape: constant.shape.clone(), values: floats });
    }
    for node in &model.nodes {
        let inputs: Vec<&Array> = node.inputs.iter().map(|name| &values[name]).collect();
        let output = run(node, &inputs);
        assert!(values.insert(node.output.clone(), output).is_none(), "{} twice", node.output);
    }
    values.remove("logits").unwrap()
}

fn run(node: &Node, inputs: &[&Array]) -> Array {
    let x = inputs[0];
    match node.operator.as_str() {
        "Conv" => convolution(node, inputs),
        "BatchNormalization" => batch_norm(node, inputs),
        "GlobalAveragePool" => global_average(x),
        "Flatten" => {
            let rows = x.shape[0];
            Array { shape: vec![rows, x.values.len() / rows], values: x.values.clone() }
        }
        "Gemm" => linear(x, inputs[1], inputs[2]),
        "Add" => x.with(inputs[1], |a, b| a + b),
        "Sub" => x.with(inputs[1], |a, b| a - b),
        "Mul" => x.with(inputs[1], |a, b| a * b),
        "Div" => x.with(inputs[1], |a, b| a / b),
        "Relu" => x.map(|v| v.max(0.0)),
        "Clip" => x.map(|v| v.clamp(inputs[1].values[0], inputs[2].values[0])),
        "Sigmoid" => x.map(|v| 1.0 / (1.0 + (-v).exp())),
        "HardSigmoid" => {
            let (alpha, beta) = (f64::from(node.floats["alpha"]), f64::from(node.floats["beta"]));
            x.map(|v| (alpha * v + beta).clamp(0.0, 1.0))
        }
        other => panic!("operator {other}"),
    }
}

fn convolution(node: &Node, inputs: &[&Array]) -> Array {
    let (x, w) = (inputs[0], inputs[1]);
    let of = |name: &str, default: &[i64]| -> Vec<usize> {
        let values = node.integers.get(name).map_or(default, Vec::as_slice);
        values.iter().map(|&value| value as usize).collect()
    };
    let (pads, strides) = (of("pads", &[0; 4]), of("strides", &[1; 2]));
    let group = of("group", &[1])[0];
    assert_eq!(of("kernel_shape", &[]), w.shape[2..]);
    let out = w.shape[0];
    let side =
        |d: usize| (x.shape[2 + d] + pads[d] + pads[2 + d] - w.shape[2 + d]) / strides[d] + 1;
    let shape = vec![x.shape[0], out, side(0), side(1)];
    assert_eq!(x.shape[1], group * w.shape[1]);
    let one = |flat: usize| {
        let index = unravelled(flat, &shape);
        let first = index[1] / (out / group) * w.shape[1];
        let mut sum = inputs.get(2).map_or(0.0, |bias| bias.values[index[1]]);
        for c in 0..w.shape[1] {
            for i in 0..w.shape[2] {
                let Some(row) = (index[2] * strides[0] + i).checked_sub(pads[0]) else { continue };
                for j in 0..w.shape[3] {
                    let Some(column) = (index[3] * strides[1] + j).checked_sub(pads[1]) else {
                        continue;
                    };
                    if row < x.shape[2] && column < x.shape[3] {
                        sum +=
                            w.at(&[index[1], c, i, j]) * x.at(&[index[0], first + c, row, column]);
                    }
                }
            }
        }
        sum
    };
    let count: usize = shape.iter().product();
    let values = (0..count).map(one).collect();
    Array { shape, values }
}

fn batch_norm(node: &Node, inputs: &[&Array]) -> Array {
    let [x, scale, bias, mean, variance] = inputs else { panic!("{} inputs", inputs.len()) };
    let epsilon = f64::from(node.floats["epsilon"]);
    let channel = |flat: usize| unravelled(flat, &x.shape)[1];
    let one = |(flat, value): (usize, &f64)| {
        let c = channel(flat);
        let of = |array: &Array| array.values[c];
        (value - of(mean)) / (of(variance) + epsilon).sqrt() * of(scale) + of(bias)
    };
    Array { shape: x.shape.clone(), values: x.values.iter().enumerate().map(one).collect() }
}

fn global_average(x: &Array) -> Array {
    let area = x.shape[2] * x.shape[3];
    let mean = |map: &[f64]| map.iter().sum::<f64>() / area as f64;
    Array {
        shape: vec![x.shape[0], x.shape[1], 1, 1],
        values: x.values.chunks(area).map(mean).collect(),
    }
}

/// With the weights as [out, in], which `transB` says.
fn linear(x: &Array, w: &Array, bias: &Array) -> Array {
    let rows = x.values.chunks(x.shape[1]);
    let products = rows.flat_map(|row| {
        w.values.chunks(w.shape[1]).zip(&bias.values).map(move |(weights, bias)| {
            bias + weights.iter().zip(row).map(|(a, b)| a * b).sum::<f64>()
        })
    });
    Array { values: products.collect(), shape: vec![x.shape[0], w.shape[0]] }
}
