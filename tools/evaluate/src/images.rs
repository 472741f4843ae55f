//! Images that are no data set: files, or the files of a folder, without labels.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use candle_core::Device;
use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::decode::{MAX_BYTES, validate};
use cream_data::transform::ResizeScratch;
use cream_data::{Batch, DataError, EvalTransform, SampleId, Views};
use cream_nn::ChildNet;
use cream_train::evaluate::Answerer;
use serde_json::json;

use crate::args::{Args, Format};
use crate::classes::Outputs;
use crate::failure;
use crate::predictions::{Best, Predictions, best_of};
use crate::question::Answers;

/// What images in a folder are called.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Prints the best classes of every image. One that cannot be read is named and the others are not held up, but the end is
/// a failure.
pub fn classify(
    args: &Args,
    network: &ChildNet,
    outputs: &Outputs,
    device: &Device,
) -> Result<(), Failure> {
    let files = find(&args.image)?;
    let answers = Answers::of(args, outputs, outputs.words())?;
    let mut predictions = Predictions::begin(args.predictions.as_deref(), answers.names.len())?;
    let progress = Progress::new(files.len() as u64, "images", args.report.style());
    if outputs.are_guessed() {
        progress.message("the weights name no classes: taken for ImageNet's, as there are 1000");
    }
    let answerer = Answerer::new(network, args.views(), (device, args.precision));
    let mut unread = 0;
    for files in files.chunks(answerer.samples_per_batch(args.batch as usize)) {
        let mut read: Vec<(&Path, Vec<u8>)> = Vec::new();
        for (file, crops) in files.iter().zip(load(files, args, answerer.transform())) {
            match crops {
                Ok(crops) => read.push((file.as_path(), crops)),
                Err(error) if args.image == [file.as_path()] => return Err(error).or_input(),
                Err(error) => {
                    unread += 1;
                    progress.warning(format!("{error:#}"));
                }
            }
        }
        for (file, best) in answer(&answerer, &answers, read)? {
            let key = file.to_string_lossy();
            write_stdout(render(args.format, &key, &answers, &best))?;
            if let Some(predictions) = &mut predictions {
                predictions.add(&key, "", &answers.names, &best).or_run()?;
            }
        }
        progress.advance(files.len() as u64);
    }
    progress.finish();
    predictions.map_or(Ok(()), Predictions::finish).or_run()?;
    if unread == 0 {
        return Ok(());
    }
    let given = files.len();
    Err(Failure::input(format!(
        "{unread} of {given} images could not be read and are named above; mend them or leave them out"
    )))
}

/// The files given, and in place of a folder its images by name.
fn find(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = path.read_dir().and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        });
        let mut found = entries.map_err(DataError::io(path)).or_input()?;
        found.retain(|file| has_extension(file) && file.is_file());
        if found.is_empty() {
            let path = path.display();
            return Err(Failure::input(format!(
                "{path}: holds no .jpg, .jpeg or .png files, and folders in it are not searched; give a folder of images"
            )));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn has_extension(file: &Path) -> bool {
    let extension = file.extension().map(|e| e.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The crops of each file, `[views, size, size, 3]`, by as many threads as `--workers` says.
fn load(files: &[PathBuf], args: &Args, transform: EvalTransform) -> Vec<anyhow::Result<Vec<u8>>> {
    let views = args.views();
    let share = files.len().div_ceil(args.workers.clamp(1, 256)).max(1);
    std::thread::scope(|scope| {
        let work = |files: &'_ [PathBuf]| {
            let mut scratch = ResizeScratch::default();
            files.iter().map(|file| crops(file, transform, views, &mut scratch)).collect::<Vec<_>>()
        };
        let threads: Vec<_> =
            files.chunks(share).map(|files| scope.spawn(move || work(files))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    })
}

fn crops(
    file: &Path,
    transform: EvalTransform,
    views: Views,
    scratch: &mut ResizeScratch,
) -> anyhow::Result<Vec<u8>> {
    let what = || {
        if file == Path::new("-") { "standard input".into() } else { file.display().to_string() }
    };
    let bytes = read(file).with_context(what)?;
    let size = transform.image_size();
    let mut crops = vec![0; views.count() * size * size * 3];
    validate(&bytes)
        .map_err(DataError::from)
        .and_then(|(_, image)| transform.apply_views(&image, views, scratch, &mut crops))
        .map_err(|error| anyhow!("{error}; give a whole JPEG or PNG"))
        .with_context(what)?;
    Ok(crops)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file of exactly as many from a longer one.
    let limit = MAX_BYTES + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        let opened = File::open(file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow!("{error}; check the name"),
            io::ErrorKind::PermissionDenied => anyhow!("{error}; make it readable"),
            _ => error.into(),
        });
        opened?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The best answers to images given with their crops.
fn answer<'a>(
    answerer: &Answerer<'_>,
    answers: &Answers,
    images: Vec<(&'a Path, Vec<u8>)>,
) -> Result<Vec<(&'a Path, Best)>, Failure> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let (files, crops): (Vec<&Path>, Vec<Vec<u8>>) = images.into_iter().unzip();
    let image_size = answerer.transform().image_size();
    let pixels = crops.concat();
    let number = pixels.len() / (image_size * image_size * 3);
    let batch = Batch {
        index: 0,
        samples: (0..number as u32).map(SampleId::from_index).collect(),
        labels: vec![0; number],
        image_size,
        pixels: pixels.into(),
        erasures: vec![None; number],
        mix: None,
    };
    let logits = answerer.logits(&batch).and_then(|logits| answers.select(&logits));
    let best = logits.and_then(|logits| best_of(&logits)).map_err(failure)?;
    Ok(files.into_iter().zip(best).collect())
}

/// An image's best answers for people or programs.
fn render(format: Format, key: &str, answers: &Answers, best: &[(usize, f64)]) -> String {
    let name = |answer: usize| answers.names.get(answer).map_or("", String::as_str);
    match format {
        Format::Text => {
            let lines = best.iter().map(|&(answer, probability)| {
                format!("{:7.2} %  {}\n", probability * 100.0, name(answer))
            });
            let text = format!("{key}\n{}", lines.collect::<String>());
            // Names from files must not steer the terminal.
            text.replace(|c: char| c.is_control() && c != '\n', " ")
        }
        Format::Json => {
            let best = best.iter().map(|&(answer, probability)| {
                json!({"class": answers.output(answer), "name": name(answer), "probability": probability})
            });
            format!("{}\n", json!({"image": key, "best": best.collect::<Vec<_>>()}))
        }
    }
}
