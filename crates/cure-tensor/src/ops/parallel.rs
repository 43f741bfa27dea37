//! Sharing work out between threads: in pieces whose bounds depend on shapes alone, or not at all.

use std::cell::Cell;

use rayon::prelude::*;

use super::machine::vectorised;

/// Values a task: long enough to hide the cost of scheduling, short enough to share out.
const PIECE: usize = 32 * 1024;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on this thread alone: no operation in it shares its work out. For callers that cut a
/// batch themselves and give each thread a part of it.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    /// Restores what was, whatever becomes of the work.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    work()
}

/// Whether this thread is [`alone`].
pub(crate) fn is_alone() -> bool {
    ALONE.get()
}

/// Whether work is shared out: handing it to a pool of one thread would only cost the way there.
pub(crate) fn is_shared_out() -> bool {
    !is_alone() && rayon::current_num_threads() > 1
}

/// Calls `work` on every task, in parallel where work [is shared out](is_shared_out).
pub(super) fn for_each<T: Send>(tasks: Vec<T>, work: impl Fn(T) + Send + Sync) {
    if tasks.len() < 2 || !is_shared_out() {
        tasks.into_iter().for_each(work);
    } else {
        tasks.into_par_iter().for_each(work);
    }
}

/// The results of `work` for every task in order, computed as by [`for_each`].
pub(super) fn map<T: Send, R: Send>(tasks: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if tasks.len() < 2 || !is_shared_out() {
        tasks.into_iter().map(work).collect()
    } else {
        tasks.into_par_iter().map(work).collect()
    }
}

/// Calls `work(offset, piece)` on consecutive pieces of `output`, in parallel when it pays.
pub(super) fn over_pieces(output: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    if output.len() <= PIECE || !is_shared_out() {
        vectorised(|| work(0, output));
    } else {
        output
            .par_chunks_mut(PIECE)
            .enumerate()
            .for_each(|(index, piece)| vectorised(|| work(index * PIECE, piece)));
    }
}

/// Calls `work(row, values)` on each of the equally long rows of `output`.
pub(super) fn over_rows(
    output: &mut [f32],
    row_length: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if row_length == 0 {
        return;
    }
    if output.len() <= PIECE || !is_shared_out() {
        vectorised(|| {
            output.chunks_mut(row_length).enumerate().for_each(|(row, values)| work(row, values));
        });
    } else {
        let rows_a_task = (PIECE / 4).div_ceil(row_length);
        output
            .par_chunks_mut(row_length)
            .with_min_len(rows_a_task)
            .enumerate()
            .for_each(|(row, values)| vectorised(|| work(row, values)));
    }
}

/// A pointer that several tasks write through, each to places of its own.
#[derive(Clone, Copy)]
pub(super) struct SharedOutput(*mut f32);

// SAFETY: the pointer is only used through `range`, whose callers promise disjoint ranges.
unsafe impl Send for SharedOutput {}
// SAFETY: as above.
unsafe impl Sync for SharedOutput {}

impl SharedOutput {
    pub(super) fn new(output: &mut [f32]) -> Self {
        Self(output.as_mut_ptr())
    }

    /// Where the output begins.
    pub(super) fn start(self) -> *mut f32 {
        self.0
    }

    /// The `len` values from `start`.
    ///
    /// # Safety
    /// The range lies within the output, which outlives the returned slice, and no other task
    /// touches it meanwhile.
    pub(super) unsafe fn range<'a>(self, start: usize, len: usize) -> &'a mut [f32] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}
