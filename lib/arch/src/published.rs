//! Networks that come with the program: the six published ones and the baselines that people
//! compare with.

use crate::{ArchError, Architecture};

/// A network file embedded in the program.
macro_rules! network {
    ($name:literal, $file:literal) => {
        ($name, include_str!(concat!("../../../configs/arch/", $file, ".json")))
    };
}

/// Name and file of the published networks (arXiv 2010.15821), named after their MFLOPs.
pub const PUBLISHED: [(&str, &str); 6] = [
    network!("14", "14"),
    network!("43", "43"),
    network!("114", "114"),
    network!("287", "287"),
    network!("481", "481"),
    network!("604", "604"),
];

/// Name and file of the baselines: MobileNetV3-Large (arXiv 1905.02244) as torchvision builds it,
/// EfficientNet B0 and B1 (arXiv 1905.11946), EfficientNet-Lite0.
pub const BASELINES: [(&str, &str); 4] = [
    network!("mobilenet-v3-large", "baselines/mobilenet-v3-large"),
    network!("efficientnet-b0", "baselines/efficientnet-b0"),
    network!("efficientnet-b1", "baselines/efficientnet-b1"),
    network!("efficientnet-lite0", "baselines/efficientnet-lite0"),
];

/// Names of all of them.
pub fn published_names() -> impl Iterator<Item = &'static str> {
    PUBLISHED.iter().chain(&BASELINES).map(|(name, _)| *name)
}

/// The file of a published network or baseline.
pub fn published_file(name: &str) -> Option<&'static str> {
    let found = PUBLISHED.iter().chain(&BASELINES).find(|(known, _)| *known == name);
    found.map(|(_, file)| *file)
}

/// A published network or baseline by name.
///
/// # Errors
/// [`ArchError::UnknownName`], with the names that there are.
pub fn published(name: &str) -> Result<Architecture, ArchError> {
    match published_file(name) {
        Some(file) => Architecture::from_json(file),
        None => Err(ArchError::UnknownName {
            name: name.chars().take(100).collect(),
            known: published_names().collect::<Vec<_>>().join(", "),
        }),
    }
}
