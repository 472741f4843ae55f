//! A network as a graph.

use cream_arch::{Architecture, Block, Head, HeadPosition, Operator};
use cream_weights::NetworkTensors;

use crate::graph::{About, Attribute, Graph, Port};
use crate::layers::Window;
use crate::options::{Normalisation, OnnxError, Options};

/// A protobuf message may not have 2 GiB.
const LIMIT: usize = 1 << 31;

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// The network, at the input size that the model will have.
    pub architecture: &'a Architecture,
    /// Its tensors.
    pub tensors: &'a NetworkTensors,
    /// Names of the classes in the order of the logits, where they are known.
    pub classes: Option<&'a [String]>,
}

/// The bytes of a model with the input `images`, float32 [batch, 3, size, size], red, green and blue, and the output
/// `logits`, float32 [batch, classes].
///
/// Its metadata are JSON texts: `architecture`, `classes` where they are known, `mean` and `std` of values scaled to
/// 0..1, and `input`, which is `"normalised"` or `"0..255"`.
///
/// # Errors
/// [`OnnxError::Weights`] when the tensors are another network's, [`OnnxError::TooLarge`] for 2 GiB and more.
pub fn model(export: &Export, options: &Options) -> Result<Vec<u8>, OnnxError> {
    let architecture = export.architecture;
    let graph = Walk::new(export, options).run()?;
    let size = architecture.image_size;
    let sides = [3, size, size];
    let (doc, input) = match options.normalisation {
        Normalisation::Outside => ("red, green, blue; (value / 255 - mean) / std", "normalised"),
        Normalisation::Inside => ("red, green, blue; values from 0 to 255", "0..255"),
    };
    let json = |numbers: [f64; 3]| serde_json::json!(numbers).to_string();
    let mut metadata = vec![("architecture", architecture.to_json_line())];
    if let Some(classes) = export.classes {
        metadata.push(("classes", serde_json::json!(classes).to_string()));
    }
    let normal = &architecture.input;
    metadata.extend([("mean", json(normal.mean)), ("std", json(normal.std))]);
    metadata.push(("input", serde_json::json!(input).to_string()));
    let about = About {
        name: architecture.name.as_deref().unwrap_or("network"),
        producer_version: env!("CARGO_PKG_VERSION"),
        opset: options.opset,
        metadata: &metadata,
    };
    let batch = options.batch;
    let input = Port { name: "images", doc, batch, sides: &sides };
    let classes = [architecture.num_classes];
    let output = Port { name: "logits", doc: "before softmax", batch, sides: &classes };
    let message = graph.into_model(&about, &input, &output);
    match message.len() {
        bytes @ LIMIT.. => Err(OnnxError::TooLarge { bytes, limit: LIMIT }),
        _ => Ok(message.into_bytes()),
    }
}

/// Follows the map through the layers. Each method puts nodes behind the value that it is given, and returns the name
/// of what comes out.
pub(crate) struct Walk<'a> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) tensors: &'a NetworkTensors,
    pub(crate) options: &'a Options,
    pub(crate) graph: Graph,
    /// Side of the map.
    pub(crate) side: usize,
    /// Whether the limits of relu6 are among the constants.
    pub(crate) clipped: bool,
}

impl<'a> Walk<'a> {
    fn new(export: &Export<'a>, options: &'a Options) -> Self {
        let (architecture, tensors) = (export.architecture, export.tensors);
        let side = architecture.image_size;
        Self { architecture, tensors, options, graph: Graph::default(), side, clipped: false }
    }

    fn run(mut self) -> Result<Graph, OnnxError> {
        let architecture = self.architecture;
        let mut x = match self.options.normalisation {
            Normalisation::Outside => "images".to_owned(),
            Normalisation::Inside => self.normalised("images"),
        };
        let stem = architecture.stem;
        let window = Window { kernel: stem.kernel, stride: stem.stride, groups: 1 };
        x = self.convolution(&x, "conv_stem", "bn1", window)?;
        x = self.activation(x, "bn1", stem.activation);
        let mut channels = stem.channels;
        for (s, stage) in architecture.stages.iter().enumerate() {
            for (l, block) in stage.iter().enumerate() {
                x = self.block(x, &format!("blocks.{s}.{l}"), block, channels)?;
                channels = block.channels;
            }
        }
        self.head(x, architecture.head)?;
        Ok(self.graph)
    }

    fn normalised(&mut self, x: &str) -> String {
        let input = &self.architecture.input;
        let scaled = |values: [f64; 3]| values.map(|value| (value * 255.0) as f32);
        self.graph.constant("mean", &[1, 3, 1, 1], &scaled(input.mean));
        self.graph.constant("std", &[1, 3, 1, 1], &scaled(input.std));
        self.graph.node("Sub", &[x, "mean"], "centred", &[]);
        self.graph.node("Div", &["centred", "std"], "normalised", &[]);
        "normalised".to_owned()
    }

    fn block(
        &mut self,
        input: String,
        at: &str,
        block: &Block,
        channels: usize,
    ) -> Result<String, OnnxError> {
        let named = |layer: &str| format!("{at}.{layer}");
        let act = block.activation;
        let expanded = block.expanded(channels);
        let window = |groups| Window { kernel: block.kernel, stride: block.stride, groups };
        let mut x = input.clone();
        match block.operator {
            Operator::DepthwiseSeparable => {
                x = self.convolution(&x, &named("conv_dw"), &named("bn1"), window(channels))?;
                x = self.activation(x, &named("bn1"), act);
                x = self.squeeze_excite(x, at, block.squeeze_excite)?;
                x = self.convolution(&x, &named("conv_pw"), &named("bn2"), Window::POINT)?;
            }
            Operator::InvertedResidual => {
                x = self.convolution(&x, &named("conv_pw"), &named("bn1"), Window::POINT)?;
                x = self.activation(x, &named("bn1"), act);
                x = self.convolution(&x, &named("conv_dw"), &named("bn2"), window(expanded))?;
                x = self.activation(x, &named("bn2"), act);
                x = self.squeeze_excite(x, at, block.squeeze_excite)?;
                x = self.convolution(&x, &named("conv_pwl"), &named("bn3"), Window::POINT)?;
            }
            Operator::Convolution => {
                x = self.convolution(&x, &named("conv"), &named("bn1"), window(1))?;
                x = self.activation(x, &named("bn1"), act);
            }
        }
        if !block.has_residual(channels) {
            return Ok(x);
        }
        let sum = named("sum");
        self.graph.node("Add", &[&x, &input], &sum, &[]);
        Ok(sum)
    }

    fn head(&mut self, mut x: String, head: Head) -> Result<(), OnnxError> {
        if head.position == HeadPosition::BeforePool {
            x = self.convolution(&x, "conv_head", "bn2", Window::POINT)?;
            x = self.activation(x, "bn2", head.activation);
        }
        self.graph.node("GlobalAveragePool", &[&x], "pool", &[]);
        x = "pool".to_owned();
        if head.position == HeadPosition::AfterPool {
            x = self.biased(&x, "conv_head")?;
            x = self.activation(x, "conv_head", head.activation);
        }
        self.graph.node("Flatten", &[&x], "features", &[Attribute::Integer("axis", 1)]);
        let inputs = self.weight_and_bias("classifier")?;
        let transposed = [Attribute::Integer("transB", 1)];
        self.graph.node("Gemm", &["features", &inputs[0], &inputs[1]], "logits", &transposed);
        Ok(())
    }
}
