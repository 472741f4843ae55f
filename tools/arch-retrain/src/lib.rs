//! Trains one network from scratch.

mod args;
mod report;
mod schedule;
mod weights;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cream_arch::{Architecture, EvaluationTransform, published_file};
use cream_cli::config::Resolved;
use cream_cli::{Failure, OrFail, interrupt, read_or_shipped, write_stdout};
use cream_data::ShardSet;
use cream_train::distillation::TeacherPlan;
use cream_train::intact::check_shards;
use cream_train::retrain::{RetrainPlan, retrain};
use cream_train::run_folder::RunFolder;
use cream_train::settings::{CropKind, RetrainSettings};
use cream_train::sitting::{Outcome, Reason, Sitting, Stopped};
use cream_train::{TrainError, device};

use args::Args;
use report::ProgressReport;
use weights::Given;

/// The program, on the process's command line.
pub fn main() -> ExitCode {
    cream_cli::main("arch-retrain", || run(&cream_cli::parse()?))
}

fn run(args: &Args) -> Result<(), Failure> {
    let resolved = args.resolve()?;
    if args.run.print_config {
        return write_stdout(resolved.print());
    }
    let settings = &resolved.settings;
    settings.check().or_input()?;
    if args.print_schedule {
        return write_stdout(schedule::csv(settings, args.images)?);
    }
    device::in_pool(settings.threads, || train(args, &resolved)).or_input()?
}

fn train(args: &Args, resolved: &Resolved<RetrainSettings>) -> Result<(), Failure> {
    let settings = &resolved.settings;
    let given = args.init.as_deref().map(Given::open).transpose()?;
    let architecture = architecture(args, given.as_ref(), settings)?;
    let data = Arc::new(ShardSet::open(args.run.data()?).or_input()?);
    let init = given.map(|given| given.initial(&architecture)).transpose()?;
    let (settings, teacher) = (settings.clone(), teacher(args)?);
    let device = device::open(&settings.device, settings.precision).or_input()?;
    let plan = RetrainPlan { settings, architecture, init, teacher, device };
    plan.check(&data).or_input()?;
    let style = args.run.report.style();
    let signal = interrupt::watch(style).context("signals").or_run()?;
    let (resume, after) = (&args.run.resume, args.run.stop_after.as_deref());
    let sitting = Sitting::from_flags(resume, after, signal).or_input()?;
    let folder = RunFolder::open(args.run.out()?, &sitting.resume).map_err(failure)?;
    let folder = folder
        .stating([("config.toml", resolved.to_toml()), ("arch.json", plan.architecture.to_json())]);
    let mut report = ProgressReport::new(style);
    if let Some(text) = device::describe(&plan.settings.device, &plan.device) {
        report.line(&text);
    }
    if !args.run.no_verify {
        check_shards(&data, &sitting, &mut report).map_err(failure)?;
    }
    if let Some(number) = sitting.signalled() {
        return Err(Failure::signal(number, "stopped before the first step; nothing was begun"));
    }
    let score = match retrain(&plan, &data, &folder, &sitting, &mut report).map_err(failure)? {
        Outcome::Done(score) => score,
        Outcome::Stopped(stopped) => return Err(ended(&stopped)),
    };
    report.line(&format!(
        "{}: top-1 {:.2} % of {} validation images",
        folder.file("model.safetensors").display(),
        score.top1() * 100.0,
        score.images
    ));
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

/// The network to train: the one that is named, or that of the weights to start from.
fn architecture(
    args: &Args,
    init: Option<&Given>,
    settings: &RetrainSettings,
) -> Result<Architecture, Failure> {
    let own = init.and_then(Given::architecture);
    let mut architecture = match (args.arch.as_deref(), own) {
        (Some(file), _) => read_architecture(file)?,
        (None, Some(own)) => own.clone(),
        (None, None) => {
            return Err(Failure::input(
                "--arch is missing: give the network that is to be trained",
            ));
        }
    };
    if let Some(classes) = args.classes {
        architecture = architecture.with_classes(classes).context("--classes").or_input()?;
    }
    // A network is evaluated as it is trained: small images unresized.
    if settings.augmentation.crop_kind(architecture.input.evaluation) == CropKind::PadCrop {
        architecture.input.evaluation = EvaluationTransform::PadCrop;
    }
    Ok(architecture)
}

fn read_architecture(file: &str) -> Result<Architecture, Failure> {
    let text = read_or_shipped(file, 1 << 24, published_file)?;
    let what = if file == "-" { "standard input" } else { file };
    Architecture::from_json(&text).context(what.to_owned()).or_input()
}

/// The network to learn from, if one is named.
fn teacher(args: &Args) -> Result<Option<TeacherPlan>, Failure> {
    let Some(weights) = &args.teacher else { return Ok(None) };
    let architecture = args.teacher_arch.as_deref().map(read_architecture).transpose()?;
    Given::open(weights)?.teacher(architecture).map(Some)
}
