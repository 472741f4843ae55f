//! Boards.

use cream_arch::{BoardEntry, BoardFile, Convention, Cost, Path, Space};
use serde_json::Value;

/// Reads the bytes as a board; what is refused is read once more with the costs that its paths
/// count, which hold a fuzzer up as checksums do.
pub fn board(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(file) = BoardFile::from_json(text) {
        examine(&file);
    } else if let Some(text) = with_counted_costs(text) {
        BoardFile::from_json(&text).iter().for_each(examine);
    }
}

/// What must hold for every accepted board.
fn examine(file: &BoardFile) {
    let text = file.to_json();
    let again = BoardFile::from_json(&text).unwrap();
    assert_eq!(&again, file, "not the same after writing and reading");
    assert_eq!(again.to_json(), text, "not the same text twice");
    for entry in &file.entries {
        let network = file.architecture(entry, Some("runs/x".to_owned())).unwrap();
        assert_eq!(Cost::of(&network).flops(Convention::Published), entry.flops);
        let path = file.space.path_of(&network).unwrap();
        let built = file.space.architecture(&path, file.image_size, file.num_classes).unwrap();
        assert_eq!(built.stages, network.stages, "the path {path} makes another network");
    }
    let all: Vec<&BoardEntry> = file.entries.iter().collect();
    let front = file.pareto(&all);
    assert!(front.is_sorted_by(|a, b| a.flops < b.flops), "the front is not in rising order");
    assert!(front.len() <= all.len() && (all.is_empty() || !front.is_empty()));
}

fn with_counted_costs(text: &str) -> Option<String> {
    let mut file: Value = serde_json::from_str(text).ok()?;
    let space = Space::from_json(&file.get("space")?.to_string()).ok()?;
    let number = |key: &str| usize::try_from(file.get(key)?.as_u64()?).ok();
    let (image_size, num_classes) = (number("image_size")?, number("num_classes")?);
    for entry in file.get_mut("entries")?.as_array_mut()? {
        let path: Path = entry.get("path")?.to_string().parse().ok()?;
        let cost = Cost::of(&space.architecture(&path, image_size, num_classes).ok()?);
        let entry = entry.as_object_mut()?;
        entry.insert("flops".to_owned(), cost.flops(Convention::Published).into());
        entry.insert("params".to_owned(), cost.params().into());
    }
    Some(file.to_string())
}
