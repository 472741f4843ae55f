//! Trains a supernet and ranks its best paths.

mod args;
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cream_arch::{EvaluationTransform, FlopsInterval, GivenShape, Space};
use cream_cli::config::Resolved;
use cream_cli::{Failure, OrFail, interrupt, read_text, write_stdout};
use cream_data::ShardSet;
use cream_train::intact::check_shards;
use cream_train::run_folder::RunFolder;
use cream_train::search::{SearchPlan, search};
use cream_train::settings::{CropKind, SearchSettings};
use cream_train::sitting::{Outcome, Reason, Sitting, Stopped};
use cream_train::{TrainError, device};

use args::Args;
use report::ProgressReport;

/// The program, on the process's command line.
pub fn main() -> ExitCode {
    cream_cli::main("supernet-train", || run(&cream_cli::parse()?))
}

fn run(args: &Args) -> Result<(), Failure> {
    let resolved = args.resolve()?;
    if args.run.print_config {
        return write_stdout(resolved.print());
    }
    let settings = &resolved.settings;
    settings.check().or_input()?;
    device::in_pool(settings.threads, || train(args, &resolved)).or_input()?
}

fn train(args: &Args, resolved: &Resolved<SearchSettings>) -> Result<(), Failure> {
    let settings = &resolved.settings;
    let data = Arc::new(ShardSet::open(args.run.data()?).or_input()?);
    let plan = plan(args, settings.clone(), &data).or_input()?;
    plan.check(&data).or_input()?;
    let style = args.run.report.style();
    let signal = interrupt::watch(style).context("signals").or_run()?;
    let (resume, after) = (&args.run.resume, args.run.stop_after.as_deref());
    let sitting = Sitting::from_flags(resume, after, signal).or_input()?;
    let folder = RunFolder::open(args.run.out()?, &sitting.resume).map_err(failure)?;
    let folder = folder.stating([("config.toml", resolved.to_toml())]);
    let mut report = ProgressReport::new(style);
    if let Some(text) = device::describe(&plan.settings.device, &plan.device) {
        report.line(&text);
    }
    report.line(&describe(&plan, args.run.data()?, &data).or_input()?);
    if !args.run.no_verify {
        check_shards(&data, &sitting, &mut report).map_err(failure)?;
    }
    if let Some(number) = sitting.signalled() {
        return Err(Failure::signal(number, "stopped before the first step; nothing was begun"));
    }
    let board = match search(&plan, &data, &folder, &sitting, &mut report).map_err(failure)? {
        Outcome::Done(board) => board,
        Outcome::Stopped(stopped) => return Err(ended(&stopped)),
    };
    if let Some(best) = board.entries.first() {
        let (flops, score) = (best.flops as f64 / 1e6, best.validation_top1.unwrap_or(0.0) * 100.0);
        report.line(&format!(
            "best path {}: {flops:.3} MFLOPs, {score:.2} % of the search-validation images; export it with `path-export {}`",
            best.path,
            args.run.out()?.display()
        ));
    }
    Ok(())
}

fn ended(stopped: &Stopped) -> Failure {
    match stopped.reason {
        Reason::Signal(number) => Failure::signal(number, stopped),
        Reason::Enough(_) => Failure::unfinished(stopped),
    }
}

fn failure(error: TrainError) -> Failure {
    if error.is_input() { Failure::Input(error.into()) } else { Failure::Run(error.into()) }
}

fn plan(args: &Args, settings: SearchSettings, data: &ShardSet) -> anyhow::Result<SearchPlan> {
    let mut space = match &args.space {
        Some(file) => {
            let text = read_text(file, 1 << 20).map_err(Failure::into_error)?;
            Space::from_toml(&text).with_context(|| file.clone())?
        }
        None => Space::published(),
    };
    // A supernet, and what is found in it, is evaluated as it is trained: small images unresized.
    let evaluation = space.input.evaluation;
    if settings.augmentation.crop_kind(evaluation) == CropKind::PadCrop {
        space.input.evaluation = EvaluationTransform::PadCrop;
    }
    let min = Some(settings.flops_min).filter(|&min| min > 0.0);
    let interval = FlopsInterval::from_millions(min, settings.flops_max)?;
    let given = GivenShape {
        image_size: settings.image_size,
        depths: settings.depths.clone(),
        min_depths: settings.min_depths.clone(),
    };
    let shape = space.shape(interval, &given, data.num_classes())?;
    let device = device::open(&settings.device, settings.precision)?;
    Ok(SearchPlan { settings, space, shape, interval, device })
}

/// What is searched, on what, and whether the limits bind.
fn describe(plan: &SearchPlan, data_folder: &Path, data: &ShardSet) -> anyhow::Result<String> {
    use cream_data::Split::{SearchTrain, SearchValidation};
    let SearchPlan { space, shape, interval, .. } = plan;
    let classes = data.num_classes();
    let (cheapest, costliest) = space.reachable(shape, classes)?;
    let (image_size, depths) = (shape.image_size, &shape.depths);
    let layers = match shape.is_elastic() {
        true => format!("{:?} to {depths:?}", shape.min_depths),
        false => format!("{depths:?}"),
    };
    let millions = |flops: u64| flops as f64 / 1e6;
    let above = if interval.min > cheapest {
        format!("flops-min {} binds", millions(interval.min))
    } else {
        "no lower limit binds".to_owned()
    };
    let below = match interval.max {
        u64::MAX => "there is no upper limit".to_owned(),
        max if max < costliest => format!("flops-max {} binds", millions(max)),
        max => format!("flops-max {} does not bind at this size", millions(max)),
    };
    Ok(format!(
        "searching on {}: {} images to train on, {} to rank paths with, {classes} classes; {image_size} px, {layers} \
         layers per stage; paths cost {} to {} MFLOPs; {above}, {below}",
        data_folder.display(),
        data.len(SearchTrain),
        data.len(SearchValidation),
        millions(cheapest),
        millions(costliest),
    ))
}
