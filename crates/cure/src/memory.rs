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
        advise(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        advise(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[cfg(target_os = "linux")]
fn advise(block: *mut u8, size: usize) -> *mut u8 {
    if size < 2 * LARGE_PAGE || block.is_null() {
        return block;
    }
    // Only pages that are the block's from end to end.
    let before = block.addr().next_multiple_of(LARGE_PAGE) - block.addr();
    let length = (size - before) / LARGE_PAGE * LARGE_PAGE;
    // SAFETY: the range lies in the block; the advice changes how it is mapped, not what it holds.
    // Where it is not taken, small pages do as well.
    unsafe { libc::madvise(block.add(before).cast(), length, libc::MADV_HUGEPAGE) };
    block
}

#[cfg(not(target_os = "linux"))]
fn advise(block: *mut u8, _size: usize) -> *mut u8 {
    block
}
