//! Image shards in, batches of pixels out, without any tensor library.
//!
//! The way of a sample: [`shards::ShardSet`] finds it with one positioned read, [`decode()`] makes
//! pixels of it, a [`transform`] crops and augments them, and a [`loader::Loader`] hands out whole
//! batches in an order that depends on seed and epoch alone.
//!
//! Everything random is drawn from [`keyed`] generators, so that a sample's augmentation is a
//! function of (seed, epoch, sample) whichever thread computes it. The files are described in
//! `lib/data/FORMATS.md`.

pub mod batch;
pub mod decode;
pub mod encode;
pub mod error;
pub mod files;
pub mod imagenet;
pub mod keyed;
pub mod loader;
pub mod mix;
pub mod noise;
mod pool;
pub mod shards;
pub mod transform;

pub use batch::{Batch, Erasure};
pub use decode::{Encoded, ImageKind, RgbImage, decode};
pub use error::DataError;
pub use loader::{Loader, LoaderSettings};
pub use mix::{Mix, Mixing};
pub use pool::Pixels;
pub use shards::{SampleId, ShardSet, Split};
pub use transform::{
    Crops, EvalTransform, Filter, MagnitudeForm, RandAugment, TrainCrop, TrainInterpolation,
    TrainTransform, Transform, Views,
};
