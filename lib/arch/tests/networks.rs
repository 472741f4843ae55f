//! Architectures, spaces and paths: building, reading, refusing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use cream_arch::{
    ArchError, Architecture, BASELINES, Convention, Cost, PUBLISHED, Path, Reading, Space, Widths,
    published, round_to_8,
};

#[test]
fn shipped_networks_are_what_the_space_builds() {
    let space = Space::published();
    for (name, text) in PUBLISHED {
        let shipped = Architecture::from_json(text).unwrap();
        let provenance = shipped.provenance.clone().unwrap();
        let path = provenance.path.clone().unwrap();
        assert_eq!(space.path_of(&shipped).unwrap(), path, "{name}");
        let built = space.architecture(&path, shipped.image_size, shipped.num_classes).unwrap();
        let expected = Architecture {
            name: Some(format!("cream-{name}")),
            provenance: shipped.provenance.clone(),
            ..built
        };
        assert_eq!(shipped, expected, "{name}");
        let cost = Cost::of(&shipped);
        assert_eq!(provenance.flops, Some(cost.flops(Convention::Published)), "{name}");
        assert_eq!(provenance.params, Some(cost.params()), "{name}");
    }
}

#[test]
fn shipped_files_are_written_as_the_tools_write() {
    for (name, text) in PUBLISHED.iter().chain(&BASELINES) {
        let network = published(name).unwrap();
        assert_eq!(network.to_json(), *text, "{name}");
        assert_eq!(Architecture::from_json(&network.to_json_line()).unwrap(), network, "{name}");
    }
    assert!(published("288").unwrap_err().to_string().contains("287, 481"));
}

#[test]
fn a_network_of_another_space_is_named_where_it_differs() {
    let space = Space::published();
    let baseline = published("efficientnet-b0").unwrap();
    let error = space.path_of(&baseline).unwrap_err().to_string();
    assert!(error.starts_with("stages[1][0]: "), "{error}");
    let mut other = published("14").unwrap();
    other.norm.epsilon = 1e-3;
    assert!(space.path_of(&other).unwrap_err().to_string().starts_with("norm: "));
    let mut other = published("14").unwrap();
    other.stages[0][0].kernel = 5;
    assert!(space.path_of(&other).unwrap_err().to_string().starts_with("stages[0]: "));
}

#[test]
fn narrow_spaces_keep_the_rules() {
    let widths = Widths { stem: 8, stages: vec![8, 16, 16, 24, 32], last: 40, features: 48 };
    let space = Space::published().with_widths(&widths).unwrap();
    let path: Path = "[[0],[1],[2,3],[4],[5]]".parse().unwrap();
    let network = space.architecture(&path, 32, 5).unwrap();
    assert_eq!(space.path_of(&network).unwrap(), path);
    let block = &network.stages[3][1];
    assert_eq!((block.expanded(16), block.has_residual(16)), (96, true));
    assert_eq!(block.squeeze_excite.unwrap().width, 24);
    assert!(!network.stages[6][0].has_residual(40));
    let short = Widths { stages: vec![8], ..widths };
    assert!(Space::published().with_widths(&short).is_err());
}

#[test]
fn widths_round_as_the_published_networks_do() {
    for (value, rounded) in [(1.0, 8), (11.9, 16), (12.0, 16), (20.0, 24), (24.0, 24), (36.0, 40)] {
        assert_eq!(round_to_8(value), rounded, "{value}");
    }
}

#[test]
fn lists_print_and_parse_and_read_both_ways() {
    let text = "[[0],[3],[3,3],[3,3],[3],[3],[0]]";
    let lists: Path = text.parse().unwrap();
    assert_eq!(lists.to_string(), text);
    let space = Space::published();
    let read = |reading| space.path_from_lists(&lists, reading).unwrap().to_string();
    assert_eq!(read(Reading::Literal), "[[3],[3,3],[3,3],[3],[3]]");
    assert_eq!(read(Reading::Released), "[[0],[3,3],[3,3],[1],[3]]");
}

/// Values that would overflow a careless count, with the place that the error must name.
#[test]
fn huge_networks_are_refused_before_anything_is_counted() {
    let good = published("14").unwrap();
    let mut many_layers = good.clone();
    many_layers.stages[3] = vec![good.stages[3][1].clone(); 1001];
    let mut wide = good.clone().with_image_size(4096).unwrap();
    for block in wide.stages.iter_mut().flatten() {
        (block.channels, block.stride) = (8192, 1);
    }
    let mut expanded = good.clone();
    expanded.stages[2][0].channels = 16384;
    expanded.stages[2][1].expansion = Some(64.0);
    for (network, named) in [
        (many_layers, "stages (layers in all)"),
        (wide, "multiply-accumulates"),
        (expanded, "stages[2][1].expansion"),
    ] {
        let error = network.validate().unwrap_err();
        assert!(matches!(error, ArchError::Value { .. }));
        assert!(error.to_string().contains(named), "{error}");
    }
    assert!(good.with_image_size(31).unwrap_err().to_string().contains("product of all strides"));
}

#[test]
fn malformed_spaces_are_refused_by_name() {
    let good = include_str!("../../../configs/space/cream.toml");
    let cases = [
        (good.replace("ratio = 0.25", "ratio = -1.0"), "squeeze_excite.ratio"),
        (good.replace("ratio = 0.25", "ratoi = 0.25"), "did you mean `ratio`?"),
        (good.replacen("kernel = 7", "kernel = 8", 1), "kernel: 8"),
        (good.replace("order = [3,", "order = [6,"), "growth.order[0]"),
        (good.replace("start = [1, 2, 2, 1, 1]", "start = [1, 2, 2, 1, 9]"), "growth.start[4]"),
        (good.replace("[224, 192,", "[192, 224,"), "growth.sizes"),
        (
            good.replace("version = 1", "version = 3"),
            "version: 3 is not allowed; allowed: 1; the file is of a newer program",
        ),
        (good.replace("[norm]", "[norm"), "line 14: "),
    ];
    for (text, named) in cases {
        assert_ne!(text, good, "{named}: the case changes nothing");
        let error = Space::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
