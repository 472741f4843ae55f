//! Architecture files: one, or several that follow each other.

use cream_arch::{Architecture, Convention, Cost, Space};

/// Reads the bytes as an architecture file and as a stream of them.
pub fn architecture(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let one = Architecture::from_json(text);
    if let Ok(network) = &one {
        examine(network);
    }
    match (Architecture::many_from_json(text), one) {
        (Ok(all), Ok(network)) => assert_eq!(all, [network], "one document read as several"),
        (Ok(all), Err(error)) => {
            assert!(all.len() > 1, "a stream took the one document that was refused: {error}");
            all.iter().for_each(examine);
            let lines: Vec<String> = all.iter().map(Architecture::to_json_line).collect();
            assert_eq!(Architecture::many_from_json(&lines.join("\n")).unwrap(), all);
        }
        (Err(error), Ok(_)) => panic!("a stream of one was refused: {error}"),
        (Err(_), Err(_)) => {}
    }
}

/// What must hold for every accepted architecture.
fn examine(network: &Architecture) {
    let text = network.to_json();
    let again = Architecture::from_json(&text).unwrap();
    assert_eq!(&again, network, "not the same after writing and reading");
    assert_eq!(again.to_json(), text, "not the same text twice");
    assert_eq!(&Architecture::from_json(&network.to_json_line()).unwrap(), network);
    count(network);
    // At another size every stride may or may not fit; it must not be a panic.
    let _ = network.clone().with_image_size(network.image_size / 2);
    let space = Space::published();
    if let Ok(path) = space.path_of(network) {
        let built = space.architecture(&path, network.image_size, network.num_classes).unwrap();
        assert_eq!(built.stages, network.stages, "the path {path} makes another network");
    }
}

fn count(network: &Architecture) {
    let cost = Cost::of(network);
    let macs = cost.macs();
    for convention in [Convention::Published, Convention::Thop, Convention::Ptflops] {
        assert!(cost.flops(convention) >= macs, "{convention:?} counts less than its products");
    }
    assert!(macs > 0 && cost.params() > 0);
    for batch in [1, u64::MAX] {
        let (inference, training) = (cost.inference_memory(batch), cost.training_memory(batch));
        assert!(batch > 1 || (inference.is_ok() && training.is_ok()));
    }
}
