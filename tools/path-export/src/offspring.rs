//! Children of the best of scored paths.

use std::collections::HashSet;

use anyhow::Context;
use cream_arch::{Evolution, Path, Source};
use cream_cli::{Failure, OrFail, write_stdout};

use crate::request::Offspring;
use crate::sample::{Purpose, random};
use crate::{Note, board, counted, sample, scores};

/// Prints the children that a request asks for.
pub fn export(request: &Offspring, note: Note) -> Result<(), Failure> {
    let board::Opened { board, name, .. } = board::open(&request.run)?;
    let limits = sample::narrowed(&board, request.flops_min, request.flops_max)?;
    let scored = scores::read(&request.scores, &board)?;
    let inside = scored.iter().filter(|entry| limits.contains(entry.flops));
    let parents: Vec<Path> = inside.take(request.parents).map(|e| e.path.clone()).collect();
    if parents.is_empty() {
        let what = &request.scores;
        return Err(Failure::input(format!("{what}: no path is inside the limits; widen them")));
    }
    let evolution = Evolution::new(&board.space, &board.shape(), board.num_classes, limits);
    let evolution = evolution.context("--offspring").or_input()?;
    let mut known: HashSet<Path> = scored.iter().map(|entry| entry.path.clone()).collect();
    // Each generation knows more paths than the one before, and so draws from other streams.
    let generation = known.len() as u64;
    let mut text = String::new();
    let mut born = 0;
    for index in 0..request.count as u64 {
        let rng = &mut random(request.seed, Purpose::Offspring { generation }, index);
        let Some(path) = evolution.child(&parents, &known, index, rng) else { break };
        known.insert(path.clone());
        let network = board.space.architecture(&path, board.image_size, board.num_classes);
        let mut network = network.or_input()?;
        let mut provenance = counted(&network, Source::Evolution, &board.space, path);
        provenance.run.clone_from(&name);
        (provenance.seed, provenance.index) = (Some(request.seed), Some(index));
        network.provenance = Some(provenance);
        text += &(network.to_json_line() + "\n");
        born += 1;
    }
    write_stdout(text)?;
    let (parents, scored) = (parents.len(), scored.len());
    note.say(&match born == request.count {
        true => format!("{born} children of the best {parents} of {scored} scored paths"),
        false => format!(
            "{born} children of the best {parents} of {scored} scored paths, and no more: nearly every path \
             inside the limits was scored"
        ),
    });
    Ok(())
}
