//! Memory that is used again. A training step allocates the same few hundred megabytes every
//! time; asking the system for them anew costs a page fault per 4 KiB, which on the shallow
//! layers is as long as the arithmetic. Buffers are kept by size class, so that batches that shrink,
//! as under attack, find what larger ones left.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Buffers below this length go back to the allocator, which is fast for them.
const SMALLEST_KEPT: usize = 16 * 1024;
/// Most values kept for reuse (8 GiB); past it the whole pool is released.
const MOST_KEPT: usize = 2048 * 1024 * 1024;

#[derive(Default)]
struct Pool {
    by_class: HashMap<usize, Vec<Vec<f32>>>,
    /// Values kept, by capacity.
    kept: usize,
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Classes of an octave, as a power of two: a buffer is at most an eighth longer than asked for.
const CLASSES: u32 = 3;

/// The distance between the classes around `len`.
fn step(len: usize) -> usize {
    1 << len.max(1).ilog2().saturating_sub(CLASSES)
}

/// A vector that returns to the pool when dropped, if it is one that the pool gave out: others, of
/// which nobody will ask for more, would only fill it.
pub(crate) struct Buffer {
    values: Vec<f32>,
    is_pooled: bool,
}

impl Buffer {
    /// A buffer of `len` values left over from earlier use: for kernels that write every one.
    pub(crate) fn stale(len: usize) -> Self {
        if len < SMALLEST_KEPT {
            return vec![0.0; len].into();
        }
        let class = len.next_multiple_of(step(len));
        let mut pool = pool();
        let kept = pool.by_class.get_mut(&class).and_then(Vec::pop);
        if let Some(values) = &kept {
            pool.kept -= values.capacity();
        }
        drop(pool);
        crate::meter::buffer(kept.is_none());
        let mut values = kept.unwrap_or_else(|| vec![0.0; class]);
        values.resize(len, 0.0);
        Self { values, is_pooled: true }
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        if len >= SMALLEST_KEPT {
            buffer.fill(0.0);
        }
        buffer
    }

    pub(crate) fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.values)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.values.len())
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self { values, is_pooled: false }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let capacity = self.values.capacity();
        if !self.is_pooled || !(SMALLEST_KEPT..=MOST_KEPT).contains(&capacity) {
            return;
        }
        let values = std::mem::take(&mut self.values);
        let mut pool = pool();
        if pool.kept + capacity > MOST_KEPT {
            pool.by_class.clear();
            pool.kept = 0;
        }
        pool.kept += capacity;
        pool.by_class.entry(capacity - capacity % step(capacity)).or_default().push(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_is_asked_of_it_and_little_more() {
        for len in (SMALLEST_KEPT..SMALLEST_KEPT * 5).step_by(97) {
            let class = len.next_multiple_of(step(len));
            assert!(class >= len && class * 8 <= len * 9, "{len} {class}");
            // What was given out under a class goes back to it.
            assert_eq!(class - class % step(class), class);
            let buffer = Buffer::stale(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.values.capacity() >= class);
        }
        assert!(Buffer::zeros(SMALLEST_KEPT + 1).iter().all(|&value| value == 0.0));
    }
}
