//! Random paths inside FLOPs limits.

use anyhow::Context;
use cream_arch::{BoardFile, FlopsInterval, GivenShape, PathSampler, Shape, Source, Space};
use cream_cli::{Failure, OrFail, write_stdout};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::request::Sample;
use crate::{Note, board, counted, millions, open_space};

/// Text is written in pieces of about this size.
const PIECE: usize = 1 << 20;

/// What paths are drawn from.
struct Origin {
    space: Space,
    shape: Shape,
    classes: usize,
    limits: FlopsInterval,
    run: Option<String>,
}

/// Prints the paths that a request asks for.
pub fn export(request: &Sample, note: Note) -> Result<(), Failure> {
    let Origin { space, shape, classes, limits, run } = origin(request)?;
    let Shape { image_size, depths, .. } = &shape;
    let uniform = vec![1.0; space.choices.len()];
    let sampler = |limits| PathSampler::new(&space, &shape, classes, limits, &uniform);
    let whole = sampler(limits).context("--sample").or_input()?;
    let mut text = String::new();
    for index in 0..request.count as u64 {
        let rng = &mut random(request.seed, Purpose::Sample, index);
        let path = match request.spread {
            false => whole.sample(rng),
            true => {
                let part = part(whole.reachable(), limits, index, request.count as u64);
                let what = || format!("--spread: path {} of {}", index + 1, request.count);
                sampler(part).with_context(what).or_input()?.sample(rng)
            }
        };
        let mut network = space.architecture(&path, *image_size, classes).or_input()?;
        let mut provenance = counted(&network, Source::Sample, &space, path);
        provenance.run.clone_from(&run);
        (provenance.seed, provenance.index) = (Some(request.seed), Some(index));
        network.provenance = Some(provenance);
        text += &network.to_json_line();
        text += "\n";
        if text.len() > PIECE {
            write_stdout(std::mem::take(&mut text))?;
        }
    }
    write_stdout(text)?;
    let (least, most) = whole.reachable();
    let layers = match shape.is_elastic() {
        true => format!("{:?} to {depths:?}", shape.min_depths),
        false => format!("{depths:?}"),
    };
    note.say(&format!(
        "{} of the {:.3e} paths inside the limits, at {image_size} px with {layers} layers; \
         without limits those cost {} to {} MFLOPs",
        request.count,
        whole.count() as f64,
        millions(least),
        millions(most),
    ));
    Ok(())
}

/// A run's supernet and limits, narrowed by flags; else the space, shaped by the flags' limits.
fn origin(request: &Sample) -> Result<Origin, Failure> {
    let given = FlopsInterval::from_millions(request.flops_min, request.flops_max).or_input()?;
    let Some(run) = &request.run else {
        let space = open_space(request.space.clone())?;
        let Sample { image_size, depths, min_depths, .. } = request;
        let (depths, min_depths) = (depths.clone(), min_depths.clone());
        let known = GivenShape { image_size: *image_size, depths, min_depths };
        let shape = space.shape(given, &known, request.classes).or_input()?;
        return Ok(Origin { space, shape, classes: request.classes, limits: given, run: None });
    };
    let board::Opened { board, name, .. } = board::open(run)?;
    let limits = narrowed(&board, request.flops_min, request.flops_max)?;
    let (shape, classes) = (board.shape(), board.num_classes);
    Ok(Origin { space: board.space, shape, classes, limits, run: name })
}

/// A search's limits, or where flags give some, those.
pub fn narrowed(
    board: &BoardFile,
    flops_min: Option<f64>,
    flops_max: Option<f64>,
) -> Result<FlopsInterval, Failure> {
    let given = FlopsInterval::from_millions(flops_min, flops_max).or_input()?;
    let min = if flops_min.is_some() { given.min } else { board.interval.min };
    let max = if flops_max.is_some() { given.max } else { board.interval.max };
    Ok(FlopsInterval { min, max })
}

/// The `index`-th of `count` equal parts of the costs that can be reached inside the limits.
fn part(
    (cheapest, costliest): (u64, u64),
    limits: FlopsInterval,
    index: u64,
    count: u64,
) -> FlopsInterval {
    let (least, most) = (cheapest.max(limits.min), costliest.min(limits.max));
    let width = u128::from(most - least);
    let end = |parts: u64| least + (width * u128::from(parts) / u128::from(count)) as u64;
    // An end belongs to the part below it, so that no path can come twice.
    FlopsInterval { min: end(index) + u64::from(index > 0), max: end(index + 1) }
}

/// What a stream of random numbers is for.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Paths of `--sample`.
    Sample,
    /// Children, where so many paths are known.
    Offspring { generation: u64 },
}

/// The stream of one path: a function of seed, purpose and index.
pub fn random(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    match purpose {
        Purpose::Sample => key[16..27].copy_from_slice(b"path-export"),
        Purpose::Offspring { generation } => {
            key[16..24].copy_from_slice(b"children");
            key[24..].copy_from_slice(&generation.to_le_bytes());
        }
    }
    ChaCha8Rng::from_seed(key)
}
