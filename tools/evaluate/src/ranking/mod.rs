//! Whether a search ranks networks as training each of them alone does.

mod kendall;
mod scores;
mod statistics;

use std::fmt::Write as _;

use clap::Args;
use cream_cli::{Failure, write_stdout};
use serde_json::{Value, json};

use crate::args::Format;
use scores::Scores;
use statistics::{Correlations, Estimate, Measure, Resamples, Spread, correlations, spread};

pub const HELP: &str = "\
Whether a search ranks networks as training each of them alone does: Kendall's tau-b between the
scores of the same paths with inherited weights and alone, by top-1 and by loss, with a 95 %
bootstrap interval over paths.

Beside it stands the noise ceiling, tau between rankings by disjoint halves of the seeds, since no
search can be expected to agree with networks alone better than these do with each other; and FLOPs,
the ranking that costs nothing. Of several searches each is held against the first, run by run.";

pub const EXAMPLES: &str = "\
Examples:
  evaluate rank-correlation --alone alone-0.jsonl alone-1.jsonl --inherited search=scores.jsonl

scores.jsonl is what evaluate --supernet RUN --arch paths.jsonl prints; alone-0.jsonl has, for each
of the paths, what evaluate --weights NET --format json prints of a network trained with seed 0.
make rank-correlation makes them all.";

/// Flags of `evaluate rank-correlation`.
#[derive(Debug, Args)]
pub struct RankArgs {
    /// Scores of the networks trained alone, JSON lines: a file for each seed
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    alone: Vec<String>,

    /// Scores of the same paths with inherited weights, JSON lines, under the search's name; again for another search,
    /// or for another run of the same
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    inherited: Vec<(String, String)>,

    /// Sets of paths drawn for the intervals
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resamples: u32,

    /// Seed of those draws
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.to_owned()))
        }
        _ => Err("give a name and a file, as search=scores.jsonl".to_owned()),
    }
}

/// Reads the scores, and prints how they agree.
///
/// # Errors
/// [`Failure::Input`] for files that are no such scores.
pub fn compare(args: &RankArgs) -> Result<(), Failure> {
    let scores = scores::read(&args.alone, &args.inherited)?;
    let resamples = Resamples::new(scores.flops.len(), args.resamples as usize, args.seed);
    let report = Report {
        spread: spread(&scores),
        top1: correlations(&scores, Measure::Top1, &resamples),
        loss: correlations(&scores, Measure::Loss, &resamples),
        scores,
    };
    write_stdout(match args.format {
        Format::Text => report.text(),
        Format::Json => format!("{}\n", report.json(args)),
    })
}

/// Everything that is printed.
struct Report {
    scores: Scores,
    spread: Spread,
    top1: Correlations,
    loss: Correlations,
}

impl Report {
    fn text(&self) -> String {
        let Scores { flops, images, alone, searches } = &self.scores;
        let (paths, points) = (flops.len(), |share: f64| share * 100.0);
        let least = flops.iter().copied().fold(f64::INFINITY, f64::min) / 1e6;
        let most = flops.iter().copied().fold(0.0, f64::max) / 1e6;
        let Spread { range: (worst, best), between_paths, between_seeds, sampling } = self.spread;
        let seeds = between_seeds.map_or(String::new(), |deviation| {
            format!(", of a path's seeds {:.2}", points(deviation))
        });
        let mut text = format!(
            "{paths} paths of {least:.2} to {most:.2} MFLOPs, each alone with {} seed(s), on {images} images\n\
             alone: top-1 {:.2} to {:.2} %; standard deviation of the paths {:.2} points{seeds}, of a score by its \
             images {:.2}\n\n{:<26}{:<30}{}\n",
            alone.len(),
            points(worst),
            points(best),
            points(between_paths),
            points(sampling),
            "tau with networks alone",
            "by top-1",
            "by loss",
        );
        let mut row = |name: &str, top1: &Estimate, loss: &Estimate| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<26}{:<30}{}", shown(top1), shown(loss));
        };
        if let (Some(top1), Some(loss)) = (&self.top1.ceiling, &self.loss.ceiling) {
            row("other seeds (ceiling)", top1, loss);
        }
        for (i, search) in searches.iter().enumerate() {
            row(&search.name, &self.top1.searches[i], &self.loss.searches[i]);
        }
        row("FLOPs", &self.top1.flops, &self.loss.flops);
        for (i, other) in searches.iter().skip(1).enumerate() {
            let name = format!("{} - {}", searches[0].name, other.name);
            row(&name, &self.top1.differences[i], &self.loss.differences[i]);
        }
        let limit = kendall::detectable(paths);
        let _ = writeln!(
            text,
            "\nIntervals hold 95 % over resampled paths. Unrelated rankings of {paths} paths have a tau within \
             +-{limit:.2} in 95 of 100 cases."
        );
        text
    }

    fn json(&self, args: &RankArgs) -> Value {
        let Scores { flops, images, alone, searches } = &self.scores;
        let Spread { range: (worst, best), between_paths, between_seeds, sampling } = self.spread;
        let measure = |found: &Correlations| {
            let of = |search: (usize, &scores::Search), estimate: &Estimate| {
                let mut value = as_json(estimate);
                value["search"] = search.1.name.clone().into();
                value["runs"] = search.1.runs.len().into();
                value
            };
            let each = |first: usize, estimates: &[Estimate]| -> Vec<Value> {
                let pairs = searches.iter().enumerate().skip(first).zip(estimates);
                pairs.map(|(search, estimate)| of(search, estimate)).collect()
            };
            json!({
                "ceiling": found.ceiling.as_ref().map(as_json),
                "flops": as_json(&found.flops),
                "searches": each(0, &found.searches),
                "first_search_less": each(1, &found.differences),
            })
        };
        json!({
            "paths": flops.len(),
            "seeds": alone.len(),
            "images": images,
            "top1_alone": {
                "least": worst,
                "most": best,
                "deviation_between_paths": between_paths,
                "deviation_between_seeds": between_seeds,
                "deviation_by_images": sampling,
            },
            "by_top1": measure(&self.top1),
            "by_loss": measure(&self.loss),
            "tau_of_unrelated_rankings": kendall::detectable(flops.len()),
            "resamples": args.resamples,
            "seed": args.seed,
        })
    }
}

fn shown(estimate: &Estimate) -> String {
    match (estimate.value, estimate.interval) {
        (Some(value), Some((low, high))) => format!("{value:+.2} ({low:+.2} to {high:+.2})"),
        (Some(value), None) => format!("{value:+.2}"),
        (None, _) => "nothing is ordered".to_owned(),
    }
}

fn as_json(estimate: &Estimate) -> Value {
    let interval = estimate.interval.map(|(low, high)| [low, high]);
    json!({"tau": estimate.value, "interval": interval, "above_zero": estimate.above_zero})
}
