//! Memory that is used again. A training step allocates the same few hundred megabytes every
//! time; asking the system for them anew costs a page fault per 4 KiB, which on the shallow
//! layers is as long as the arithmetic.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Buffers below this length go back to the allocator, which is fast for them.
const SMALLEST_KEPT: usize = 16 * 1024;
/// Most values kept for reuse (2 GiB); past it the whole pool is released.
const MOST_KEPT: usize = 512 * 1024 * 1024;

#[derive(Default)]
struct Pool {
    by_length: HashMap<usize, Vec<Vec<f32>>>,
    kept: usize,
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector that returns to the pool when dropped.
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// A buffer of `len` values left over from earlier use: for kernels that write every one.
    pub(crate) fn stale(len: usize) -> Self {
        if len >= SMALLEST_KEPT {
            let mut pool = pool();
            if let Some(values) = pool.by_length.get_mut(&len).and_then(Vec::pop) {
                pool.kept -= len;
                return Self(values);
            }
        }
        Self(vec![0.0; len])
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
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self(values)
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let len = self.0.len();
        if !(SMALLEST_KEPT..=MOST_KEPT).contains(&len) {
            return;
        }
        let values = std::mem::take(&mut self.0);
        let mut pool = pool();
        if pool.kept + len > MOST_KEPT {
            pool.by_length.clear();
            pool.kept = 0;
        }
        pool.kept += len;
        pool.by_length.entry(len).or_default().push(values);
    }
}
