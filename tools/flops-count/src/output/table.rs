//! Tables for people.

use cream_arch::{Architecture, Block, Convention, LayerCost, Operator};

use super::{Memory, Network};

/// One row per block, then the totals.
pub fn blocks(network: &Network, convention: Convention) -> String {
    let architecture = &network.architecture;
    let mut rows = vec![header(&["layer", "operator", "output", "params", "MACs", "FLOPs"])];
    for group in groups(&network.cost.layers) {
        let name = part(&group[0].name);
        let [channels, height, width] = group[group.len() - 1].output;
        rows.push(vec![
            name.to_owned(),
            operator(architecture, name),
            format!("{channels}x{height}x{width}"),
            grouped(group.iter().map(|layer| layer.params).sum()),
            grouped(group.iter().map(|layer| layer.macs).sum()),
            grouped(group.iter().map(|layer| layer.flops(convention)).sum()),
        ]);
    }
    let cost = &network.cost;
    rows.push(vec![
        "total".to_owned(),
        String::new(),
        String::new(),
        grouped(cost.params()),
        grouped(cost.macs()),
        grouped(cost.flops(convention)),
    ]);
    let (size, classes) = (architecture.image_size, architecture.num_classes);
    let mut out = format!("{}, {size}x{size}, {classes} classes\n\n", network.label());
    out += &aligned(&rows, 3);
    out += &format!("\n{}\n", explanation(convention));
    if let Some(Memory { batch, inference_bytes, training_bytes }) = network.memory {
        let (inference, training) = (mebibytes(inference_bytes), mebibytes(training_bytes));
        out += &format!(
            "Activations of a batch of {batch} in f32: {inference} at the peak of inference, \
             {training} kept for training's backward pass.\n"
        );
    }
    out
}

/// One row per network.
pub fn networks(networks: &[Network], convention: Convention) -> String {
    let memory = networks.iter().any(|network| network.memory.is_some());
    let mut columns = vec!["network", "size", "classes", "params", "MACs", "FLOPs"];
    if memory {
        columns.extend(["inference", "training"]);
    }
    let mut rows = vec![header(&columns)];
    for network in networks {
        let mut row = vec![
            network.label().to_owned(),
            network.architecture.image_size.to_string(),
            network.architecture.num_classes.to_string(),
            grouped(network.cost.params()),
            grouped(network.cost.macs()),
            grouped(network.cost.flops(convention)),
        ];
        if let Some(memory) = network.memory {
            row.extend([mebibytes(memory.inference_bytes), mebibytes(memory.training_bytes)]);
        }
        rows.push(row);
    }
    format!("{}\n{}\n", aligned(&rows, 1), explanation(convention))
}

/// Layers of one block, or of the stem, the head or the classifier, together.
fn groups(layers: &[LayerCost]) -> impl Iterator<Item = &[LayerCost]> {
    layers.chunk_by(|a, b| part(&a.name) == part(&b.name))
}

/// `blocks.S.L` of a block's layer; `stem`, `head` or `classifier` of another.
fn part(name: &str) -> &str {
    match name {
        "conv_stem" | "bn1" => "stem",
        "conv_head" | "bn2" | "pool" => "head",
        _ => {
            let block = name.match_indices('.').nth(2);
            block.map_or(name, |(end, _)| &name[..end])
        }
    }
}

/// What a block is, in words.
fn operator(architecture: &Architecture, name: &str) -> String {
    let indices = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    let block = indices.and_then(|(stage, layer)| {
        let (stage, layer) = (stage.parse::<usize>().ok()?, layer.parse::<usize>().ok()?);
        architecture.stages.get(stage)?.get(layer)
    });
    block.map_or_else(String::new, describe)
}

fn describe(block: &Block) -> String {
    let Block { kernel, stride, .. } = block;
    let mut text = match (block.operator, block.expansion) {
        (Operator::InvertedResidual, Some(expansion)) => {
            format!("inverted {kernel}x{kernel} x{expansion}")
        }
        (Operator::Convolution, _) => format!("conv {kernel}x{kernel}"),
        _ => format!("separable {kernel}x{kernel}"),
    };
    if *stride > 1 {
        text += &format!(" /{stride}");
    }
    if let Some(squeeze) = block.squeeze_excite {
        text += &format!(" se{}", squeeze.width);
    }
    text
}

fn explanation(convention: Convention) -> &'static str {
    match convention {
        Convention::Published => {
            "FLOPs as published: MACs + 2 per batch norm output + 1 per global pool input."
        }
        Convention::Macs => "FLOPs here: multiply-accumulates only.",
        Convention::Thop => "FLOPs as thop counts them.",
        Convention::Ptflops => "FLOPs as ptflops counts them.",
    }
}

fn header(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

/// Columns padded to their widest cell: the first `left` to the left, numbers to the right.
fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell_width =
        |row: &Vec<String>, column: usize| row.get(column).map_or(0, |c| c.chars().count());
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out += "\n";
    }
    out
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
