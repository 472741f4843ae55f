//! Names of tensors in other programs' checkpoints, turned into ours.
//!
//! Ours are those of the published checkpoints, and of timm's EfficientNet and MobileNetV3, which they follow. The
//! EfficientNet-PyTorch package and its descendants (EfficientNet-Lite among them) have names of their own and number
//! blocks through, so that the architecture must say how many make a stage.

use std::collections::BTreeMap;

use cream_arch::{Architecture, Operator};

use crate::WeightsError;

/// What a wrapper puts before every name: data parallelism, and compilation.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Puts `tensors` under the names that the network of `architecture` has for them. Names that no rule covers stay, for
/// whoever takes the tensors to list.
///
/// # Errors
/// [`WeightsError::File`] when two tensors would have one name.
pub fn rename_foreign<T>(
    tensors: BTreeMap<String, T>,
    architecture: &Architecture,
) -> Result<BTreeMap<String, T>, WeightsError> {
    let tensors = unwrapped(tensors);
    if !tensors.keys().any(|name| name.starts_with("_conv_stem.")) {
        return Ok(tensors);
    }
    let mut renamed = BTreeMap::new();
    for (name, tensor) in tensors {
        let ours = efficientnet_pytorch(&name, architecture).unwrap_or_else(|| name.clone());
        if renamed.insert(ours.clone(), tensor).is_some() {
            return Err(WeightsError::File(format!(
                "holds {ours} twice, once as {name}; give a checkpoint of one network"
            )));
        }
    }
    Ok(renamed)
}

/// Takes off what stands before every name.
fn unwrapped<T>(mut tensors: BTreeMap<String, T>) -> BTreeMap<String, T> {
    while let Some(wrapper) = WRAPPERS
        .into_iter()
        .find(|wrapper| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(wrapper)))
    {
        tensors =
            tensors.into_iter().map(|(name, t)| (name[wrapper.len()..].to_owned(), t)).collect();
    }
    tensors
}

/// The name here of a tensor of the EfficientNet-PyTorch package.
fn efficientnet_pytorch(name: &str, architecture: &Architecture) -> Option<String> {
    let (layer, kind) = name.rsplit_once('.')?;
    let ours = match layer.strip_prefix("_blocks.") {
        None => match layer {
            "_conv_stem" => "conv_stem",
            "_bn0" => "bn1",
            "_conv_head" => "conv_head",
            "_bn1" => "bn2",
            "_fc" => "classifier",
            _ => return None,
        }
        .to_owned(),
        Some(rest) => {
            let (number, layer) = rest.split_once('.')?;
            let (stage, index, operator) = place(architecture, number.parse().ok()?)?;
            format!("blocks.{stage}.{index}.{}", layer_of_block(layer, operator)?)
        }
    };
    Some(format!("{ours}.{kind}"))
}

/// Stage, place in it and operator of the block with this number.
fn place(architecture: &Architecture, mut number: usize) -> Option<(usize, usize, Operator)> {
    for (stage, blocks) in architecture.stages.iter().enumerate() {
        match blocks.get(number) {
            Some(block) => return Some((stage, number, block.operator)),
            None => number -= blocks.len(),
        }
    }
    None
}

fn layer_of_block(layer: &str, operator: Operator) -> Option<&'static str> {
    Some(match (operator, layer) {
        (Operator::InvertedResidual, "_expand_conv") => "conv_pw",
        (Operator::InvertedResidual, "_bn0") => "bn1",
        (Operator::InvertedResidual, "_bn1") => "bn2",
        (Operator::InvertedResidual, "_project_conv") => "conv_pwl",
        (Operator::InvertedResidual, "_bn2") => "bn3",
        (Operator::DepthwiseSeparable, "_bn1") => "bn1",
        (Operator::DepthwiseSeparable, "_project_conv") => "conv_pw",
        (Operator::DepthwiseSeparable, "_bn2") => "bn2",
        (Operator::Convolution, _) => return None,
        (_, "_depthwise_conv") => "conv_dw",
        (_, "_se_reduce") => "se.conv_reduce",
        (_, "_se_expand") => "se.conv_expand",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected_tensors;
    use cream_arch::published;

    fn tensors(names: &[&str]) -> BTreeMap<String, ()> {
        names.iter().map(|name| ((*name).to_owned(), ())).collect()
    }

    fn names(tensors: &BTreeMap<String, ()>) -> Vec<&str> {
        tensors.keys().map(String::as_str).collect()
    }

    #[test]
    fn wrappers_are_taken_off_when_all_names_have_them() {
        let net = published("14").unwrap();
        let own = rename_foreign(tensors(&["module.bn1.weight", "module.conv_stem.weight"]), &net)
            .unwrap();
        assert_eq!(names(&own), ["bn1.weight", "conv_stem.weight"]);
        let own = rename_foreign(tensors(&["_orig_mod.module.bn1.bias"]), &net).unwrap();
        assert_eq!(names(&own), ["bn1.bias"]);
        let mixed = ["bn1.bias", "module.bn1.weight"];
        assert_eq!(names(&rename_foreign(tensors(&mixed), &net).unwrap()), mixed);
    }

    #[test]
    fn blocks_that_are_numbered_through_find_their_stage() {
        let net = published("efficientnet-lite0").unwrap();
        let rename = |name: &str| efficientnet_pytorch(name, &net);
        // Stages have 1, 2, 2, 3, 3, 4 and 1 blocks.
        for (theirs, ours) in [
            ("_conv_stem.weight", "conv_stem.weight"),
            ("_bn0.running_var", "bn1.running_var"),
            ("_blocks.0._depthwise_conv.weight", "blocks.0.0.conv_dw.weight"),
            ("_blocks.0._bn1.bias", "blocks.0.0.bn1.bias"),
            ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
            ("_blocks.0._bn2.bias", "blocks.0.0.bn2.bias"),
            ("_blocks.2._expand_conv.weight", "blocks.1.1.conv_pw.weight"),
            ("_blocks.2._bn0.weight", "blocks.1.1.bn1.weight"),
            ("_blocks.3._bn1.weight", "blocks.2.0.bn2.weight"),
            ("_blocks.15._project_conv.weight", "blocks.6.0.conv_pwl.weight"),
            ("_blocks.15._bn2.weight", "blocks.6.0.bn3.weight"),
            ("_blocks.15._se_reduce.bias", "blocks.6.0.se.conv_reduce.bias"),
            ("_conv_head.weight", "conv_head.weight"),
            ("_bn1.weight", "bn2.weight"),
            ("_fc.bias", "classifier.bias"),
        ] {
            assert_eq!(rename(theirs).as_deref(), Some(ours), "{theirs}");
        }
        for unknown in [
            "_blocks.16._bn0.weight",
            "_blocks.x._bn0.weight",
            "_blocks.0._bn0.bias",
            "_fc",
            "_swish.x",
        ] {
            assert_eq!(rename(unknown), None, "{unknown}");
        }
    }

    /// All layers of EfficientNet as the package's model lists them.
    #[test]
    fn the_layers_of_efficientnet_become_the_tensors_of_its_network() {
        let net = published("efficientnet-b0").unwrap();
        let mut own: Vec<String> =
            expected_tensors(&net).into_iter().map(|tensor| tensor.name).collect();
        own.sort();
        let mut layers: Vec<String> =
            ["_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc"].map(str::to_owned).into();
        for block in 0..16 {
            let expand = ["_expand_conv", "_bn0"];
            let rest =
                ["_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2"];
            let inside = expand.iter().filter(|_| block > 0).chain(&rest);
            layers.extend(inside.map(|layer| format!("_blocks.{block}.{layer}")));
        }
        let mut theirs = Vec::new();
        for layer in layers {
            let kinds: &[&str] = match layer.rsplit('.').next().unwrap() {
                "_fc" | "_se_reduce" | "_se_expand" => &["weight", "bias"],
                norm if norm.starts_with("_bn") => {
                    &["weight", "bias", "running_mean", "running_var"]
                }
                _ => &["weight"],
            };
            theirs.extend(kinds.iter().map(|kind| format!("{layer}.{kind}")));
        }
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let renamed = rename_foreign(tensors(&theirs), &net).unwrap();
        assert_eq!(names(&renamed), own);
    }

    #[test]
    fn two_tensors_of_one_name_are_refused() {
        let net = published("efficientnet-b0").unwrap();
        let both = tensors(&["_conv_stem.weight", "conv_stem.weight"]);
        let error = rename_foreign(both, &net).unwrap_err().to_string();
        assert!(error.contains("holds conv_stem.weight twice"), "{error}");
    }
}
