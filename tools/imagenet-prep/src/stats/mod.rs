//! `imagenet-prep stats OUT`: what a set holds, and how its images are.

mod counts;
mod pixels;
mod print;

use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::keyed::{self, Key, Purpose};
use cream_data::{DataError, Encoded, ImageKind, RgbImage, SampleId, ShardSet, Split};

use crate::args::StatsArgs;
use crate::parallel::in_order;
use counts::Counts;
use pixels::{ImageSums, Measured};

/// All that is known of a split.
struct SplitStats {
    split: Split,
    counts: Counts,
    measured: Measured,
}

/// Prints the table, or the JSON object.
///
/// # Errors
/// [`Failure::Input`] when the set is broken, or an image of it.
pub fn run(args: &StatsArgs) -> Result<(), Failure> {
    let workers = args.workers()?;
    let set = ShardSet::open(&args.out).or_input()?;
    let mut drawn = Vec::new();
    for split in args.splits() {
        drawn.push((split, draw(set.samples(split), args.sample(), args.seed)));
    }
    let total = drawn.iter().map(|(_, samples)| samples.len() as u64).sum();
    let progress = Progress::new(total, "images", args.report.style());
    let mut all = Vec::new();
    for (split, samples) in drawn {
        let counts = Counts::of(&set, split).or_input()?;
        let measured = measure(&set, &samples, workers, &progress)?;
        all.push(SplitStats { split, counts, measured });
    }
    progress.finish();
    write_stdout(match args.json {
        true => print::json(&set, args.seed, &all),
        false => print::table(&set, args.seed, &all),
    })
}

/// At most `most` of the samples, in their order: a function of the seed and their number.
fn draw(mut samples: Vec<SampleId>, most: usize, seed: u64) -> Vec<SampleId> {
    if most < samples.len() {
        keyed::shuffle(&mut Key::new(seed, Purpose::Statistics).rng(&[0, 0]), &mut samples);
        samples.truncate(most);
        // As they lie on the disk.
        samples.sort_unstable();
    }
    samples
}

/// Decodes the samples. The first that cannot be, by its place, is the error, however many threads
/// there are.
fn measure(
    set: &ShardSet,
    samples: &[SampleId],
    workers: usize,
    progress: &Progress,
) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    let start = || (Vec::new(), RgbImage::default());
    let work = |(bytes, image): &mut (Vec<u8>, RgbImage), place: usize| {
        let sample = samples[place];
        measure_one(set, sample, bytes, image).map_err(|error| set.name_fault(sample, error))
    };
    in_order(0..samples.len(), workers, start, work, |_, result| {
        let (kind, sums) = result.or_input()?;
        measured.add(kind, sums);
        progress.advance(1);
        Ok(())
    })?;
    Ok(measured)
}

fn measure_one(
    set: &ShardSet,
    sample: SampleId,
    bytes: &mut Vec<u8>,
    image: &mut RgbImage,
) -> Result<(ImageKind, ImageSums), DataError> {
    set.read(sample, bytes)?;
    let kind = ImageKind::of(bytes)?;
    Encoded::open(bytes)?.decode(image)?;
    Ok((kind, ImageSums::of(image)))
}
