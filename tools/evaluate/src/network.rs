//! One network on one split.

use std::sync::Arc;

use candle_core::Device;
use cream_cli::progress::Progress;
use cream_cli::{Failure, OrFail, write_stdout};
use cream_data::{ShardSet, Split};
use cream_nn::ChildNet;
use cream_train::evaluate::for_each_batch;
use cream_train::score::Tally;

use crate::args::{Args, Format};
use crate::sinks::Sinks;
use crate::{check, failure, loader_settings, verify};

/// Scores `network` and prints the result; writes the files that were asked for.
pub fn score(
    args: &Args,
    network: &ChildNet,
    data: &Arc<ShardSet>,
    device: &Device,
) -> Result<(), Failure> {
    let split = args.split.unwrap_or(Split::Validation);
    check(data, network.architecture().num_classes, split)?;
    let mut sinks = Sinks::begin(args, data, split, network.architecture().image_size)?;
    verify(args, data, &[split])?;
    let progress = Progress::new(data.len(split) as u64, "images", args.report.style());
    let mut tally = Tally::default();
    for_each_batch(network, data, split, loader_settings(args), device, |batch, logits| {
        tally.add(logits, &batch.labels)?;
        sinks.add(data, batch, logits)?;
        progress.advance(batch.len() as u64);
        Ok(())
    })
    .map_err(failure)?;
    progress.finish();
    sinks.finish().or_run()?;
    write_stdout(render(args.format, split, &tally))
}

/// The result for people or programs.
fn render(format: Format, split: Split, tally: &Tally) -> String {
    let (top1, top5, loss, images) = (tally.top1(), tally.top5(), tally.loss(), tally.images);
    match format {
        Format::Text => format!(
            "{split}: {images} images, top-1 {:.2} %, top-5 {:.2} %, loss {loss:.4}\n",
            top1 * 100.0,
            top5 * 100.0
        ),
        Format::Json => {
            let split = split.name();
            let result = serde_json::json!({"split": split, "top1": top1, "top5": top5, "loss": loss, "images": images});
            format!("{result}\n")
        }
    }
}
