//! Batches on their way to the device, one ahead of the step that is under way.

use crate::TrainError;
use candle_core::Device;
use cream_data::{Batch, Loader};
use cream_nn::transfer::{PixelLane, Pixels};

/// A batch, with its pixels on the way to a device that is another than the CPU.
#[derive(Debug)]
pub struct Sent {
    /// The batch.
    pub batch: Batch,
    /// Its pixels on the device; `None` on the CPU.
    pub pixels: Option<Pixels>,
}

/// The batches of an epoch for steps on a device, to which the next one is sent while a step is under way.
pub struct Incoming {
    batches: Loader,
    lane: PixelLane,
    ahead: Option<Result<Sent, TrainError>>,
    /// Whether there is a device to keep busy.
    looks_ahead: bool,
}

impl Incoming {
    /// Of what is left of an epoch.
    ///
    /// # Errors
    /// When the device refuses another stream.
    pub fn new(batches: Loader, device: &Device) -> Result<Self, TrainError> {
        let (lane, looks_ahead) = (PixelLane::new(device)?, !device.is_cpu());
        Ok(Self { batches, lane, ahead: None, looks_ahead })
    }

    /// Where the batches come from.
    pub fn loader(&self) -> &Loader {
        &self.batches
    }

    /// Sends the next batch off, if there is one: to be called when a step is in the device's queue, before it is waited
    /// for. An error stays until that batch's turn.
    pub fn look_ahead(&mut self) {
        if self.looks_ahead && self.ahead.is_none() {
            self.ahead = self.send_next();
        }
    }

    fn send_next(&mut self) -> Option<Result<Sent, TrainError>> {
        let send = |batch: Batch| {
            let pixels = self.lane.send(&batch.pixels)?;
            Ok(Sent { batch, pixels })
        };
        Some(self.batches.next()?.map_err(TrainError::from).and_then(send))
    }
}

impl Iterator for Incoming {
    type Item = Result<Sent, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ahead.take().or_else(|| self.send_next())
    }
}
