//! The tensors that a network has.

use cream_arch::{Architecture, Block, HeadPosition, Operator};

/// A tensor of a network, under PyTorch's name and in its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// Such as `blocks.1.0.conv_pw.weight`.
    pub name: String,
    /// Convolutions are (out, in / groups, height, width), linear layers (out, in).
    pub shape: Vec<usize>,
}

impl ExpectedTensor {
    /// Whether it is a running statistic rather than a parameter.
    pub fn is_statistic(&self) -> bool {
        is_variance(&self.name) || self.name.ends_with(".running_mean")
    }
}

/// Whether a name is that of a running variance.
pub(crate) fn is_variance(name: &str) -> bool {
    name.ends_with(".running_var")
}

/// Every tensor of the network that `architecture` describes, in the order in which it runs.
pub fn expected_tensors(architecture: &Architecture) -> Vec<ExpectedTensor> {
    let mut list = List { tensors: Vec::new(), prefix: String::new() };
    let stem = architecture.stem;
    list.convolution("conv_stem", [stem.channels, 3], stem.kernel);
    list.norm("bn1", stem.channels);
    let mut channels = stem.channels;
    for (s, stage) in architecture.stages.iter().enumerate() {
        for (l, block) in stage.iter().enumerate() {
            list.prefix = format!("blocks.{s}.{l}.");
            list.block(block, channels);
            channels = block.channels;
        }
    }
    list.prefix.clear();
    let head = architecture.head;
    match head.position {
        HeadPosition::AfterPool => list.biased("conv_head", [head.channels, channels]),
        HeadPosition::BeforePool => {
            list.convolution("conv_head", [head.channels, channels], 1);
            list.norm("bn2", head.channels);
        }
    }
    list.add("classifier.weight", &[architecture.num_classes, head.channels]);
    list.add("classifier.bias", &[architecture.num_classes]);
    list.tensors
}

struct List {
    tensors: Vec<ExpectedTensor>,
    prefix: String,
}

impl List {
    fn block(&mut self, block: &Block, channels: usize) {
        let (kernel, out) = (block.kernel, block.channels);
        let expanded = block.expanded(channels);
        match block.operator {
            Operator::DepthwiseSeparable => {
                self.convolution("conv_dw", [channels, 1], kernel);
                self.norm("bn1", channels);
                self.squeeze_excite(block, channels);
                self.convolution("conv_pw", [out, channels], 1);
                self.norm("bn2", out);
            }
            Operator::InvertedResidual => {
                self.convolution("conv_pw", [expanded, channels], 1);
                self.norm("bn1", expanded);
                self.convolution("conv_dw", [expanded, 1], kernel);
                self.norm("bn2", expanded);
                self.squeeze_excite(block, expanded);
                self.convolution("conv_pwl", [out, expanded], 1);
                self.norm("bn3", out);
            }
            Operator::Convolution => {
                self.convolution("conv", [out, channels], kernel);
                self.norm("bn1", out);
            }
        }
    }

    fn squeeze_excite(&mut self, block: &Block, channels: usize) {
        if let Some(squeeze) = block.squeeze_excite {
            self.biased("se.conv_reduce", [squeeze.width, channels]);
            self.biased("se.conv_expand", [channels, squeeze.width]);
        }
    }

    fn convolution(&mut self, layer: &str, [out, inside]: [usize; 2], kernel: usize) {
        self.add(&format!("{layer}.weight"), &[out, inside, kernel, kernel]);
    }

    /// A 1x1 convolution with bias.
    fn biased(&mut self, layer: &str, channels: [usize; 2]) {
        self.convolution(layer, channels, 1);
        self.add(&format!("{layer}.bias"), &channels[..1]);
    }

    fn norm(&mut self, layer: &str, channels: usize) {
        for kind in ["weight", "bias", "running_mean", "running_var"] {
            self.add(&format!("{layer}.{kind}"), &[channels]);
        }
    }

    fn add(&mut self, name: &str, shape: &[usize]) {
        let name = format!("{}{name}", self.prefix);
        self.tensors.push(ExpectedTensor { name, shape: shape.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cream_arch::{Cost, published, published_names};

    #[test]
    fn the_parameters_of_every_network_are_as_many_as_are_counted() {
        for name in published_names() {
            let architecture = published(name).unwrap();
            let tensors = expected_tensors(&architecture);
            let parameters = tensors.iter().filter(|tensor| !tensor.is_statistic());
            let count: usize = parameters.map(|t| t.shape.iter().product::<usize>()).sum();
            assert_eq!(count as u64, Cost::of(&architecture).params(), "{name}");
        }
    }

    #[test]
    fn tensors_have_the_names_and_shapes_of_the_published_checkpoints() {
        let tensors = expected_tensors(&published("14").unwrap());
        let shape = |name: &str| {
            let found = tensors.iter().find(|tensor| tensor.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).shape.clone()
        };
        assert_eq!(shape("conv_stem.weight"), [16, 3, 3, 3]);
        assert_eq!(shape("bn1.running_var"), [16]);
        assert_eq!(shape("blocks.0.0.conv_dw.weight"), [16, 1, 3, 3]);
        assert_eq!(shape("blocks.1.0.conv_pw.weight"), [64, 16, 1, 1]);
        assert_eq!(shape("blocks.1.0.se.conv_reduce.bias"), [16]);
        assert_eq!(shape("blocks.1.0.conv_pwl.weight"), [24, 64, 1, 1]);
        assert_eq!(shape("conv_head.bias"), [1280]);
        assert_eq!(shape("classifier.weight"), [1000, 1280]);
        let lite = expected_tensors(&published("efficientnet-lite0").unwrap());
        assert!(lite.iter().any(|tensor| tensor.name == "bn2.running_mean"));
        assert!(!lite.iter().any(|tensor| tensor.name == "conv_head.bias"));
    }
}
