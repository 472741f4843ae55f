//! Batches of one epoch, made ahead by worker threads in an order that no timing can change.
//!
//! Worker w of W makes whole batches w, w + W, w + 2 W, ... and puts them into its own bounded
//! channel; the consumer takes from the channels in turn. A batch is a function of (seed, epoch,
//! batch number), so an epoch can be resumed at any batch.

use std::iter::repeat_n;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::batch::Batch;
use crate::decode::Encoded;
use crate::error::DataError;
use crate::keyed::{self, Key, Purpose};
use crate::pool::Pool;
use crate::shards::{SampleId, ShardSet, Split};
use crate::transform::{EvalTransform, ResizeScratch, TrainTransform, Transform, Views};

/// How batches are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderSettings {
    /// Samples in a batch, those of all ranks together; [`Transform::Views`] makes several images of each.
    pub batch: usize,
    /// Threads that decode; 0 decodes in the thread that asks for batches.
    pub workers: usize,
    /// Batches that each worker makes ahead.
    pub queue: usize,
    /// What the order and the augmentation depend on, with the epoch.
    pub seed: u64,
    /// Leaves out the last batch when it is not full.
    pub drop_last: bool,
    /// Which slice of every batch this loader makes, from 0.
    pub rank: usize,
    /// Into how many equal slices batches are cut; it divides `batch`. The slices of one batch
    /// together are the batch that a single rank would get. Of a last batch that is not full, the
    /// later ranks may get nothing, and then get an empty batch.
    pub ranks: usize,
}

impl Default for LoaderSettings {
    fn default() -> Self {
        Self { batch: 64, workers: 1, queue: 4, seed: 0, drop_last: false, rank: 0, ranks: 1 }
    }
}

/// Most samples of a batch, most threads, most batches ahead.
const MAX_BATCH: usize = 1 << 16;
const MAX_WORKERS: usize = 256;
const MAX_QUEUE: usize = 1024;

impl LoaderSettings {
    fn check(&self) -> Result<(), DataError> {
        let setting = |name, value: usize, good: bool, allowed| {
            if good {
                return Ok(());
            }
            Err(DataError::Setting { name, value: value.to_string(), allowed })
        };
        setting("batch", self.batch, (1..=MAX_BATCH).contains(&self.batch), "1 to 65536")?;
        setting("workers", self.workers, self.workers <= MAX_WORKERS, "at most 256")?;
        setting("queue", self.queue, (1..=MAX_QUEUE).contains(&self.queue), "1 to 1024")?;
        let divides = self.ranks > 0 && self.batch.is_multiple_of(self.ranks);
        setting("ranks", self.ranks, divides, "a divisor of the batch")?;
        setting("rank", self.rank, self.rank < self.ranks, "below the number of ranks")
    }

    /// Whether batches may be mixed: each rank's slice has to hold whole pairs.
    fn check_mixing(&self, transform: &Transform) -> Result<(), DataError> {
        let mixed = matches!(transform, Transform::Train(train) if train.mixing.is_some());
        if mixed && self.ranks > 1 && !(self.batch / self.ranks).is_multiple_of(2) {
            let (name, allowed) = ("batch", "an even number per rank where images are mixed");
            return Err(DataError::Setting { name, value: self.batch.to_string(), allowed });
        }
        Ok(())
    }
}

/// An iterator over the batches of one epoch. An `Err` stands where its batch would be; those
/// after it still come.
pub struct Loader {
    plan: Arc<Plan>,
    first: usize,
    next: usize,
    workers: Vec<Receiver<Result<Batch, DataError>>>,
    threads: Vec<JoinHandle<()>>,
    scratch: Scratch,
    waited: Duration,
}

impl Loader {
    /// The batches of training epoch `epoch` from number `first_batch` on: the split's samples in
    /// an order that depends on (seed, epoch), each augmented by (seed, epoch, sample), or cut as for
    /// evaluation.
    ///
    /// # Errors
    /// [`DataError::Setting`] for a setting outside its range.
    pub fn train(
        set: &Arc<ShardSet>,
        split: Split,
        transform: impl Into<Transform>,
        settings: LoaderSettings,
        epoch: u64,
        first_batch: usize,
    ) -> Result<Self, DataError> {
        let order = epoch_order(set, split, settings.seed, epoch);
        Self::start(set, order, transform.into(), settings, epoch, first_batch)
    }

    /// The split's samples in shard order, cropped the same way every time. `drop_last` is not
    /// heeded: evaluation counts every sample.
    ///
    /// # Errors
    /// [`DataError::Setting`] for a setting outside its range.
    pub fn eval(
        set: &Arc<ShardSet>,
        split: Split,
        transform: EvalTransform,
        settings: LoaderSettings,
    ) -> Result<Self, DataError> {
        let settings = LoaderSettings { drop_last: false, ..settings };
        Self::start(set, set.samples(split), Transform::Eval(transform), settings, 0, 0)
    }

    /// The given samples in the given order; `epoch` keys the augmentation of a training
    /// transform.
    ///
    /// # Errors
    /// [`DataError::Setting`] for a setting outside its range, [`DataError::NoSample`].
    pub fn samples(
        set: &Arc<ShardSet>,
        samples: Vec<SampleId>,
        transform: Transform,
        settings: LoaderSettings,
        epoch: u64,
    ) -> Result<Self, DataError> {
        for &sample in &samples {
            set.label(sample)?;
        }
        Self::start(set, samples, transform, settings, epoch, 0)
    }

    /// Batches of the whole epoch, those before the first one included.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.plan.batches
    }

    /// The number of the batch that comes next: an epoch resumed from there, with the same settings,
    /// has the batches that are still to come.
    #[must_use]
    pub fn position(&self) -> usize {
        self.next
    }

    /// How long the consumer has waited for batches so far; with 0 workers, the time that making
    /// them took.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn start(
        set: &Arc<ShardSet>,
        order: Vec<SampleId>,
        transform: Transform,
        settings: LoaderSettings,
        epoch: u64,
        first_batch: usize,
    ) -> Result<Self, DataError> {
        settings.check()?;
        transform.check()?;
        settings.check_mixing(&transform)?;
        let LoaderSettings { batch, seed, rank, ranks, .. } = settings;
        let batches =
            if settings.drop_last { order.len() / batch } else { order.len().div_ceil(batch) };
        let set = Arc::clone(set);
        // All that can be about: in the queues, being made, and two with the consumer.
        let pool = Pool::new(settings.workers * (settings.queue + 1) + 2);
        let slice = rank * (batch / ranks)..(rank + 1) * (batch / ranks);
        let plan = Plan { set, order, transform, seed, epoch, batch, slice, batches, pool };
        let plan = Arc::new(plan);
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        let useful = settings.workers.min(batches.saturating_sub(first_batch));
        for worker in 0..useful {
            let (sender, receiver) = bounded(settings.queue);
            let plan = Arc::clone(&plan);
            let thread = std::thread::Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(move || plan.work(first_batch + worker, useful, &sender))
                .map_err(DataError::io("starting a loading thread"))?;
            workers.push(receiver);
            threads.push(thread);
        }
        let (scratch, waited) = (Scratch::default(), Duration::ZERO);
        Ok(Self { plan, first: first_batch, next: first_batch, workers, threads, scratch, waited })
    }

    fn receive(&mut self) -> Result<Batch, DataError> {
        if self.workers.is_empty() {
            return self.plan.batch(self.next, &mut self.scratch);
        }
        // The threads took turns from the first batch on, and so does this.
        let worker = (self.next - self.first) % self.workers.len();
        self.workers[worker].recv().unwrap_or(Err(DataError::WorkerLost { worker }))
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.plan.batches {
            return None;
        }
        let start = Instant::now();
        let batch = self.receive();
        self.waited += start.elapsed();
        self.next += 1;
        if matches!(batch, Err(DataError::WorkerLost { .. })) {
            self.next = self.plan.batches;
        }
        Some(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Closed channels end the threads at their next batch.
        self.workers.clear();
        for thread in self.threads.drain(..) {
            // A panic in a thread was reported as a lost worker already.
            let _ = thread.join();
        }
    }
}

/// The order of a training epoch: a permutation that depends on (seed, epoch) alone.
fn epoch_order(set: &ShardSet, split: Split, seed: u64, epoch: u64) -> Vec<SampleId> {
    let mut order = set.samples(split);
    keyed::shuffle(&mut Key::new(seed, Purpose::Shuffle).rng(&[epoch, 0]), &mut order);
    order
}

/// All that a batch is a function of, with its number.
struct Plan {
    set: Arc<ShardSet>,
    order: Vec<SampleId>,
    transform: Transform,
    seed: u64,
    epoch: u64,
    batch: usize,
    /// Which places of every batch are this rank's.
    slice: Range<usize>,
    batches: usize,
    pool: Pool,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    resize: ResizeScratch,
}

impl Plan {
    /// Makes every `step`-th batch from `first` on, until the consumer is gone.
    fn work(&self, first: usize, step: usize, sender: &Sender<Result<Batch, DataError>>) {
        let mut scratch = Scratch::default();
        for index in (first..self.batches).step_by(step) {
            if sender.send(self.batch(index, &mut scratch)).is_err() {
                return;
            }
        }
    }

    fn batch(&self, index: usize, scratch: &mut Scratch) -> Result<Batch, DataError> {
        let start = index * self.batch;
        let place = |place: usize| (start + place).min(self.order.len());
        let samples = self.order[place(self.slice.start)..place(self.slice.end)].to_vec();
        let image_size = self.transform.image_size();
        let image = image_size * image_size * 3;
        let views = self.transform.views();
        let mut pixels = self.pool.take(samples.len() * views * image);
        let mut labels = Vec::with_capacity(samples.len() * views);
        let mut erasures = Vec::with_capacity(samples.len() * views);
        for (&sample, out) in samples.iter().zip(pixels.chunks_exact_mut(views * image)) {
            let erasure =
                self.sample(sample, scratch, out).map_err(|e| self.set.name_fault(sample, e))?;
            labels.extend(repeat_n(self.set.label(sample)?, views));
            erasures.extend(repeat_n(erasure, views));
        }
        let samples = samples.iter().flat_map(|&sample| repeat_n(sample, views)).collect();
        let mix = match &self.transform {
            Transform::Train(TrainTransform { mixing: Some(mixing), .. }) => {
                mixing.draw((self.seed, self.epoch, index as u64), image_size)
            }
            _ => None,
        };
        Ok(Batch { index, samples, labels, image_size, pixels, erasures, mix })
    }

    fn sample(
        &self,
        sample: SampleId,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<Option<crate::Erasure>, DataError> {
        self.set.read(sample, &mut scratch.bytes)?;
        let image = Encoded::open(&scratch.bytes)?;
        match &self.transform {
            Transform::Eval(transform) => {
                let views = Views::default();
                transform.apply_encoded(image, views, &mut scratch.resize, out).map(|()| None)
            }
            Transform::Views(transform, views) => {
                transform.apply_encoded(image, *views, &mut scratch.resize, out).map(|()| None)
            }
            Transform::Train(transform) => {
                let key = (self.seed, self.epoch, u64::from(sample.index()));
                transform.apply_encoded(image, key, &mut scratch.resize, out)
            }
        }
    }
}
