//! Entries of a search's board.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path as FilePath;

use anyhow::Context;
use cream_arch::{Architecture, BoardEntry, BoardFile, FlopsInterval, Source};
use cream_cli::{Failure, OrFail, read_text, write_stdout};
use sha2::{Digest, Sha256};

use crate::request::Selection;
use crate::{MAX_BYTES, Note, described, millions, scores};

/// A board, and where it was.
pub struct Opened {
    /// What it says.
    pub board: BoardFile,
    /// Run directory or file, for provenance; none for standard input.
    pub name: Option<String>,
    /// SHA-256 of the supernet beside it, if there is one.
    supernet: Option<String>,
    /// Whether the entries are scored paths in the board's place.
    scored: bool,
}

/// Reads the board of a run directory, of a file or of standard input.
pub fn open(run: &str) -> Result<Opened, Failure> {
    let directory = FilePath::new(run).is_dir();
    let file = if directory {
        let file = FilePath::new(run).join("board.json");
        if !file.exists() {
            return Err(Failure::input(format!(
                "{run}: holds no board.json, which supernet-train writes when it is done; give the folder \
                 of a finished search, or finish this one by running its command again"
            )));
        }
        file.to_string_lossy().into_owned()
    } else {
        run.to_owned()
    };
    let text = read_text(&file, MAX_BYTES)?;
    let what = if file == "-" { "standard input".to_owned() } else { file };
    let board = BoardFile::from_json(&text).context(what).or_input()?;
    let supernet = match directory {
        true => checksum(&FilePath::new(run).join("supernet.safetensors"))?,
        false => None,
    };
    let name = if run == "-" { None } else { Some(run.to_owned()) };
    Ok(Opened { board, name, supernet, scored: false })
}

/// Prints the entries that a request selects, or of scored paths those.
pub fn export(
    run: &str,
    scored: Option<&str>,
    selection: &Selection,
    limits: FlopsInterval,
    note: Note,
) -> Result<(), Failure> {
    let mut opened = open(run)?;
    if let Some(file) = scored {
        opened.board.entries = scores::read(file, &opened.board)?;
        opened.scored = true;
    }
    let inside = within(&opened.board, scored.unwrap_or(run), limits)?;
    let chosen: Vec<&BoardEntry> = match selection {
        Selection::Best => inside.into_iter().take(1).collect(),
        Selection::Top(count) => inside.into_iter().take(*count).collect(),
        Selection::Pareto => opened.board.pareto(&inside),
    };
    let networks = chosen.into_iter().map(|entry| opened.network(entry));
    let networks = networks.collect::<Result<Vec<Architecture>, Failure>>()?;
    let text: String = match selection {
        Selection::Best => networks.iter().map(Architecture::to_json).collect(),
        _ => networks.iter().map(|network| network.to_json_line() + "\n").collect(),
    };
    write_stdout(text)?;
    networks.iter().for_each(|network| note.say(&described(network)));
    Ok(())
}

/// Entries inside the limits, best first; at least one.
fn within<'a>(
    board: &'a BoardFile,
    run: &str,
    limits: FlopsInterval,
) -> Result<Vec<&'a BoardEntry>, Failure> {
    let costs = board.entries.iter().map(|entry| entry.flops);
    let (Some(least), Some(most)) = (costs.clone().min(), costs.max()) else {
        return Err(Failure::input(format!(
            "{run}: the board is empty; it opens after the warm-up, so train longer"
        )));
    };
    let inside = board.entries.iter().filter(|entry| limits.contains(entry.flops));
    let inside: Vec<&BoardEntry> = inside.collect();
    if inside.is_empty() {
        let (least, most) = (millions(least), millions(most));
        return Err(Failure::input(format!(
            "{run}: no entry is inside --flops-min and --flops-max; those there cost {least} to \
             {most} MFLOPs, so move the limits into that range"
        )));
    }
    Ok(inside)
}

impl Opened {
    fn network(&self, entry: &BoardEntry) -> Result<Architecture, Failure> {
        let mut network = self.board.architecture(entry, self.name.clone()).or_input()?;
        if let Some(provenance) = &mut network.provenance {
            provenance.supernet_sha256.clone_from(&self.supernet);
            if self.scored {
                provenance.source = Source::Scores;
                (provenance.step, provenance.batch_top1) = (None, None);
            }
        }
        Ok(network)
    }
}

/// SHA-256 of a file in hexadecimal; none where there is no file.
fn checksum(path: &FilePath) -> Result<Option<String>, Failure> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()).or_input(),
    };
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block).with_context(|| path.display().to_string()).or_run()?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
    }
    Ok(Some(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
