//! Where networks run, and with how many threads.

use crate::{TrainError, memory};
use candle_core::Device;

/// `cpu`, or `auto`: the best device that the operators have kernels for, which is the CPU.
///
/// # Errors
/// An unknown name; or `cuda[:N]`, for which there are no kernels yet.
pub fn open(name: &str) -> Result<Device, TrainError> {
    let is_cuda = name == "cuda"
        || name.strip_prefix("cuda:").is_some_and(|ordinal| ordinal.parse::<usize>().is_ok());
    match name {
        "cpu" | "auto" => Ok(Device::Cpu),
        _ if is_cuda => Err(TrainError::Setting(format!(
            "device {name}: this version has no CUDA kernels; use --device cpu"
        ))),
        _ => Err(TrainError::Setting(format!("device {name}: give auto, cpu or cuda[:N]"))),
    }
}

/// Runs `work` on a pool of so many threads, which all CPU work is shared among: all cores unless given. Call it once, first
/// thing in `main`, before any other thread exists. Results do not depend on the number.
///
/// The work itself runs on a thread of the pool: from outside, every operator would have to wake the pool and wait
/// for it.
///
/// # Errors
/// When a number outside 1 to 1024 is asked for, the environment names vector instructions that this machine lacks, or
/// the threads cannot be started; then `work` has not run.
pub fn in_pool<R: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> R + Send,
) -> Result<R, TrainError> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or(available);
    if !(1..=1024).contains(&threads) {
        return Err(TrainError::Setting(format!("threads is {threads}; give 1 to 1024")));
    }
    cream_nn::ops::simd::check().map_err(TrainError::Setting)?;
    memory::keep_freed();
    // Candle reads its thread counts from the environment only. Its second pool, for elementwise operations, spins
    // while it waits and would take time from rayon's: it gets no thread of its own.
    // SAFETY: the caller promises that no other thread runs yet.
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        std::env::set_var("CANDLE_NUM_THREADS", "1");
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| TrainError::Setting(format!("threads: {error}")))?;
    Ok(rayon::scope(|_| work()))
}
