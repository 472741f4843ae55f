//! Random paths inside FLOPs limits.

use anyhow::Context;
use cream_arch::{FlopsInterval, PathSampler, Shape, Source, Space};
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
    let Shape { image_size, depths } = &shape;
    let uniform = vec![1.0; space.choices.len()];
    let sampler = PathSampler::new(&space, depths, *image_size, classes, limits, &uniform);
    let sampler = sampler.context("--sample").or_input()?;
    let mut text = String::new();
    for index in 0..request.count as u64 {
        let path = sampler.sample(&mut random(request.seed, index));
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
    let (least, most) = sampler.reachable();
    note.say(&format!(
        "{} of the {:.3e} paths inside the limits, at {image_size} px with {depths:?} layers; \
         without limits those cost {} to {} MFLOPs",
        request.count,
        sampler.count() as f64,
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
        let (size, depths) = (request.image_size, request.depths.as_deref());
        let shape = space.shape(given, size, depths, request.classes).or_input()?;
        return Ok(Origin { space, shape, classes: request.classes, limits: given, run: None });
    };
    let board::Opened { board, name, .. } = board::open(run)?;
    let min = if request.flops_min.is_some() { given.min } else { board.interval.min };
    let max = if request.flops_max.is_some() { given.max } else { board.interval.max };
    Ok(Origin {
        space: board.space,
        shape: Shape { image_size: board.image_size, depths: board.depths },
        classes: board.num_classes,
        limits: FlopsInterval { min, max },
        run: name,
    })
}

/// The stream of one sample: a function of seed, purpose and index.
fn random(seed: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16..27].copy_from_slice(b"path-export");
    ChaCha8Rng::from_seed(key)
}
