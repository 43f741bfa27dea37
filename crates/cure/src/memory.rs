//! Large blocks in large pages.
//!
//! A page of 4 KiB is cleared and mapped when it is first touched, which takes two to five times as
//! long as filling it. Asked to, Linux maps two megabytes at a time.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, asking for large pages where a block has room for several.
pub(crate) struct LargePages;

#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 << 20;

// SAFETY: blocks are the system allocator's own, and go back to it as they came.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of `GlobalAlloc`, here and below.
        advise(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        advise(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        advise(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(target_os = "linux")]
fn advise(block: *mut u8, size: usize) -> *mut u8 {
    if size < 2 * LARGE_PAGE || block.is_null() {
        return block;
    }
    // Whole small pages: advice for a part of a mapping would cut it in two, which can then not grow in
    // place.
    const SMALL_PAGE: usize = 4096;
    let before = block.addr() % SMALL_PAGE;
    let length = (before + size).next_multiple_of(SMALL_PAGE);
    // SAFETY: the advice changes how pages are mapped, not what they hold; where it is not taken, or the
    // system's pages are larger, small ones do as well.
    unsafe { libc::madvise(block.wrapping_sub(before).cast(), length, libc::MADV_HUGEPAGE) };
    block
}

#[cfg(not(target_os = "linux"))]
fn advise(block: *mut u8, _size: usize) -> *mut u8 {
    block
}
