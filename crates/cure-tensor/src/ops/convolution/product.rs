//! The one door to the matrix product, and the scratch memory of a thread.

use std::cell::RefCell;

use gemm::Parallelism;

/// The longest inner dimension that `gemm` never cuts (its own block is 512 or more): up to it,
/// an element of the product is one chain of fused multiply-adds.
pub(super) const LONGEST_INNER: usize = 512;

/// A row-major matrix in memory: pointer to its first element and distance between rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
}

impl Rows<'_> {
    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || (rows - 1) * self.stride + columns <= self.values.len()
    }
}

/// `out (+)= a · b` for row-major `a` (`m × k`), `b` (`k × n`) and `out` (`m × n`); adds to what
/// is there if `accumulate`.
pub(super) fn multiply(
    [m, n, k]: [usize; 3],
    a: Rows<'_>,
    b: Rows<'_>,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    assert!(a.covers(m, k) && b.covers(k, n));
    assert!(m == 0 || (m - 1) * out_stride + n <= out.len());
    // SAFETY: the assertions above keep every access in bounds; `out` is exclusive.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            a.values.as_ptr(),
            1,
            a.stride as isize,
            b.values.as_ptr(),
            1,
            b.stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `out (+)= a · bᵀ` for row-major `a` (`m × k`), `b` (`n × k`) and `out` (`m × n`).
pub(super) fn multiply_transposed(
    [m, n, k]: [usize; 3],
    a: Rows<'_>,
    b: Rows<'_>,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    assert!(a.covers(m, k) && b.covers(n, k));
    assert!(m == 0 || (m - 1) * out_stride + n <= out.len());
    // SAFETY: the assertions above keep every access in bounds; `out` is exclusive.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            a.values.as_ptr(),
            1,
            a.stride as isize,
            b.values.as_ptr(),
            b.stride as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `out (+)= aᵀ · b` for row-major `a` (`k × m`), `b` (`k × n`) and `out` (`m × n`).
pub(super) fn transposed_multiply(
    [m, n, k]: [usize; 3],
    a: Rows<'_>,
    b: Rows<'_>,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    assert!(a.covers(k, m) && b.covers(k, n));
    assert!(m == 0 || (m - 1) * out_stride + n <= out.len());
    // SAFETY: the assertions above keep every access in bounds; `out` is exclusive.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            a.values.as_ptr(),
            a.stride as isize,
            1,
            b.values.as_ptr(),
            1,
            b.stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

thread_local! {
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Calls `work` with two pieces of this thread's scratch memory, aligned to cache lines, their
/// contents stale.
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
