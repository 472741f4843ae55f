//! Copies through page-locked memory, and a second stream for images.

use super::page_locked::Piece;
use crate::ops::cuda::{tensor, with_storages};
use crate::ops::element::contiguous;
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{CudaStorage, DType, Device, Result, Shape, Tensor};
use cudarc::driver::sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
use cudarc::driver::{
    CudaEvent, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceRepr, result,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Values as a tensor. The copy takes its turn among the device's work.
pub(super) fn upload(values: &[f32], shape: Shape, device: &CudaDevice) -> Result<Tensor> {
    if shape.elem_count() != values.len() {
        candle_core::bail!("{} values for a tensor of shape {shape:?}", values.len());
    }
    let memory = copied(values, f32::to_ne_bytes, device)?;
    Ok(tensor(CudaStorage::wrap_cuda_slice(memory, device.clone()), shape))
}

/// Words in memory of the device, for a kernel to read. The copy takes its turn among the device's work.
pub(crate) fn words_to_device(words: &[u32], device: &CudaDevice) -> Result<CudaSlice<u32>> {
    copied(words, u32::to_ne_bytes, device)
}

fn copied<T: DeviceRepr + Copy>(
    values: &[T],
    bytes_of: impl Fn(T) -> [u8; 4],
    device: &CudaDevice,
) -> Result<CudaSlice<T>> {
    let stream = device.cuda_stream();
    let mut piece = Piece::of(4 * values.len(), device)?;
    let (bytes, _) = piece.bytes()?.split_at_mut(4 * values.len());
    let (words, _) = bytes.as_chunks_mut::<4>();
    words.iter_mut().zip(values).for_each(|(word, value)| *word = bytes_of(*value));
    // SAFETY: the copy below writes all of it.
    let mut memory = unsafe { device.alloc::<T>(values.len()) }?;
    let to = memory.device_ptr_mut(&stream).0;
    // SAFETY: both places have so many bytes, and the piece is let go only behind the copy.
    unsafe { result::memcpy_htod_async(to, bytes, stream.cu_stream()) }.w()?;
    piece.begun(&stream)?;
    Ok(memory)
}

/// Tensors on their way to the host.
#[derive(Debug)]
pub(super) struct Download {
    piece: Piece,
    tensors: Vec<(Shape, DType)>,
}

impl Download {
    pub(super) fn begin(tensors: &[&Tensor], device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        let len = tensors.iter().map(|tensor| 4 * tensor.elem_count()).sum();
        let mut piece = Piece::of(len, device)?;
        let mut rest = piece.bytes()?;
        for tensor in tensors {
            let (bytes, behind) = rest.split_at_mut(4 * tensor.elem_count());
            let from = place(tensor)?;
            // SAFETY: the tensor has so many bytes, and the piece is read only behind the copy. Memory that is freed before
            // is given away only to what comes later in the same stream.
            unsafe { result::memcpy_dtoh_async(bytes, from, stream.cu_stream()) }.w()?;
            rest = behind;
        }
        piece.begun(&stream)?;
        let tensors = tensors.iter().map(|tensor| (tensor.shape().clone(), tensor.dtype()));
        Ok(Self { piece, tensors: tensors.collect() })
    }

    pub(super) fn wait(mut self) -> Result<Vec<Tensor>> {
        self.piece.wait()?;
        let (words, _) = self.piece.bytes()?.as_chunks::<4>();
        let mut words = words.iter().copied();
        let mut tensors = Vec::with_capacity(self.tensors.len());
        for (shape, dtype) in &self.tensors {
            let own = words.by_ref().take(shape.elem_count());
            tensors.push(match dtype {
                DType::U32 => {
                    let values: Vec<u32> = own.map(u32::from_ne_bytes).collect();
                    Tensor::from_vec(values, shape.clone(), &Device::Cpu)?
                }
                _ => {
                    let values: Vec<f32> = own.map(f32::from_ne_bytes).collect();
                    Tensor::from_vec(values, shape.clone(), &Device::Cpu)?
                }
            });
        }
        Ok(tensors)
    }
}

/// Where a contiguous tensor of four-byte elements lies.
fn place(tensor: &Tensor) -> Result<u64> {
    with_storages([tensor], "a copy to the host", |[(storage, layout)]| {
        let stream = storage.device.cuda_stream();
        let (start, end) = contiguous(layout, "a copy to the host")?;
        match tensor.dtype() {
            DType::F32 => {
                Ok(storage.as_cuda_slice::<f32>()?.slice(start..end).device_ptr(&stream).0)
            }
            DType::U32 => {
                Ok(storage.as_cuda_slice::<u32>()?.slice(start..end).device_ptr(&stream).0)
            }
            other => candle_core::bail!("a copy to the host: {other:?} is not supported"),
        }
    })
}

/// A stream of its own for images, and memory for them that is used in turns.
#[derive(Clone, Debug)]
pub(super) struct PixelLane {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    /// Places that nobody has, though the device may still be reading from some of them.
    kept: Arc<Mutex<Vec<Place>>>,
}

/// Memory on the device for the pixels of a batch.
#[derive(Debug)]
struct Place {
    /// In u8, one dimension.
    memory: Tensor,
    address: u64,
    /// The end of the last work that reads it.
    read: CudaEvent,
}

/// See [`super::Pixels`].
#[derive(Debug)]
pub(super) struct Pixels {
    lane: PixelLane,
    place: Option<Place>,
    piece: Piece,
    len: usize,
}

impl PixelLane {
    pub(super) fn new(device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream().context().new_stream().w()?;
        Ok(Self { device: device.clone(), stream, kept: Arc::default() })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<Pixels> {
        let place = self.place(bytes.len())?;
        let mut piece = Piece::of(bytes.len(), &self.device)?;
        let (own, _) = piece.bytes()?.split_at_mut(bytes.len());
        own.copy_from_slice(bytes);
        self.stream.wait(&place.read).w()?;
        // SAFETY: both places have so many bytes, the device has read what was there, and the piece is let go only behind
        // the copy.
        unsafe { result::memcpy_htod_async(place.address, own, self.stream.cu_stream()) }.w()?;
        piece.begun(&self.stream)?;
        Ok(Pixels { lane: self.clone(), place: Some(place), piece, len: bytes.len() })
    }

    /// One with room for so many bytes.
    fn place(&self, len: usize) -> Result<Place> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.iter().position(|place| place.memory.elem_count() >= len) {
            return Ok(kept.swap_remove(found));
        }
        drop(kept);
        let stream = self.device.cuda_stream();
        // SAFETY: only what has been copied there is read.
        let mut memory = unsafe { self.device.alloc::<u8>(len) }?;
        let address = memory.device_ptr_mut(&stream).0;
        let memory = tensor(CudaStorage::wrap_cuda_slice(memory, self.device.clone()), len);
        // The memory is there once its stream has come this far.
        let read = stream.record_event(Some(CU_EVENT_DISABLE_TIMING)).w()?;
        Ok(Place { memory, address, read })
    }
}

impl Pixels {
    pub(super) fn with<R>(&self, shape: Shape, f: impl FnOnce(&Tensor) -> Result<R>) -> Result<R> {
        let Some(place) = &self.place else { candle_core::bail!("pixels after their end") };
        if shape.elem_count() > self.len {
            candle_core::bail!("{} bytes were sent, not {shape:?}", self.len);
        }
        self.piece.hold(&self.lane.device.cuda_stream())?;
        f(&place.memory.narrow(0, 0, shape.elem_count())?.reshape(shape)?)
    }
}

impl Drop for Pixels {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let stream = self.lane.device.cuda_stream();
        // Pixels that nobody took may still be on their way: freed in this stream, the place would go to others before.
        let arrived = self.piece.hold(&stream);
        // Behind all work that was given these pixels. Without the event the place cannot be used again.
        if arrived.is_ok() && place.read.record(&stream).is_ok() {
            self.lane.kept.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
    }
}
