//! Arbitrary valid architectures, boards and paths are the same after writing and reading.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use cream_arch::{
    Activation, Architecture, Block, Board, BoardFile, Candidate, Convention, Cost,
    EvaluationTransform, FlopsInterval, FormatTag, Gate, Head, HeadPosition, Input, Interpolation,
    Norm, Operator, Padding, Path, PathSampler, Provenance, Shape, Source, Space, SqueezeExcite,
    Stem, Widths,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The same cases in every run, and no file of failures: a case worth keeping becomes a test.
fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(3),
        ..Config::default()
    }
}

fn activation() -> impl Strategy<Value = Activation> {
    use Activation::{HSwish, None, Relu, Relu6, Swish};
    select(vec![Swish, Relu, Relu6, HSwish, None])
}

/// Every double above 0 and at most 1, from the smallest to 1.
fn fraction() -> impl Strategy<Value = f64> {
    prop_oneof![
        (1_u64..=1_f64.to_bits()).prop_map(f64::from_bits),
        (1_u32..=1_000).prop_map(|thousandths| f64::from(thousandths) / 1e3),
    ]
}

fn squeeze_excite() -> impl Strategy<Value = Option<SqueezeExcite>> {
    let gate = select(vec![Gate::HardSigmoid, Gate::Sigmoid]);
    let some = (1_usize..=64, activation(), gate)
        .prop_map(|(width, activation, gate)| SqueezeExcite { width, activation, gate });
    proptest::option::of(some)
}

fn block() -> impl Strategy<Value = Block> {
    use Operator::{Convolution, DepthwiseSeparable, InvertedResidual};
    let operator = select(vec![DepthwiseSeparable, InvertedResidual, Convolution]);
    let numbers = (0_usize..4, 1_usize..=2, 1e-9_f64..=8.0, 1_usize..=48);
    (operator, numbers, activation(), squeeze_excite()).prop_map(
        |(operator, (half, stride, expansion, channels), activation, squeeze_excite)| Block {
            operator,
            kernel: 2 * half + 1,
            stride,
            expansion: Some(expansion).filter(|_| operator == InvertedResidual),
            channels,
            activation,
            squeeze_excite: squeeze_excite.filter(|_| operator != Convolution),
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let filter = select(vec![Interpolation::Bilinear, Interpolation::Bicubic]);
    let resized = (0.1_f64..=1.0, filter)
        .prop_map(|(crop, interpolation)| EvaluationTransform::ResizeCrop { crop, interpolation });
    let evaluation = prop_oneof![resized, Just(EvaluationTransform::PadCrop)];
    (prop::array::uniform3(-10.0..=10.0), prop::array::uniform3(1e-6..=1e6), evaluation)
        .prop_map(|(mean, std, evaluation)| Input { mean, std, evaluation })
}

fn path() -> impl Strategy<Value = Path> {
    let stage = prop::collection::vec(any::<usize>(), 0..5);
    prop::collection::vec(stage, 0..7).prop_map(Path)
}

fn provenance() -> impl Strategy<Value = Provenance> {
    use Source::{Lists, Published, Sample, Search};
    use proptest::option::of;
    let source = select(vec![Published, Search, Sample, Lists]);
    let texts = (of(".{0,20}"), of(".{0,20}"), of("[0-9a-f]{64}"));
    let numbers = (of(any::<u64>()), of(any::<u64>()), of(any::<u64>()));
    let costs = (of(any::<u64>()), of(any::<u64>()));
    (source, of(path()), texts, numbers, costs, (of(fraction()), of(fraction()))).prop_map(
        |(source, path, (space, run, supernet_sha256), (seed, index, step), costs, scores)| {
            let ((flops, params), (batch_top1, validation_top1)) = (costs, scores);
            Provenance {
                source,
                space,
                path,
                run,
                seed,
                index,
                step,
                batch_top1,
                validation_top1,
                flops,
                params,
                supernet_sha256,
            }
        },
    )
}

/// Every field drawn by itself; the image is large enough for any strides drawn.
fn architecture() -> impl Strategy<Value = Architecture> {
    let stages = prop::collection::vec(prop::collection::vec(block(), 1..3), 1..4);
    let stem = (0_usize..4, 1_usize..=2, 1_usize..=32, activation()).prop_map(
        |(half, stride, channels, activation)| Stem {
            kernel: 2 * half + 1,
            stride,
            channels,
            activation,
        },
    );
    let position = select(vec![HeadPosition::AfterPool, HeadPosition::BeforePool]);
    let head = (position, 1_usize..=64, activation())
        .prop_map(|(position, channels, activation)| Head { position, channels, activation });
    let norm = (fraction(), fraction()).prop_map(|(epsilon, momentum)| Norm { epsilon, momentum });
    let padding = select(vec![Padding::Half, Padding::Same]);
    let about = (proptest::option::of(".{0,30}"), proptest::option::of(provenance()));
    let sizes = (128_usize..=300, 1_usize..=1_000_000);
    (about, sizes, input(), (padding, norm), (stem, stages, head)).prop_map(
        |((name, provenance), (image_size, num_classes), input, (padding, norm), layers)| {
            let (stem, stages, head) = layers;
            Architecture {
                format: FormatTag::Architecture,
                version: 1,
                name,
                image_size,
                num_classes,
                input,
                padding,
                norm,
                stem,
                stages,
                head,
                provenance,
            }
        },
    )
}

/// The published space with other widths and other choices.
fn space() -> impl Strategy<Value = Space> {
    let widths = (1_usize..=24, prop::collection::vec(1_usize..=48, 5), 1_usize..=64, 1_usize..=64)
        .prop_map(|(stem, stages, last, features)| Widths { stem, stages, last, features });
    let expansions = prop::collection::vec(0.5_f64..=6.0, 1..7);
    (widths, expansions).prop_map(|(widths, expansions)| {
        let mut space = Space::published();
        space.choices.truncate(expansions.len());
        for (choice, expansion) in space.choices.iter_mut().zip(expansions) {
            choice.expansion = expansion;
        }
        space.stages.iter_mut().for_each(|stage| stage.released_choice = None);
        space.with_widths(&widths).unwrap()
    })
}

/// Draws of the space at its starting depths and 64 pixels.
fn draws(space: &Space, seed: u64, count: usize) -> (Shape, Vec<Path>) {
    let shape = Shape::fixed(64, space.growth.start.clone());
    let prior = vec![1.0; space.choices.len()];
    let all = FlopsInterval::ALL;
    let sampler = PathSampler::new(space, &shape, 10, all, &prior).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let paths = (0..count).map(|_| sampler.sample(&mut rng)).collect();
    (shape, paths)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn architectures(network in architecture()) {
        let text = network.to_json();
        let again = Architecture::from_json(&text).unwrap();
        prop_assert_eq!(&again, &network);
        prop_assert_eq!(again.to_json(), text);
        let line = network.to_json_line();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(&Architecture::from_json(&line).unwrap(), &network);
    }

    #[test]
    fn streams_of_architectures(networks in prop::collection::vec(architecture(), 1..4)) {
        let lines: Vec<String> = networks.iter().map(Architecture::to_json_line).collect();
        prop_assert_eq!(&Architecture::many_from_json(&lines.join("\n")).unwrap(), &networks);
        let pretty: String = networks.iter().map(Architecture::to_json).collect();
        prop_assert_eq!(&Architecture::many_from_json(&pretty).unwrap(), &networks);
    }

    #[test]
    fn paths(path in path()) {
        prop_assert_eq!(&path.to_string().parse::<Path>().unwrap(), &path);
        prop_assert_eq!(serde_json::to_string(&path).unwrap(), path.to_string());
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn sampled_paths_and_their_networks(space in space(), seed in any::<u64>()) {
        let (shape, paths) = draws(&space, seed, 4);
        for path in paths {
            prop_assert_eq!(path.depths(), shape.depths.clone());
            let network = space.architecture(&path, shape.image_size, 10).unwrap();
            let found = space.path_of(&network).unwrap();
            // Choices that come to the same block in one layer cannot be told apart.
            let rebuilt = space.architecture(&found, shape.image_size, 10).unwrap();
            prop_assert_eq!(&rebuilt, &network);
            let costs = space.choice_costs(&shape.depths, shape.image_size, 10).unwrap();
            let counted = Cost::of(&network).flops(Convention::Published);
            prop_assert_eq!(costs.flops(&path), Some(counted));
            prop_assert_eq!(&Architecture::from_json(&network.to_json()).unwrap(), &network);
        }
    }

    #[test]
    fn boards(
        space in space(),
        seed in any::<u64>(),
        limits in (any::<u64>(), any::<u64>()),
        scores in prop::collection::vec((fraction(), proptest::option::of(fraction())), 0..6),
    ) {
        let (shape, paths) = draws(&space, seed, scores.len());
        let mut board = Board::new(4);
        for (path, &(batch_score, _)) in paths.into_iter().zip(&scores) {
            let cost = Cost::of(&space.architecture(&path, shape.image_size, 10).unwrap());
            let (flops, params) = (cost.flops(Convention::Published), cost.params());
            board.offer(Candidate { path, flops, params, batch_score, step: seed });
        }
        for (entry, &(_, validation)) in board.entries.iter_mut().zip(&scores) {
            entry.validation_score = validation;
        }
        let interval = FlopsInterval { min: limits.0.min(limits.1), max: limits.0.max(limits.1) };
        let file = BoardFile::new(&board, space, shape, 10, interval, seed);
        let text = file.to_json();
        let again = BoardFile::from_json(&text).unwrap();
        prop_assert_eq!(&again, &file);
        prop_assert_eq!(again.to_json(), text);
        let compact = serde_json::to_string(&file).unwrap();
        prop_assert_eq!(&BoardFile::from_json(&compact).unwrap(), &file);
        for (entry, ranked) in file.entries.iter().zip(board.ranked()) {
            prop_assert_eq!(&entry.path, &ranked.path);
        }
        let json = serde_json::to_string(&file.space).unwrap();
        prop_assert_eq!(&Space::from_json(&json).unwrap(), &file.space);
    }
}
