//! Batches cut to what a device has memory for.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::TensorError;

/// Errors among which there is a device's want of memory.
pub trait OutOfMemory {
    /// Whether that is what happened.
    fn is_out_of_memory(&self) -> bool;
}

/// [`OutOfMemory`] for an error that may be one of others: those of the named variants.
#[macro_export]
macro_rules! out_of_memory {
    ($error:ident: $($variant:ident),+) => {
        impl $crate::OutOfMemory for $error {
            fn is_out_of_memory(&self) -> bool {
                match self {
                    $(Self::$variant(error) => error.is_out_of_memory(),)+
                    _ => false,
                }
            }
        }
    };
}

impl OutOfMemory for TensorError {
    fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. })
    }
}

/// How many rows a device has room for: as many as asked for until it refuses, then half of those it refused,
/// for good. For work whose result for a row is of that row alone.
#[derive(Debug)]
pub struct Room {
    asked: usize,
    found: AtomicUsize,
}

impl Room {
    /// For `rows` at a time, or 1 if that is 0.
    pub fn new(rows: usize) -> Self {
        let asked = rows.max(1);
        Self { asked, found: AtomicUsize::new(asked) }
    }

    /// How many rows are taken at a time, if fewer than asked for.
    pub fn reduced(&self) -> Option<usize> {
        let found = self.found.load(Ordering::Relaxed);
        (found < self.asked).then_some(found)
    }

    /// `work` with so many rows as there is room for, `most` of them at most, and again with half where there is
    /// none.
    ///
    /// # Errors
    /// Those of `work`, a want of memory only for a single row.
    pub fn fit<T, E: OutOfMemory + From<TensorError>>(
        &self,
        most: usize,
        mut work: impl FnMut(usize) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let size = self.found.load(Ordering::Relaxed).min(most);
            let found = work(size).and_then(|found| {
                crate::failure()?;
                Ok(found)
            });
            match found {
                Err(error) if size > 1 && error.is_out_of_memory() => {
                    self.found.store(size.div_ceil(2), Ordering::Relaxed);
                }
                found => return found,
            }
        }
    }

    /// `work` on the ranges of `0..rows`, each no longer than there is room for, and again in halves where there
    /// is none; what it gave, in order.
    ///
    /// # Errors
    /// Those of `work`, a want of memory only for a single row.
    pub fn pieces<T, E: OutOfMemory + From<TensorError>>(
        &self,
        rows: usize,
        mut work: impl FnMut(std::ops::Range<usize>) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let (mut done, mut start) = (Vec::new(), 0);
        while start < rows {
            let piece = |size| work(start..start + size).map(|found| (found, size));
            let (found, size) = self.fit(rows - start, piece)?;
            done.push(found);
            start += size;
        }
        Ok(done)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Device;

    fn full() -> TensorError {
        TensorError::OutOfMemory { operation: "test", device: Device::TorchCuda(0) }
    }

    #[test]
    fn what_is_refused_is_halved_until_it_fits() {
        let room = Room::new(100);
        assert_eq!(room.reduced(), None);
        let mut tried = Vec::new();
        let pieces = room.pieces(100, |rows| {
            tried.push(rows.len());
            if rows.len() > 30 { Err(full()) } else { Ok(rows) }
        });
        assert_eq!(pieces.unwrap(), [0..25, 25..50, 50..75, 75..100]);
        assert_eq!(tried, [100, 50, 25, 25, 25, 25]);
        assert_eq!(room.reduced(), Some(25));
        // And what was learnt is kept.
        let pieces = room.pieces(60, |rows| Ok::<_, TensorError>(rows.len()));
        assert_eq!(pieces.unwrap(), [25, 25, 10]);
    }

    #[test]
    fn one_row_without_room_and_other_errors_end_it() {
        let room = Room::new(4);
        assert_eq!(room.pieces(4, |_| Err::<(), _>(full())).unwrap_err(), full());
        let other = || TensorError::DataLength { shape: vec![1], len: 2 };
        let room = Room::new(4);
        assert_eq!(room.pieces(4, |_| Err::<(), _>(other())).unwrap_err(), other());
        assert_eq!(room.reduced(), None);
    }
}
