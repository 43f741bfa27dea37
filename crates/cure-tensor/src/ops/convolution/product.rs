//! The one door to the matrix product, and the scratch memory of a thread.

use std::cell::RefCell;

use gemm::Parallelism;

/// The longest inner dimension that `gemm` never cuts (its own block is 512 or more): up to it,
/// an element of the product is one chain of fused multiply-adds.
pub(super) const LONGEST_INNER: usize = 512;

/// A matrix in memory: distances between its rows and between its columns.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of contiguous values, `stride` apart.
    pub(super) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, row: stride, column: 1 }
    }

    /// The transpose of [`Matrix::rows`].
    pub(super) fn transposed(values: &'a [f32], stride: usize) -> Self {
        Self { values, row: 1, column: stride }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// `out (+)= a · b` for `a` of `m × k`, `b` of `k × n` and row-major `out` of `m × n`; adds to what is
/// there if `accumulate`.
pub(super) fn multiply(
    [m, n, k]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    assert!(a.covers(m, k) && b.covers(k, n));
    assert!(m == 0 || n == 0 || (m - 1) * out_stride + n <= out.len());
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
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
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
