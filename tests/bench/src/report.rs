//! A case as a line for people or as JSON.

use cream_arch::Path;
use cream_train::precision::Precision;
use serde::Serialize;

use crate::args::{Mode, Plan};
use crate::machine::Machine;
use crate::measure::Run;

/// One case. MB are 10^6 bytes.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    name: &'a str,
    mode: &'static str,
    precision: &'static str,
    /// Pixels.
    size: usize,
    batch: usize,
    threads: usize,
    images_per_s: f64,
    /// In the slowest step.
    images_per_s_low: f64,
    /// In the fastest step.
    images_per_s_high: f64,
    ms_per_step: f64,
    floor_ms: f64,
    floor_percent: f64,
    peak_mb: Option<f64>,
    /// Kernels of ours, not those of Candle and cuBLAS.
    #[serde(skip_serializing_if = "Option::is_none")]
    launches_per_step: Option<f64>,
    /// What activations take at least of the memory's traffic, over the time of a step.
    activations_gb_per_s: f64,
    product_gflop_per_s: f64,
    copy_gb_per_s: f64,
    /// Of a supernet: the path of every step, those of the warm-up first.
    #[serde(skip_serializing_if = "<[Path]>::is_empty")]
    paths: &'a [Path],
}

impl<'a> Row<'a> {
    /// The case of a plan that this run timed.
    pub fn new(plan: &'a Plan, precision: Precision, run: &'a Run, machine: &Machine) -> Self {
        let (batch, seconds) = (plan.batch, run.seconds);
        let floor = run.work.floor(run.mode, batch, machine);
        Self {
            name: plan.subject.name(),
            mode: match run.mode {
                Mode::Train => "train",
                Mode::Infer => "infer",
            },
            precision: precision.name(),
            size: plan.subject.size(),
            batch,
            threads: rayon::current_num_threads(),
            images_per_s: batch as f64 / seconds.median,
            images_per_s_low: batch as f64 / seconds.high,
            images_per_s_high: batch as f64 / seconds.low,
            ms_per_step: seconds.median * 1e3,
            floor_ms: floor * 1e3,
            floor_percent: floor / seconds.median * 100.0,
            peak_mb: run.peak.map(|bytes| bytes as f64 / 1e6),
            launches_per_step: run.launches,
            activations_gb_per_s: run.work.bytes(run.mode, batch, precision) / seconds.median / 1e9,
            product_gflop_per_s: machine.flops_per_second / 1e9,
            copy_gb_per_s: machine.bytes_per_second / 1e9,
            paths: &run.paths,
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let peak = self.peak_mb.map_or("unknown".to_owned(), |mb| format!("{mb:.0} MB"));
        let launches =
            self.launches_per_step.map_or(String::new(), |n| format!("  launches {n:.0}"));
        let Self { name, mode, precision, size, batch, threads, .. } = self;
        format!(
            "{name:<20} {mode}  {precision}  {size:>3} px  batch {batch:>3}  threads {threads}  \
             {:>8.1} images/s ({:.1} to {:.1})  {:>8.1} ms/step  floor {:>7.1} ms = {:>3.0} %  peak {peak}{launches}\n",
            self.images_per_s,
            self.images_per_s_low,
            self.images_per_s_high,
            self.ms_per_step,
            self.floor_ms,
            self.floor_percent,
        )
    }

    /// One object on one line.
    pub fn json(&self) -> String {
        // A plain struct of numbers and texts cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}
