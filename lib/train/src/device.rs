//! Where networks run, and with how many threads.

use crate::TrainError;
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

/// Sets the number of threads of all CPU work: rayon's pool, and the products that run on it. Call it once, first thing
/// in `main`, before any other thread exists. Results do not depend on it.
///
/// # Errors
/// When threads are running already, or 0 are asked for.
pub fn use_threads(threads: Option<usize>) -> Result<usize, TrainError> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or(available);
    if !(1..=1024).contains(&threads) {
        return Err(TrainError::Setting(format!("threads is {threads}; give 1 to 1024")));
    }
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
    Ok(threads)
}
