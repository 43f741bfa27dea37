//! Register tiles: the two shapes of a sum of products that everything here is made of, for any vectors.

use pulp::Simd;

/// Output channels that are multiplied together.
pub(super) const CHANNELS: usize = 8;
/// Values that the longest vector holds.
pub(super) const LONGEST_VECTOR: usize = 16;
/// Vectors that a register tile takes at most.
const VECTORS: usize = 3;

/// # Safety
/// A vector can be read from `at`, aligned or not.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(at: *const f32) -> S::f32s {
    // SAFETY: promised by the caller; vectors are plain numbers.
    unsafe { at.cast::<S::f32s>().read_unaligned() }
}

/// # Safety
/// `value` can be written to `at`, aligned or not.
#[inline(always)]
pub(super) unsafe fn store<V: Copy>(at: *mut f32, value: V) {
    // SAFETY: promised by the caller.
    unsafe { at.cast::<V>().write_unaligned(value) }
}

/// Vectors of the next register tile, of `left`. Four are two and two: a tile of one alone would wait
/// for memory.
fn next(left: usize) -> usize {
    if left == 4 { 2 } else { left.min(VECTORS) }
}

/// `out[c] = Σ_k kernel[k][c]·input[k]` for `count` channels c, eight or up to four, and `vectors` vectors:
/// for each element one chain of multiply-adds in the order of k.
///
/// # Safety
/// `kernel` holds `depth`·8 values; each of `depth` rows of `input`, and of 8 rows of `out`, holds the
/// vectors, rows being `strides` (input, out) apart.
#[inline(always)]
pub(super) unsafe fn product<S: Simd>(
    simd: S,
    kernel: *const f32,
    input: *const f32,
    out: *mut f32,
    [count, depth, vectors]: [usize; 3],
    strides: [usize; 2],
) {
    let mut vector = 0;
    while vector < vectors {
        let width = next(vectors - vector);
        // SAFETY: promised by the caller.
        unsafe {
            let at = vector * S::F32_LANES;
            let (input, out) = (input.add(at), out.add(at));
            match width {
                3 => channels::<S, 3>(simd, kernel, input, out, [count, depth], strides),
                2 => channels::<S, 2>(simd, kernel, input, out, [count, depth], strides),
                _ => channels::<S, 1>(simd, kernel, input, out, [count, depth], strides),
            }
        }
        vector += width;
    }
}

/// All eight output channels at once where they are needed and there are registers for their sums, else four
/// and four.
///
/// # Safety
/// As for [`product`], of V vectors.
#[inline(always)]
unsafe fn channels<S: Simd, const V: usize>(
    simd: S,
    kernel: *const f32,
    input: *const f32,
    out: *mut f32,
    [count, depth]: [usize; 2],
    strides: [usize; 2],
) {
    const HALF: usize = CHANNELS / 2;
    // SAFETY: promised by the caller.
    unsafe {
        if S::REGISTER_COUNT >= 32 && count > HALF {
            product_tile::<S, CHANNELS, V>(simd, kernel, input, out, depth, strides);
            return;
        }
        product_tile::<S, HALF, V>(simd, kernel, input, out, depth, strides);
        if count > HALF {
            let (kernel, out) = (kernel.add(HALF), out.add(HALF * strides[1]));
            product_tile::<S, HALF, V>(simd, kernel, input, out, depth, strides);
        }
    }
}

/// # Safety
/// As for [`channels`], with `C` rows in `out`.
#[inline(always)]
unsafe fn product_tile<S: Simd, const C: usize, const V: usize>(
    simd: S,
    mut kernel: *const f32,
    mut input: *const f32,
    out: *mut f32,
    depth: usize,
    [input_stride, out_stride]: [usize; 2],
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; C];
    for _ in 0..depth {
        // SAFETY: promised by the caller.
        unsafe {
            let values: [S::f32s; V] =
                std::array::from_fn(|v| load::<S>(input.add(v * S::F32_LANES)));
            for (lane, sums) in sums.iter_mut().enumerate() {
                let weight = simd.splat_f32s(*kernel.add(lane));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_f32s(weight, value, *sum);
                }
            }
            kernel = kernel.add(CHANNELS);
            input = input.add(input_stride);
        }
    }
    for (lane, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { store(out.add(lane * out_stride + v * S::F32_LANES), sum) };
        }
    }
}

/// `out[r] = Σ_t a[r][t]·b[t]` for `rows` rows r, a multiple of eight, and `vectors` vectors: for each
/// element one chain of multiply-adds, t going through `order`, that goes on where `out` has come to if it
/// `continues`.
///
/// # Safety
/// Each of `rows` rows of `a` holds the values that `order` names; each row of `b` that it names, and each of
/// `rows` rows of `out`, holds the vectors; rows are `strides` (a, b, out) apart.
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd>(
    simd: S,
    a: *const f32,
    b: *const f32,
    out: *mut f32,
    [rows, vectors]: [usize; 2],
    order: &[usize],
    strides: [usize; 3],
    continues: bool,
) {
    let mut vector = 0;
    while vector < vectors {
        let width = next(vectors - vector);
        for row in (0..rows).step_by(CHANNELS) {
            // SAFETY: promised by the caller.
            unsafe {
                let at = vector * S::F32_LANES;
                let (a, b) = (a.add(row * strides[0]), b.add(at));
                let out = out.add(row * strides[2] + at);
                match width {
                    3 => accumulate_rows::<S, 3>(simd, a, b, out, order, strides, continues),
                    2 => accumulate_rows::<S, 2>(simd, a, b, out, order, strides, continues),
                    _ => accumulate_rows::<S, 1>(simd, a, b, out, order, strides, continues),
                }
            }
        }
        vector += width;
    }
}

/// # Safety
/// As for [`accumulate`], of eight rows and V vectors.
#[inline(always)]
unsafe fn accumulate_rows<S: Simd, const V: usize>(
    simd: S,
    a: *const f32,
    b: *const f32,
    out: *mut f32,
    order: &[usize],
    strides: [usize; 3],
    continues: bool,
) {
    // SAFETY: promised by the caller.
    unsafe {
        if S::REGISTER_COUNT >= 32 {
            accumulate_tile::<S, CHANNELS, V>(simd, a, b, out, order, strides, continues);
        } else {
            const HALF: usize = CHANNELS / 2;
            accumulate_tile::<S, HALF, V>(simd, a, b, out, order, strides, continues);
            let (a, out) = (a.add(HALF * strides[0]), out.add(HALF * strides[2]));
            accumulate_tile::<S, HALF, V>(simd, a, b, out, order, strides, continues);
        }
    }
}

/// # Safety
/// As for [`accumulate_rows`], of R rows.
#[inline(always)]
unsafe fn accumulate_tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: *const f32,
    b: *const f32,
    out: *mut f32,
    order: &[usize],
    [a_stride, b_stride, out_stride]: [usize; 3],
    continues: bool,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let place = |row: usize, v: usize| out.add(row * out_stride + v * S::F32_LANES);
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if continues {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<S>(place(row, v));
                }
            }
        }
        for &t in order {
            let b = b.add(t * b_stride);
            let values: [S::f32s; V] = std::array::from_fn(|v| load::<S>(b.add(v * S::F32_LANES)));
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat_f32s(*a.add(row * a_stride + t));
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_f32s(factor, value, *sum);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                store(place(row, v), sum);
            }
        }
    }
}

/// `to[t][r] = from[r][t]` for `rows` rows of `columns` values, `stride` apart; rows of the result hold
/// `to_stride` values, a multiple of four, zeros past the first `rows`.
///
/// # Safety
/// Both reach that far.
#[inline(always)]
pub(super) unsafe fn transpose(
    from: *const f32,
    [rows, columns]: [usize; 2],
    stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    const SIDE: usize = 4;
    let is_whole = columns - columns % SIDE;
    // SAFETY: promised by the caller.
    unsafe {
        for first in (0..to_stride).step_by(SIDE) {
            let present = SIDE.min(rows.saturating_sub(first));
            // Not read where no row is present, and perhaps nowhere.
            let from = from.wrapping_add(first.min(rows) * stride);
            // Four rows of four at a time: loads, shuffles and stores of short vectors.
            for column in (0..is_whole).step_by(SIDE) {
                let mut square = [[0.0f32; SIDE]; SIDE];
                for (r, row) in square.iter_mut().take(present).enumerate() {
                    *row = from.add(r * stride + column).cast::<[f32; SIDE]>().read_unaligned();
                }
                for c in 0..SIDE {
                    let turned: [f32; SIDE] = std::array::from_fn(|r| square[r][c]);
                    let to = to.add((column + c) * to_stride + first);
                    to.cast::<[f32; SIDE]>().write_unaligned(turned);
                }
            }
            for column in is_whole..columns {
                for r in 0..SIDE {
                    let value = if r < present { *from.add(r * stride + column) } else { 0.0 };
                    *to.add(column * to_stride + first + r) = value;
                }
            }
        }
    }
}
