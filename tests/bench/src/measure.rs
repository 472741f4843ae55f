//! Running a workload and taking the time of its steps.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::Device;
use cream_arch::Path;
use cream_train::precision::Precision;

use crate::args::{Mode, Plan, Repeats};
use crate::floor::Work;
use crate::memory::peak_resident;
use crate::workload::Workload;

/// Median and extremes of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of these numbers; `None` of none.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&low, &high) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        Some(Self { median, low, high })
    }
}

/// What came out of running one case.
#[derive(Debug)]
pub struct Run {
    /// What a step did.
    pub mode: Mode,
    /// Seconds of a timed step.
    pub seconds: Spread,
    /// Mean work of the timed steps for one image.
    pub work: Work,
    /// Path of every step, those of the warm-up first; none where there is no choice.
    pub paths: Vec<Path>,
    /// Kernels of ours that a timed step launched, where they are counted.
    pub launches: Option<f64>,
    /// Most memory that the process has held, in bytes, where the system tells.
    pub peak: Option<u64>,
}

/// Warms up, then times every step by itself.
///
/// # Errors
/// When the network cannot be built or run.
pub fn run(plan: &Plan, mode: Mode, (device, precision): (&Device, Precision)) -> Result<Run> {
    let mut workload = Workload::new(&plan.subject, plan.batch, (device, precision))?;
    let Repeats { warmup, timed } = plan.repeats;
    let (warmup, steps) = (warmup as u64, (warmup + timed) as u64);
    let mut times = Vec::with_capacity(timed);
    let mut before = None;
    for step in 0..steps {
        if step == warmup {
            before = launches(device);
        }
        let start = Instant::now();
        match mode {
            Mode::Train => _ = black_box(workload.train(step)?),
            Mode::Infer => _ = black_box(workload.infer(step)?),
        }
        // What a step has put into a queue is its own time.
        device.synchronize()?;
        if step >= warmup {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let works = (warmup..steps).map(|step| Ok(Work::of(&plan.subject.network_of(step)?)));
    let works = works.collect::<Result<Vec<Work>>>()?;
    Ok(Run {
        mode,
        launches: launches(device)
            .zip(before)
            .map(|(after, before)| (after - before) as f64 / timed.max(1) as f64),
        seconds: Spread::of(&times).context("no step was timed")?,
        work: Work::mean(&works),
        paths: (0..steps).filter_map(|step| plan.subject.path_of(step)).collect(),
        peak: peak_resident(),
    })
}

/// Kernels of ours that the process has launched on a device that has launches.
fn launches(device: &Device) -> Option<u64> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return Some(cream_nn::ops::cuda::launches());
    }
    let _ = device;
    None
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_is_the_middle_of_the_sorted() {
        let spread = |numbers: &[f64]| Spread::of(numbers).map(|s| (s.median, s.low, s.high));
        assert_eq!(spread(&[3.0, 1.0, 10.0]), Some((3.0, 1.0, 10.0)));
        assert_eq!(spread(&[4.0, 1.0, 10.0, 2.0]), Some((3.0, 1.0, 10.0)));
        assert_eq!(spread(&[2.0]), Some((2.0, 2.0, 2.0)));
        assert_eq!(spread(&[]), None);
    }
}
