//! Where networks run, and with how many threads.

use crate::precision::Precision;
use crate::{TrainError, memory};
use candle_core::Device;

#[cfg(feature = "cuda")]
mod cuda;

/// What stands for [`cuda`] in a program without it.
#[cfg(not(feature = "cuda"))]
mod cuda {
    use candle_core::{CudaDevice, Device};

    pub(super) fn open(_: usize) -> Result<Device, String> {
        Err("this program was built without CUDA (cargo's feature cuda)".to_owned())
    }

    pub(super) fn describe(_: &CudaDevice) -> String {
        "cuda".to_owned()
    }
}

/// `cpu`, `cuda`, `cuda:N`, or `auto`: the first CUDA device if there is one that can be used, otherwise the CPU. All
/// products of the process are in `precision` from then on.
///
/// # Errors
/// [`TrainError::Setting`] for an unknown name; for `cuda[:N]` without a driver, without that device, with one that the
/// kernels do not run on, or in a program that was built without the feature `cuda`; for a precision that the device
/// does not compute in.
pub fn open(name: &str, precision: Precision) -> Result<Device, TrainError> {
    let device = find(name)?;
    precision.check(&device)?;
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
    Ok(device)
}

fn find(name: &str) -> Result<Device, TrainError> {
    let ordinal = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(cuda::open(0).unwrap_or(Device::Cpu)),
        "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|ordinal| ordinal.parse().ok()),
    };
    let Some(ordinal) = ordinal else {
        return Err(TrainError::Setting(format!("device {name}: give auto, cpu or cuda[:N]")));
    };
    cuda::open(ordinal).map_err(|reason| {
        TrainError::Setting(format!("device {name}: {reason}; use another device or --device cpu"))
    })
}

/// A line for people: the device that was opened by this name, and why `auto` is not a CUDA device. Nothing where there
/// was no choice, in a program that was built without the feature `cuda`.
pub fn describe(name: &str, device: &Device) -> Option<String> {
    match device {
        Device::Cuda(device) => Some(format!("device {}", cuda::describe(device))),
        _ if !cfg!(feature = "cuda") => None,
        _ if name == "auto" => {
            let reason = cuda::open(0).err();
            Some(format!("device cpu: {}", reason.as_deref().unwrap_or("no other was free")))
        }
        _ => Some("device cpu".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::TrainError;
    use crate::precision::Precision;
    use candle_core::Device;

    fn open(name: &str) -> Result<Device, TrainError> {
        super::open(name, Precision::F32)
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["tpu", "cuda:", "cuda:-1", "cuda:0x", "CPU", ""] {
            let error = open(name).unwrap_err();
            assert!(error.is_input(), "{name}");
            let expected = format!("device {name}: give auto, cpu or cuda[:N]");
            assert_eq!(error.to_string(), expected);
        }
        assert!(open("cpu").unwrap().is_cpu());
    }

    /// `auto` never fails, and says so where it had a choice; a device by name that is not there is an error.
    #[test]
    fn what_cannot_be_had_is_said_in_one_line() {
        let device = open("auto").unwrap();
        let text = describe("auto", &device);
        assert_eq!(text.is_some(), cfg!(feature = "cuda"));
        let error = open("cuda:4096").unwrap_err();
        assert!(error.is_input() && !error.to_string().contains('\n'), "{error}");
        assert!(error.to_string().ends_with("use another device or --device cpu"), "{error}");
    }
}
