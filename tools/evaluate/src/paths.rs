//! Paths of a supernet with its weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use candle_core::{DType, Device, Tensor};
use cream_arch::{Architecture, Path as NetworkPath, Space};
use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, read_text, write_stdout};
use cream_data::keyed::{Key, Purpose, shuffle};
use cream_data::{Loader, LoaderSettings, ShardSet, Split, Transform};
use cream_nn::{Contents, SuperNet, SupernetDescription, ToBeLoaded};
use cream_train::feed::Feed;
use cream_train::path_scores::score_paths;
use cream_train::score::Tally;
use cream_train::settings::eval_transform;
use cream_train::tensor_files;

use crate::args::Args;
use crate::network::scores;
use crate::{check, failure, loader_settings, open, verify};

/// Some ten thousand paths.
const MAX_BYTES: u64 = 64 << 20;

/// Paths whose statistics are kept at once.
const GROUP: usize = 64;

struct Subject {
    supernet: SuperNet,
    image_size: usize,
    num_classes: usize,
    seed: u64,
}

/// Scores the paths on `--arch` and prints a JSON line for each.
pub fn score(args: &Args, run: &Path, device: &Device) -> Result<(), Failure> {
    let subject = load(run, device)?;
    let arch = args.arch.as_deref().ok_or_else(|| {
        Failure::input("--supernet needs --arch: JSON lines of paths, or - for standard input")
    })?;
    let text = read_text(arch, MAX_BYTES)?;
    let paths = read_paths(arch, &text, &subject).or_input()?;
    let data = open(args)?;
    let split = args.split.unwrap_or(Split::SearchValidation);
    check(&data, subject.num_classes, split)?;
    verify(args, &data, &[split, Split::SearchTrain])?;
    let total = (paths.len() * data.len(split)) as u64;
    let progress = Progress::new(total, "images", args.report.style());
    let feed =
        Feed::new(&subject.supernet.space().input, subject.num_classes, (device, args.precision));
    let recalibration = recalibration(args, &subject, &data, &feed)?;
    for group in paths.chunks(GROUP) {
        let group: Vec<&NetworkPath> = group.iter().collect();
        let images = eval_batches(args, &subject, &data, data.samples(split))?;
        let advance = |images| {
            progress.advance(images);
            true
        };
        let tallies =
            score_paths(&subject.supernet, &feed, &group, &recalibration, images, advance)
                .map_err(failure)?;
        for (path, tally) in group.iter().zip(tallies.iter().flatten()) {
            write_stdout(line(&subject, path, split, tally).or_run()?)?;
        }
    }
    progress.finish();
    Ok(())
}

fn load(run: &Path, device: &Device) -> Result<Subject, Failure> {
    let path = supernet_file(run).or_input()?;
    let what = || path.display().to_string();
    let file = tensor_files::read(&path).map_err(failure)?;
    let Contents::Supernet(own) = file.contents().with_context(what).or_input()? else {
        let error = anyhow!("is not a supernet; give the folder of a finished search");
        return Err(error).with_context(what).or_input();
    };
    let SupernetDescription { space, depths, image_size, num_classes, seed, .. } = *own;
    let space: Space = Space::from_json(&space.to_string())
        .context("its description: space")
        .with_context(what)
        .or_input()?;
    space.check_depths(&depths).with_context(what).or_input()?;
    // Size and classes by any of its paths.
    let first = NetworkPath(depths.iter().map(|&layers| vec![0; layers]).collect());
    space.architecture(&first, image_size, num_classes).with_context(what).or_input()?;
    let mut init = ToBeLoaded::from_tensors(&file.tensors);
    let supernet = SuperNet::new(&space, &depths, num_classes, &mut init, DType::F32, device)
        .with_context(what)
        .or_input()?;
    let matching = |name: &str| name.starts_with("meta_layer.");
    supernet.weights().load(&file.tensors, matching).with_context(what).or_input()?;
    Ok(Subject { supernet, image_size, num_classes, seed })
}

/// A folder stands for the supernet in it.
fn supernet_file(run: &Path) -> anyhow::Result<PathBuf> {
    if !run.is_dir() {
        return Ok(run.to_owned());
    }
    let file = run.join("supernet.safetensors");
    if !file.exists() {
        bail!(
            "{}: holds no supernet.safetensors, which supernet-train writes when it is done; give the folder of a \
             finished search",
            run.display()
        );
    }
    Ok(file)
}

/// The paths of the architectures on a file or standard input.
fn read_paths(arch: &str, text: &str, subject: &Subject) -> anyhow::Result<Vec<NetworkPath>> {
    let networks = Architecture::many_from_json(text).context(arch.to_owned())?;
    let number = networks.len();
    let path = |(i, network): (usize, &Architecture)| {
        let what = || format!("{arch}: architecture {} of {number}", i + 1);
        for (key, theirs, ours) in [
            ("image_size", network.image_size, subject.image_size),
            ("num_classes", network.num_classes, subject.num_classes),
        ] {
            if theirs != ours {
                let advice = "give paths of it, as path-export RUN --sample N prints them";
                return Err(anyhow!("{key} is {theirs} and the supernet's {ours}; {advice}"))
                    .with_context(what);
            }
        }
        let path = subject.supernet.space().path_of(network).with_context(what)?;
        subject.supernet.path_parameters(&path).with_context(what)?;
        Ok(path)
    };
    networks.iter().enumerate().map(path).collect()
}

/// Training images for the statistics: the same for every path, chosen by the search's seed.
fn recalibration(
    args: &Args,
    subject: &Subject,
    data: &Arc<ShardSet>,
    feed: &Feed,
) -> Result<Vec<Tensor>, Failure> {
    let mut samples = data.samples(Split::SearchTrain);
    shuffle(&mut Key::new(subject.seed, Purpose::Recalibration).rng(&[0, 0]), &mut samples);
    samples.truncate(args.batch as usize * args.recalibration_batches as usize);
    eval_batches(args, subject, data, samples)?
        // A rest of few images would weigh as much as a whole batch.
        .take(args.recalibration_batches as usize)
        .filter(|batch| batch.as_ref().map_or(true, |b| b.len() > 1))
        .map(|batch| feed.images(&batch?))
        .collect::<Result<_, _>>()
        .map_err(failure)
}

fn eval_batches(
    args: &Args,
    subject: &Subject,
    data: &Arc<ShardSet>,
    samples: Vec<cream_data::SampleId>,
) -> Result<Loader, Failure> {
    let evaluation = subject.supernet.space().input.evaluation;
    let transform = Transform::Eval(eval_transform(subject.image_size, evaluation));
    let settings = LoaderSettings { drop_last: false, ..loader_settings(args) };
    Loader::samples(data, samples, transform, settings, 0).or_input()
}

fn line(
    subject: &Subject,
    path: &NetworkPath,
    split: Split,
    tally: &Tally,
) -> anyhow::Result<String> {
    let space = subject.supernet.space();
    let network = space.architecture(path, subject.image_size, subject.num_classes)?;
    Ok(format!("{}\n", scores(&network, Some(path), split, tally)))
}
