//! What imagenet-prep reads: archives, development kits, parquet, IDX and list files.

use imagenet_prep::source::{Item, readers};

/// Images read of one file, which may have thousands that are the same bytes.
const READ: usize = 16;

/// Reads the bytes as a tar of images, and as a development kit.
pub fn archive(bytes: &[u8]) {
    if let Ok(items) = readers::archive(bytes.to_vec()) {
        assert!(!items.is_empty(), "an archive without images was taken");
        examine(&items, bytes.len());
    }
    if let Ok(synsets) = readers::devkit(bytes.to_vec(), READ) {
        assert!(synsets.len() <= READ);
    }
}

/// Reads the bytes as a parquet file of images.
pub fn parquet(bytes: &[u8]) {
    if let Ok(items) = readers::parquet(bytes.to_vec()) {
        // A page of runs may unpack to far more than it takes, but no further than gzip packs.
        examine(&items, bytes.len() * 1100);
    }
}

/// What must hold for every image of a file that was taken.
fn examine(items: &[Item], most: usize) {
    for item in items {
        assert!(!item.name().is_empty());
        assert!(!item.key.contains(['/', '.', ',', '\n']), "key {:?}", item.key);
    }
    for item in items.iter().take(READ) {
        let read = item.read();
        if let Ok(image) = &read {
            assert!(image.len() <= most, "{}: {} bytes", item.name(), image.len());
        }
        assert_eq!(item.read(), read, "read twice, {} is not the same", item.name());
    }
}

/// Reads the bytes as an IDX file of images.
pub fn idx(bytes: &[u8]) {
    if let Ok(([count, rows, columns], values)) = readers::idx(bytes) {
        assert_eq!(values.len(), count * rows * columns);
    }
}

/// Reads the bytes as a list file.
pub fn list(bytes: &[u8]) {
    if let Ok(entries) = readers::list_file(bytes) {
        assert!(!entries.is_empty());
        assert!(entries.iter().all(|(path, _)| !path.is_empty()));
    }
}
