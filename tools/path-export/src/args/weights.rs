//! Flags of exporting weights. That they want --weights is for the request to say: clap lets a flag pass whose
//! requirement another flag excludes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cream_onnx::Batch;

/// What belongs to --weights.
#[derive(Debug, Args)]
#[command(next_help_heading = "Exporting weights")]
pub struct WeightsArgs {
    /// Weights to export: safetensors, or the folder of a finished retraining
    #[arg(long, value_name = "WEIGHTS", conflicts_with_all = ["run", "origin", "top", "pareto", "flops_min", "flops_max", "space", "classes"])]
    pub weights: Option<PathBuf>,

    /// Architecture of weights that do not carry theirs: a file, a name as of --name, or - for
    /// standard input
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,

    /// What the weights become
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Where it goes: a file, or - for standard output (of onnx the default); of huggingface the
    /// name of a new folder
    #[arg(long, value_name = "OUT")]
    pub out: Option<PathBuf>,

    /// onnx: version of the operators, 13 to 22 [default: 17]
    #[arg(long, value_name = "N")]
    pub opset: Option<u32>,

    /// onnx: images run at once, or dynamic for as many as are given [default: dynamic]
    #[arg(long, value_name = "N", value_parser = batch)]
    pub batch: Option<Batch>,

    /// onnx: leave batch norms as nodes of their own, instead of folding each into its convolution
    #[arg(long)]
    pub keep_batch_norm: bool,

    /// onnx: take pixels from 0 to 255, and normalise them in the model
    #[arg(long)]
    pub include_normalisation: bool,
}

/// A form that other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A model for ONNX runtimes
    Onnx,
    /// A folder of config.json and model.safetensors
    Huggingface,
}

fn batch(text: &str) -> Result<Batch, String> {
    const MOST: u32 = 65_536;
    if text == "dynamic" {
        return Ok(Batch::Dynamic);
    }
    match text.parse() {
        Ok(images @ 1..=MOST) => Ok(Batch::Fixed(images)),
        _ => Err(format!("allowed: dynamic, or 1 to {MOST}")),
    }
}
