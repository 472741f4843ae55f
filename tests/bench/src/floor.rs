//! The floor: the time that a step cannot go below on this machine, as this program is made.
//!
//! ```text
//! floor = product FLOPs / product rate + passes * bytes of an activation * convolution outputs / copy bandwidth
//! ```
//! Product FLOPs are two per multiply-accumulate of every dense convolution and linear layer, which are
//! matrix products; training takes three times those of the forward pass, for the output, the input's
//! gradient and the weight's. Convolution outputs are the elements that dense and depthwise
//! convolutions write, and passes how often each must at least be read or written in memory: 2 in
//! inference, to write it and to read it back; 7 in training, of which 3 are in the forward pass (written,
//! read for the statistics of the norm, read normalised) and 4 in the backward pass (the output and its
//! gradient read for the sums of the norm, then the output read again and the gradient handed on).
//! The arithmetic of depthwise convolutions, norms, gates and updates counts as free, as do
//! the weights.
//!
//! An activation has 4 bytes, in bf16 2. Products are timed in the precision of the steps.
//!
//! Both rates are those that this process measures ([`Machine`]). A network whose activations stay in the
//! caches, or whose products are faster than that square one, can go below its floor; the share then
//! exceeds 100 %.

use cream_arch::{Architecture, Cost, LayerKind};
use cream_train::precision::Precision;

use crate::args::Mode;
use crate::machine::Machine;

/// The work of one image's forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Multiplications and additions of matrix products.
    pub product_flops: f64,
    /// Elements that convolutions write.
    pub convolution_outputs: f64,
}

impl Work {
    /// Counts a network at its own input size.
    pub fn of(architecture: &Architecture) -> Self {
        let mut work = Self::default();
        for layer in Cost::of(architecture).layers {
            use LayerKind::{Convolution, Depthwise, Linear, SqueezeExpand, SqueezeReduce};
            let convolution = matches!(layer.kind, Convolution | SqueezeReduce | SqueezeExpand);
            if convolution || layer.kind == Linear {
                work.product_flops += 2.0 * layer.macs as f64;
            }
            if convolution || layer.kind == Depthwise {
                work.convolution_outputs += layer.output.iter().product::<usize>() as f64;
            }
        }
        work
    }

    /// The mean of several; nothing of none.
    pub fn mean(works: &[Self]) -> Self {
        let count = works.len().max(1) as f64;
        works.iter().fold(Self::default(), |sum, work| Self {
            product_flops: sum.product_flops + work.product_flops / count,
            convolution_outputs: sum.convolution_outputs + work.convolution_outputs / count,
        })
    }

    /// Seconds that a step of `batch` such images cannot go below.
    pub fn floor(&self, mode: Mode, batch: usize, machine: &Machine) -> f64 {
        let products = match mode {
            Mode::Train => 3.0,
            Mode::Infer => 1.0,
        };
        let flops = products * self.product_flops * batch as f64;
        let bytes = self.bytes(mode, batch, machine.precision);
        flops / machine.flops_per_second + bytes / machine.bytes_per_second
    }

    /// Bytes of activations that a step of `batch` such images must at least read and write.
    pub fn bytes(&self, mode: Mode, batch: usize, precision: Precision) -> f64 {
        let passes = match mode {
            Mode::Train => 7.0,
            Mode::Infer => 2.0,
        };
        let bytes = precision.dtype().size_in_bytes() as f64;
        passes * bytes * self.convolution_outputs * batch as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cream_arch::{Space, round_to_8};

    /// One layer per stage, each of kernel 3 and expansion 4, counted by hand.
    #[test]
    fn counts_agree_with_the_definition() {
        let path = "[[0],[0],[0],[0],[0]]".parse().unwrap();
        let network = Space::published().architecture(&path, 64, 10).unwrap();
        let (mut macs, mut outputs) = (0, 0);
        let mut convolution = |side: usize, channels_in: usize, channels_out: usize| {
            macs += side * side * channels_in * channels_out;
            outputs += side * side * channels_out;
        };
        convolution(32, 27, 16); // The stem, as patches of 3 x 3 x 3.
        convolution(32, 0, 16); // The depthwise convolution of the first block: no product.
        convolution(1, 16, 8);
        convolution(1, 8, 16);
        convolution(32, 16, 16);
        let (mut side, mut channels) = (32, 16);
        for (out, stride) in [(24, 2), (40, 2), (80, 2), (96, 1), (192, 2)] {
            let (expanded, squeezed) = (4 * channels, round_to_8(channels as f64));
            convolution(side, channels, expanded);
            side /= stride;
            convolution(side, 0, expanded);
            convolution(1, expanded, squeezed);
            convolution(1, squeezed, expanded);
            convolution(side, expanded, out);
            channels = out;
        }
        convolution(2, 192, 320);
        convolution(1, 320, 1280);
        macs += 1280 * 10; // The classifier is no convolution.
        let work = Work::of(&network);
        assert_eq!(work.product_flops, 2.0 * macs as f64);
        assert_eq!(work.convolution_outputs, outputs as f64);
    }

    #[test]
    fn training_takes_three_products_and_seven_passes() {
        let precision = Precision::F32;
        let machine =
            Machine { precision, side: 1, flops_per_second: 100.0, bytes_per_second: 8.0 };
        let works = [
            Work { product_flops: 100.0, convolution_outputs: 3.0 },
            Work { product_flops: 300.0, convolution_outputs: 1.0 },
        ];
        let work = Work::mean(&works);
        assert_eq!(work.floor(Mode::Infer, 1, &machine), 2.0 + 2.0);
        assert_eq!(work.floor(Mode::Train, 3, &machine), 3.0 * (6.0 + 7.0));
        let machine = Machine { precision: Precision::Bf16, ..machine };
        assert_eq!(work.floor(Mode::Train, 3, &machine), 3.0 * (6.0 + 3.5));
    }
}
