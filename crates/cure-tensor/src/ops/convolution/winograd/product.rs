//! The products at the 36 points: sums over input channels for eight output channels and some tiles.

use pulp::Simd;

use super::block::{load, store};
use super::{CHANNELS, POINTS};

/// Vectors of tiles that a register tile takes at most.
const VECTORS: usize = 3;

/// Where the factors and the result of one block of output channels lie.
pub(super) struct Operands {
    /// `[36][depth][8]`, points `kernel_stride` apart.
    pub(super) kernel: *const f32,
    pub(super) kernel_stride: usize,
    /// `[36][depth][width]`, points `input_stride` apart.
    pub(super) input: *const f32,
    pub(super) input_stride: usize,
    /// `[36][8][width]`.
    pub(super) out: *mut f32,
    /// Input channels.
    pub(super) depth: usize,
    /// Vectors of tiles.
    pub(super) vectors: usize,
}

/// `out[p] = kernel[p]ᵀ·input[p]` at every point: for each element one chain of multiply-adds through
/// the input channels.
///
/// # Safety
/// The pointers reach as far as [`Operands`] says.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(simd: S, o: &Operands) {
    let width = o.vectors * S::F32_LANES;
    for point in 0..POINTS {
        let mut vector = 0;
        while vector < o.vectors {
            let left = o.vectors - vector;
            // Four vectors are two and two: a register tile of one alone would wait for memory.
            let count = if left == 4 { 2 } else { left.min(VECTORS) };
            // SAFETY: promised by the caller.
            unsafe {
                let kernel = o.kernel.add(point * o.kernel_stride);
                let input = o.input.add(point * o.input_stride + vector * S::F32_LANES);
                let out = o.out.add(point * CHANNELS * width + vector * S::F32_LANES);
                match count {
                    3 => channels::<S, 3>(simd, kernel, input, out, o.depth, width),
                    2 => channels::<S, 2>(simd, kernel, input, out, o.depth, width),
                    _ => channels::<S, 1>(simd, kernel, input, out, o.depth, width),
                }
            }
            vector += count;
        }
    }
}

/// All eight output channels at once where there are registers for their sums, else four and four.
///
/// # Safety
/// `kernel` holds depth·8 values, `input` V vectors in each of `depth` rows `width` apart, and `out`
/// V vectors in each of 8 rows `width` apart.
#[inline(always)]
unsafe fn channels<S: Simd, const V: usize>(
    simd: S,
    kernel: *const f32,
    input: *const f32,
    out: *mut f32,
    depth: usize,
    width: usize,
) {
    // SAFETY: promised by the caller.
    unsafe {
        if S::REGISTER_COUNT >= 32 {
            register_tile::<S, CHANNELS, V>(simd, kernel, input, out, depth, width);
        } else {
            const HALF: usize = CHANNELS / 2;
            register_tile::<S, HALF, V>(simd, kernel, input, out, depth, width);
            let (kernel, out) = (kernel.add(HALF), out.add(HALF * width));
            register_tile::<S, HALF, V>(simd, kernel, input, out, depth, width);
        }
    }
}

/// # Safety
/// As for [`channels`], with `C` rows in `out`.
#[inline(always)]
unsafe fn register_tile<S: Simd, const C: usize, const V: usize>(
    simd: S,
    mut kernel: *const f32,
    mut input: *const f32,
    out: *mut f32,
    depth: usize,
    width: usize,
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
            input = input.add(width);
        }
    }
    for (lane, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { store(out.add(lane * width + v * S::F32_LANES), sum) };
        }
    }
}
