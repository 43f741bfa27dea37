//! The scratch memory of a thread.

use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Calls `work` with two pieces of this thread's scratch memory, aligned to cache lines, their
/// contents stale.
#[inline(always)]
pub(super) fn with_scratch(first: usize, second: usize, work: impl FnOnce(&mut [f32], &mut [f32])) {
    SCRATCH.with_borrow_mut(|[a, b]| work(aligned(a, first), aligned(b, second)));
}

fn aligned(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    if memory.len() < len + LINE {
        memory.resize(len + LINE, 0.0);
    }
    let offset = memory.as_ptr().align_offset(LINE).min(LINE);
    &mut memory[offset..offset + len]
}
