//! Memory of activations and their gradients, kept from step to step.
//!
//! A step needs hundreds of megabytes for moments each. Given back to the system and asked for again, every page of
//! them would be cleared and mapped anew, which costs more than the arithmetic on it.

use crate::ops::lanes::Lanes;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many elements in memory that goes back to the pool when dropped. What they hold at first is left over from
/// another use: whoever takes a buffer writes all of it.
#[derive(Debug)]
pub(crate) struct Buffer<T: Pooled> {
    values: Vec<T>,
    len: usize,
}

/// What is free, and how much there was at most.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    free: Vec<Vec<T>>,
    /// Elements in use and free.
    held: usize,
    in_use: usize,
    /// The most elements that were ever in use at once.
    peak: usize,
}

impl<T> Pool<T> {
    const fn new() -> Self {
        Self { free: Vec::new(), held: 0, in_use: 0, peak: 0 }
    }
}

/// An element with a pool of its own.
pub(crate) trait Pooled: Lanes {
    fn pool() -> &'static Mutex<Pool<Self>>;
}

impl Pooled for f32 {
    fn pool() -> &'static Mutex<Pool<f32>> {
        static POOL: Mutex<Pool<f32>> = Mutex::new(Pool::new());
        &POOL
    }
}

impl Pooled for f64 {
    fn pool() -> &'static Mutex<Pool<f64>> {
        static POOL: Mutex<Pool<f64>> = Mutex::new(Pool::new());
        &POOL
    }
}

/// A pool is consistent between any two of its statements, so a panic elsewhere does not spoil it.
fn lock<T: Pooled>() -> MutexGuard<'static, Pool<T>> {
    T::pool().lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Pooled> Buffer<T> {
    /// `len` elements of unspecified value.
    pub(crate) fn new(len: usize) -> Self {
        let mut pool = lock::<T>();
        // Best fit, if no more than half of it would lie idle.
        let fits = |v: &Vec<T>| v.len() >= len && v.len() / 2 <= len;
        let best = (0..pool.free.len()).filter(|&i| fits(&pool.free[i]));
        let values = match best.min_by_key(|&i| pool.free[i].len()) {
            Some(i) => pool.free.swap_remove(i),
            None => {
                pool.held += len;
                Vec::new()
            }
        };
        pool.in_use += values.len().max(len);
        pool.peak = pool.peak.max(pool.in_use);
        drop(pool);
        let values = if values.is_empty() { vec![T::zero(); len] } else { values };
        Self { values, len }
    }

    /// A copy of `values`.
    pub(crate) fn copy_of(values: &[T]) -> Self {
        let mut buffer = Self::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(T::zero());
        buffer
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut pool = lock::<T>();
        pool.in_use -= values.len();
        // Networks differ from step to step: what has not been needed at once is not kept much beyond that.
        if pool.held > pool.peak + pool.peak / 4 {
            pool.held -= values.len();
            drop(pool);
            drop(values);
        } else if !values.is_empty() {
            pool.free.push(values);
        }
    }
}

impl<T: Pooled> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T: Pooled> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_where_it_fits() {
        // Sizes that no other test uses, as they share the pool.
        let mut first = Buffer::<f64>::new(1_000_003);
        first[5] = 7.5;
        let address = first.as_ptr();
        drop(first);
        let again = Buffer::<f64>::new(900_001);
        assert_eq!((again.as_ptr(), again.len(), again[5]), (address, 900_001, 7.5));
        let other = Buffer::<f64>::new(900_001);
        assert_ne!(other.as_ptr(), address);
        drop((again, other));
        let small = Buffer::<f64>::zeros(100_003);
        assert!(small.as_ptr() != address && small.iter().all(|&v| v == 0.0));
    }
}
