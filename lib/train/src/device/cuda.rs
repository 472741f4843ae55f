//! Finding and opening CUDA devices.

use candle_core::cuda::cudarc::driver::result::mem_pool;
use candle_core::cuda::cudarc::driver::sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD as RELEASE_THRESHOLD;
use candle_core::cuda::cudarc::driver::sys::CUresult::{
    CUDA_ERROR_NO_DEVICE, CUDA_ERROR_STUB_LIBRARY,
};
use candle_core::cuda::cudarc::driver::{CudaContext, DriverError, result};
use candle_core::{CudaDevice, Device};

/// The oldest compute capability that the kernels are compiled for.
const OLDEST: (i32, i32) = (8, 0);

/// Device number `ordinal`; or why it cannot be had, as the end of a sentence.
pub(super) fn open(ordinal: usize) -> Result<Device, String> {
    let count = usize::try_from(CudaContext::device_count().map_err(no_driver)?).unwrap_or(0);
    if count == 0 {
        return Err(no_driver(DriverError(CUDA_ERROR_NO_DEVICE)));
    }
    if ordinal >= count {
        return Err(match count {
            1 => "there is one CUDA device, cuda:0".to_owned(),
            _ => format!("there are CUDA devices from cuda:0 to cuda:{}", count - 1),
        });
    }
    let context = CudaContext::new(ordinal).map_err(|error| error.to_string())?;
    let capability = context.compute_capability().map_err(|error| error.to_string())?;
    if capability < OLDEST {
        let ((major, minor), (oldest, _)) = (capability, OLDEST);
        let name = context.name().map_err(|error| error.to_string())?;
        return Err(format!(
            "{name} has compute capability {major}.{minor}, and the kernels need {oldest}.0 or newer"
        ));
    }
    // A stream of its own: that of a thread would be another one for memory freed on another thread.
    let device = CudaDevice::new_with_stream(ordinal).map_err(|error| {
        format!("{error}; the libraries cuBLAS, cuRAND and NVRTC must be in the loader's path")
    })?;
    // SAFETY: nothing lies on the device yet, and all work on it goes to this one stream.
    unsafe { device.disable_event_tracking() };
    keep_freed(&context).map_err(|error| error.to_string())?;
    Ok(Device::Cuda(device))
}

/// Name and capability of an opened device.
pub(super) fn describe(device: &CudaDevice) -> String {
    let stream = device.cuda_stream();
    let context = stream.context();
    let name = context.name().unwrap_or_else(|_| "of unknown name".to_owned());
    let capability = context.compute_capability();
    let capability = capability.map_or("unknown".to_owned(), |(a, b)| format!("{a}.{b}"));
    format!("cuda:{}, {name}, compute capability {capability}", context.ordinal())
}

/// Why the driver shows no device.
fn no_driver(error: DriverError) -> String {
    match error.0 {
        CUDA_ERROR_STUB_LIBRARY => {
            "there is no NVIDIA driver here: libcuda.so.1 cannot be opened".to_owned()
        }
        CUDA_ERROR_NO_DEVICE => {
            "the driver shows no CUDA device: nvidia-smi lists them, CUDA_VISIBLE_DEVICES hides them"
                .to_owned()
        }
        _ => format!("the NVIDIA driver refuses to start: {error}"),
    }
}

/// Asks the device's memory pool to keep what is freed: a step frees and takes the same buffers as the one before.
fn keep_freed(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut all = u64::MAX;
    // SAFETY: the device is one that was opened, the pool is its own, and the attribute is a 64-bit number.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        mem_pool::set_attribute(pool, RELEASE_THRESHOLD, (&raw mut all).cast())
    }
}
