//! Numbers from the host to a device and back, without a step waiting for them.
//!
//! A copy between a device and ordinary memory may wait for all work that was put into the device's queue before it. So
//! what a step needs goes by way of page-locked memory, of which the process keeps some. On the CPU everything here is
//! done at once, and copies nothing.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cuda")]
mod page_locked;

#[cfg(feature = "cuda")]
pub(crate) use cuda::words_to_device;

use candle_core::{Device, Result, Shape, Tensor};

/// Values as a tensor on a device.
///
/// # Errors
/// When their number does not fit the shape, or the device has no room.
pub fn to_device(values: Vec<f32>, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return cuda::upload(&values, shape.into(), device);
    }
    Tensor::from_vec(values, shape.into(), device)
}

/// Tensors on their way to the host. They are copied as they were when it was made, whatever the device does meanwhile.
#[derive(Debug)]
pub struct Download(State);

#[derive(Debug)]
enum State {
    /// On the CPU they are where they should be.
    Here(Vec<Tensor>),
    #[cfg(feature = "cuda")]
    Cuda(cuda::Download),
}

impl Download {
    /// Begins to copy tensors of one device, each of f32 or u32.
    ///
    /// # Errors
    /// When the host has no room, or a tensor has another type.
    pub fn begin(tensors: &[&Tensor]) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if let Some(Device::Cuda(device)) = tensors.first().map(|tensor| tensor.device()) {
            return Ok(Self(State::Cuda(cuda::Download::begin(tensors, device)?)));
        }
        Ok(Self(State::Here(tensors.iter().map(|tensor| tensor.detach()).collect())))
    }

    /// The tensors on the CPU, once the device has come as far as where they were begun.
    ///
    /// # Errors
    /// When work on the device has failed.
    pub fn wait(self) -> Result<Vec<Tensor>> {
        match self.0 {
            State::Here(tensors) => Ok(tensors),
            #[cfg(feature = "cuda")]
            State::Cuda(download) => download.wait(),
        }
    }
}

/// Images on their way to a device, past what it is doing.
#[derive(Clone, Debug)]
pub struct PixelLane {
    #[cfg(feature = "cuda")]
    lane: Option<cuda::PixelLane>,
}

/// The pixels of a batch on their way, or on the device. Nothing on the CPU.
#[derive(Debug)]
pub struct Pixels {
    #[cfg(feature = "cuda")]
    pixels: cuda::Pixels,
}

impl PixelLane {
    /// A lane to `device`.
    ///
    /// # Errors
    /// When the device refuses another stream.
    pub fn new(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let lane = device.as_cuda_device().ok().map(cuda::PixelLane::new).transpose()?;
        let _ = device;
        Ok(Self {
            #[cfg(feature = "cuda")]
            lane,
        })
    }

    /// Sends off bytes, which may change afterwards; `None` where they are to be read as they lie, on the CPU.
    ///
    /// # Errors
    /// When host or device has no room.
    pub fn send(&self, bytes: &[u8]) -> Result<Option<Pixels>> {
        #[cfg(feature = "cuda")]
        if let Some(lane) = &self.lane {
            return Ok(Some(Pixels { pixels: lane.send(bytes)? }));
        }
        let _ = bytes;
        Ok(None)
    }
}

impl Pixels {
    /// Calls `f` with the bytes `shape` on the device, in u8. Work that `f` puts into the device's queue waits for their
    /// arrival; the tensor must not be used after `f`.
    ///
    /// # Errors
    /// Those of `f`; when the shape has more bytes than were sent.
    pub fn with<R>(
        &self,
        shape: impl Into<Shape>,
        f: impl FnOnce(&Tensor) -> Result<R>,
    ) -> Result<R> {
        #[cfg(feature = "cuda")]
        {
            self.pixels.with(shape.into(), f)
        }
        #[cfg(not(feature = "cuda"))]
        {
            let (_, _) = (shape.into(), f);
            candle_core::bail!("pixels were sent to a device that is not there")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Download, PixelLane, to_device};
    use candle_core::{Device, Tensor};

    #[test]
    fn on_the_cpu_everything_is_there_already() {
        let tensor = to_device(vec![1.0, 2.0], 2, &Device::Cpu).unwrap();
        let count = Tensor::new(7_u32, &Device::Cpu).unwrap();
        let back = Download::begin(&[&tensor, &count]).unwrap().wait().unwrap();
        assert_eq!(back[0].to_vec1::<f32>().unwrap(), [1.0, 2.0]);
        assert_eq!(back[1].to_scalar::<u32>().unwrap(), 7);
        assert!(to_device(vec![1.0], 2, &Device::Cpu).is_err());
        assert!(PixelLane::new(&Device::Cpu).unwrap().send(&[1, 2, 3]).unwrap().is_none());
    }
}
