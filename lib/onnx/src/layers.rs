//! Layers as nodes.

use cream_arch::{Activation, Gate, Padding, SqueezeExcite};

use crate::fold::folded;
use crate::graph::Attribute;
use crate::network::Walk;
use crate::options::{BatchNorm, OnnxError};

/// Where a convolution stands and how its kernel moves.
pub(crate) struct Window {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
}

impl Window {
    pub(crate) const POINT: Self = Self { kernel: 1, stride: 1, groups: 1 };

    /// Zeros above, left, below and right of a map.
    fn pads(&self, side: usize, padding: Padding) -> [i64; 4] {
        let (before, after) = match padding {
            Padding::Half => (self.kernel / 2, self.kernel / 2),
            Padding::Same => {
                let span = (side.div_ceil(self.stride).max(1) - 1) * self.stride + self.kernel;
                let total = span.saturating_sub(side);
                (total / 2, total - total / 2)
            }
        };
        [before, before, after, after].map(|pad| pad as i64)
    }
}

impl Walk<'_> {
    /// A convolution without bias and the batch norm after it.
    pub(crate) fn convolution(
        &mut self,
        x: &str,
        name: &str,
        norm: &str,
        window: Window,
    ) -> Result<String, OnnxError> {
        let epsilon = self.architecture.norm.epsilon;
        match self.options.batch_norm {
            BatchNorm::Folded => {
                let (weight, bias) = folded(self.tensors, name, norm, epsilon)?;
                let names = ["weight", "bias"].map(|kind| format!("{name}.{kind}"));
                self.graph.constant(&names[0], &weight.shape, &weight.values);
                self.graph.constant(&names[1], &bias.shape, &bias.values);
                self.window(&[x, &names[0], &names[1]], name, &window);
                Ok(name.to_owned())
            }
            BatchNorm::Kept => {
                let weight = self.tensor(&format!("{name}.weight"))?;
                self.window(&[x, &weight], name, &window);
                let mut inputs = vec![name.to_owned()];
                for kind in ["weight", "bias", "running_mean", "running_var"] {
                    inputs.push(self.tensor(&format!("{norm}.{kind}"))?);
                }
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                let epsilon = [Attribute::Float("epsilon", epsilon as f32)];
                self.graph.node("BatchNormalization", &inputs, norm, &epsilon);
                Ok(norm.to_owned())
            }
        }
    }

    /// The node of a convolution, which moves the map on.
    fn window(&mut self, inputs: &[&str], name: &str, window: &Window) {
        let pads = window.pads(self.side, self.architecture.padding);
        let both = |value: usize| [value as i64; 2];
        let attributes = [
            Attribute::Integer("group", window.groups as i64),
            Attribute::Integers("kernel_shape", &both(window.kernel)),
            Attribute::Integers("pads", &pads),
            Attribute::Integers("strides", &both(window.stride)),
        ];
        self.graph.node("Conv", inputs, name, &attributes);
        self.side = self.side.div_ceil(window.stride);
    }

    /// A 1x1 convolution with bias on a pooled map.
    pub(crate) fn biased(&mut self, x: &str, name: &str) -> Result<String, OnnxError> {
        let inputs = self.weight_and_bias(name)?;
        let kernel = [Attribute::Integers("kernel_shape", &[1, 1])];
        self.graph.node("Conv", &[x, &inputs[0], &inputs[1]], name, &kernel);
        Ok(name.to_owned())
    }

    pub(crate) fn squeeze_excite(
        &mut self,
        x: String,
        at: &str,
        squeeze: Option<SqueezeExcite>,
    ) -> Result<String, OnnxError> {
        let Some(squeeze) = squeeze else { return Ok(x) };
        let named = |layer: &str| format!("{at}.se.{layer}");
        let (pool, reduce, expand) = (named("pool"), named("conv_reduce"), named("conv_expand"));
        self.graph.node("GlobalAveragePool", &[&x], &pool, &[]);
        let mut s = self.biased(&pool, &reduce)?;
        s = self.activation(s, &reduce, squeeze.activation);
        s = self.biased(&s, &expand)?;
        let gate = named("gate");
        match squeeze.gate {
            Gate::HardSigmoid => self.hard_sigmoid(&s, &gate),
            Gate::Sigmoid => self.graph.node("Sigmoid", &[&s], &gate, &[]),
        }
        let scaled = named("scaled");
        self.graph.node("Mul", &[&x, &gate], &scaled, &[]);
        Ok(scaled)
    }

    /// The activation of the layer `at`.
    pub(crate) fn activation(&mut self, x: String, at: &str, activation: Activation) -> String {
        let named = |what: &str| format!("{at}.{what}");
        match activation {
            Activation::None => x,
            Activation::Relu => {
                let y = named("relu");
                self.graph.node("Relu", &[&x], &y, &[]);
                y
            }
            Activation::Relu6 => {
                if !self.clipped {
                    self.graph.constant("zero", &[], &[0.0]);
                    self.graph.constant("six", &[], &[6.0]);
                    self.clipped = true;
                }
                let y = named("relu6");
                self.graph.node("Clip", &[&x, "zero", "six"], &y, &[]);
                y
            }
            Activation::Swish => {
                let gate = named("sigmoid");
                self.graph.node("Sigmoid", &[&x], &gate, &[]);
                self.times(&x, &gate, named("swish"))
            }
            Activation::HSwish => {
                let gate = named("hard_sigmoid");
                self.hard_sigmoid(&x, &gate);
                self.times(&x, &gate, named("h_swish"))
            }
        }
    }

    fn times(&mut self, x: &str, gate: &str, y: String) -> String {
        self.graph.node("Mul", &[x, gate], &y, &[]);
        y
    }

    /// `max(0, min(1, x / 6 + 1 / 2))`, which is `relu6(x + 3) / 6`.
    fn hard_sigmoid(&mut self, x: &str, y: &str) {
        let alpha = (1.0_f64 / 6.0) as f32;
        let attributes = [Attribute::Float("alpha", alpha), Attribute::Float("beta", 0.5)];
        self.graph.node("HardSigmoid", &[x], y, &attributes);
    }

    pub(crate) fn weight_and_bias(&mut self, name: &str) -> Result<[String; 2], OnnxError> {
        Ok([self.tensor(&format!("{name}.weight"))?, self.tensor(&format!("{name}.bias"))?])
    }

    /// A tensor of the network as a constant under its name.
    fn tensor(&mut self, name: &str) -> Result<String, OnnxError> {
        let tensor = self.tensors.get(name)?;
        self.graph.constant(name, &tensor.shape, &tensor.values);
        Ok(name.to_owned())
    }
}
