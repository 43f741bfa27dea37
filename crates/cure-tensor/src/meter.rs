//! What was computed, and how: each operation with the path it took, its multiply-adds and its time, and
//! the buffers that were asked for. Benchmarks say from it where the time goes; tests count with it, so
//! that a path lost or a pass too many is found without a clock.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as in [`ops`](crate::ops).
    pub operation: &'static str,
    /// Which of several ways was taken; empty where there is one.
    pub path: &'static str,
    /// Shape of the weights of a convolution; empty for others.
    pub weight: Vec<usize>,
    /// Multiply-adds of the definition, for convolutions, whatever the path spends.
    pub multiply_adds: u64,
    /// Multiplications that its path takes instead, those of transforms left out.
    pub products: u64,
    /// Wall clock on the thread that asked for it.
    pub time: Duration,
    /// Whether other operations ran beside it, on other threads ([`ops::alone`](crate::ops::alone)).
    pub is_alone: bool,
}

/// What [`record`] saw.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In the order in which operations ended.
    pub entries: Vec<Entry>,
    /// Buffers long enough for the pool that were asked for.
    pub buffers: usize,
    /// Those of them that the pool did not have.
    pub new_buffers: usize,
    /// Values that were brought from a device of libtorch to the host, where the device waits for it.
    pub read_back: usize,
    /// How often it waited.
    pub waits: usize,
}

impl Record {
    /// Multiply-adds of one operation.
    pub fn multiply_adds(&self, operation: &str) -> u64 {
        let own = self.entries.iter().filter(|entry| entry.operation == operation);
        own.map(|entry| entry.multiply_adds).sum()
    }

    /// Multiplications taken, of all operations.
    pub fn products(&self) -> u64 {
        self.entries.iter().map(|entry| entry.products).sum()
    }
}

static IS_RECORDING: AtomicBool = AtomicBool::new(false);
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static BUFFERS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static READ_BACK: AtomicUsize = AtomicUsize::new(0);
static WAITS: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` and says what was computed meanwhile, on all threads of the process: of two recordings the
/// second waits (for ever, inside the first), but work that is not recorded at all is counted to whoever records.
pub fn record<R>(work: impl FnOnce() -> R) -> (R, Record) {
    /// Ends the recording, whatever becomes of the work.
    struct Recording(#[allow(dead_code)] std::sync::MutexGuard<'static, ()>);
    impl Drop for Recording {
        fn drop(&mut self) {
            IS_RECORDING.store(false, Ordering::SeqCst);
        }
    }
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let recording = Recording(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    entries().clear();
    BUFFERS.iter().chain([&READ_BACK, &WAITS]).for_each(|count| count.store(0, Ordering::SeqCst));
    IS_RECORDING.store(true, Ordering::SeqCst);
    let result = work();
    IS_RECORDING.store(false, Ordering::SeqCst);
    let [buffers, new_buffers] = [0, 1].map(|i| BUFFERS[i].load(Ordering::SeqCst));
    let [read_back, waits] = [&READ_BACK, &WAITS].map(|count| count.load(Ordering::SeqCst));
    let entries = std::mem::take(&mut *entries());
    let record = Record { entries, buffers, new_buffers, read_back, waits };
    drop(recording);
    (result, record)
}

fn entries() -> std::sync::MutexGuard<'static, Vec<Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer was asked for.
pub(crate) fn buffer(is_new: bool) {
    if IS_RECORDING.load(Ordering::Relaxed) {
        BUFFERS[0].fetch_add(1, Ordering::Relaxed);
        BUFFERS[1].fetch_add(usize::from(is_new), Ordering::Relaxed);
    }
}

/// Values came from the device.
#[cfg(feature = "libtorch")]
pub(crate) fn read_back(values: usize) {
    if IS_RECORDING.load(Ordering::Relaxed) {
        READ_BACK.fetch_add(values, Ordering::Relaxed);
        WAITS.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// Operations that have begun on this thread: of those within each other the outermost counts.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Begins an operation that lasts as long as what this returns.
pub(crate) fn operation(operation: &'static str) -> Running {
    convolution(operation, "", || (Vec::new(), [0; 2]))
}

/// As [`operation`], with the path taken, the shape of the weights, the multiply-adds and the products.
pub(crate) fn convolution(
    operation: &'static str,
    path: &'static str,
    size: impl FnOnce() -> (Vec<usize>, [u64; 2]),
) -> Running {
    if !IS_RECORDING.load(Ordering::Relaxed) {
        return Running(None);
    }
    DEPTH.set(DEPTH.get() + 1);
    let (weight, [multiply_adds, products]) = size();
    let is_alone = crate::ops::is_alone();
    let time = Duration::ZERO;
    let entry = Entry { operation, path, weight, multiply_adds, products, time, is_alone };
    Running(Some((entry, Instant::now())))
}

/// An operation that has begun.
pub(crate) struct Running(Option<(Entry, Instant)>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((mut entry, start)) = self.0.take() {
            entry.time = start.elapsed();
            DEPTH.set(DEPTH.get().saturating_sub(1));
            if DEPTH.get() == 0 {
                entries().push(entry);
            }
        }
    }
}
