//! Tables, JSON and CSV.

mod table;

use cream_arch::{Architecture, Convention, Cost, LayerCost, LayerKind};
use serde::Serialize;

use crate::args::Format;

/// A network with its counts.
pub struct Network {
    /// Where it was read, if not from standard input.
    pub file: Option<String>,
    /// At the size counted.
    pub architecture: Architecture,
    /// Its layers' counts.
    pub cost: Cost,
    /// If a batch was given.
    pub memory: Option<Memory>,
}

/// Activation memory of a batch.
#[derive(Clone, Copy, Serialize)]
pub struct Memory {
    /// Images.
    pub batch: u64,
    /// Peak without gradients.
    pub inference_bytes: u64,
    /// Kept for the backward pass.
    pub training_bytes: u64,
}

impl Network {
    /// Name for people: the network's own, else the file's.
    fn label(&self) -> &str {
        self.architecture.name.as_deref().or(self.file.as_deref()).unwrap_or("-")
    }
}

/// The whole output.
pub fn render(networks: &[Network], format: Format, convention: Convention) -> String {
    match (format, networks) {
        (Format::Table, [network]) => table::blocks(network, convention),
        (Format::Table, _) => table::networks(networks, convention),
        (Format::Json, _) => networks.iter().map(|network| json(network, convention)).collect(),
        (Format::Csv, [network]) => csv_layers(network, convention),
        (Format::Csv, _) => csv_networks(networks, convention),
    }
}

#[derive(Serialize)]
struct NetworkRow<'a> {
    file: Option<&'a str>,
    name: Option<&'a str>,
    image_size: usize,
    num_classes: usize,
    convention: Convention,
    params: u64,
    macs: u64,
    flops: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    layers: Vec<LayerRow<'a>>,
}

#[derive(Serialize)]
struct LayerRow<'a> {
    name: &'a str,
    kind: LayerKind,
    input: [usize; 3],
    output: [usize; 3],
    params: u64,
    macs: u64,
    flops: u64,
}

impl<'a> LayerRow<'a> {
    fn new(layer: &'a LayerCost, convention: Convention) -> Self {
        Self {
            name: &layer.name,
            kind: layer.kind,
            input: layer.input,
            output: layer.output,
            params: layer.params,
            macs: layer.macs,
            flops: layer.flops(convention),
        }
    }
}

fn json(network: &Network, convention: Convention) -> String {
    let Network { file, architecture, cost, memory } = network;
    let row = NetworkRow {
        file: file.as_deref(),
        name: architecture.name.as_deref(),
        image_size: architecture.image_size,
        num_classes: architecture.num_classes,
        convention,
        params: cost.params(),
        macs: cost.macs(),
        flops: cost.flops(convention),
        memory: *memory,
        layers: cost.layers.iter().map(|layer| LayerRow::new(layer, convention)).collect(),
    };
    // Plain structs of numbers and texts cannot fail to serialise.
    serde_json::to_string(&row).unwrap_or_default() + "\n"
}

fn csv_layers(network: &Network, convention: Convention) -> String {
    let mut out = "name,kind,in_channels,in_height,in_width,out_channels,out_height,out_width,\
                   params,macs,flops\n"
        .to_owned();
    for layer in &network.cost.layers {
        let ([a, b, c], [d, e, f]) = (layer.input, layer.output);
        let (name, kind) = (&layer.name, kind_name(layer.kind));
        let (params, macs, flops) = (layer.params, layer.macs, layer.flops(convention));
        out += &format!("{name},{kind},{a},{b},{c},{d},{e},{f},{params},{macs},{flops}\n");
    }
    out
}

fn csv_networks(networks: &[Network], convention: Convention) -> String {
    let memory = networks.iter().any(|network| network.memory.is_some());
    let mut out = "file,name,image_size,num_classes,params,macs,flops".to_owned();
    out += if memory { ",batch,inference_bytes,training_bytes\n" } else { "\n" };
    for Network { file, architecture, cost, memory } in networks {
        let file = quoted(file.as_deref().unwrap_or("-"));
        let name = quoted(architecture.name.as_deref().unwrap_or_default());
        let (size, classes) = (architecture.image_size, architecture.num_classes);
        let (params, macs, flops) = (cost.params(), cost.macs(), cost.flops(convention));
        out += &format!("{file},{name},{size},{classes},{params},{macs},{flops}");
        if let Some(Memory { batch, inference_bytes, training_bytes }) = memory {
            out += &format!(",{batch},{inference_bytes},{training_bytes}");
        }
        out += "\n";
    }
    out
}

/// A kind as JSON spells it.
fn kind_name(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Convolution => "convolution",
        LayerKind::Depthwise => "depthwise",
        LayerKind::BatchNorm => "batch-norm",
        LayerKind::SqueezePool => "squeeze-pool",
        LayerKind::SqueezeReduce => "squeeze-reduce",
        LayerKind::SqueezeExpand => "squeeze-expand",
        LayerKind::SqueezeGate => "squeeze-gate",
        LayerKind::GlobalPool => "global-pool",
        LayerKind::Linear => "linear",
    }
}

/// A CSV field (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
