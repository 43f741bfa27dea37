//! Weights on their way to the product: packed once, transformed by whoever multiplies with them.

use pulp::Simd;

use super::super::super::parallel::for_each;
use super::super::tile::{LONGEST_VECTOR, load, store};
use super::CHANNELS;
use super::scheme::{KERNEL, Scheme, WeightScheme};
use crate::Tensor;
use crate::buffer::Buffer;

const TAPS: usize = 9;
/// Transformed weights of a pair of channels.
pub(super) const KERNEL_POINTS: usize = KERNEL * KERNEL;

/// Weights `[C_out, C_in, 3, 3]` as blocks of output channels, `[C_out/8][9][C_in][8]`: zeros for the
/// missing ones.
#[derive(Debug)]
pub(in super::super) struct Packed {
    values: Buffer,
    /// Values of one tap of one block, in whole vectors.
    len: usize,
}

impl Packed {
    /// The weights as they are.
    pub(in super::super) fn new(weight: &[f32], outer: usize, inner: usize) -> Self {
        Self::pack(outer, inner, |o, i, tap| weight[(o * inner + i) * TAPS + tap])
    }

    /// The kernel of the pull back: input and output exchanged, turned by 180°.
    pub(in super::super) fn mirrored(weight: &[f32], outer: usize, inner: usize) -> Self {
        Self::pack(inner, outer, |o, i, tap| weight[(i * inner + o) * TAPS + TAPS - 1 - tap])
    }

    fn pack(outer: usize, inner: usize, at: impl Fn(usize, usize, usize) -> f32 + Sync) -> Self {
        let len = (inner * CHANNELS).next_multiple_of(LONGEST_VECTOR);
        let tap = len + LONGEST_VECTOR;
        let mut values = Buffer::stale(outer.div_ceil(CHANNELS) * TAPS * tap);
        for_each(values.chunks_mut(TAPS * tap).enumerate().collect(), |(block, values)| {
            let first = block * CHANNELS;
            let is_whole = first + CHANNELS <= outer && inner * CHANNELS == len;
            if !is_whole {
                values.fill(0.0);
            }
            for i in 0..inner {
                for lane in 0..CHANNELS.min(outer - first) {
                    for t in 0..TAPS {
                        values[t * tap + i * CHANNELS + lane] = at(first + lane, i, t);
                    }
                }
            }
        });
        Self { values, len }
    }

    /// The weights that [`Packed::new`] was given, of that shape.
    pub(in super::super) fn unpack(&self, shape: &[usize]) -> Tensor {
        let (inner, stride) = (shape[1], self.stride());
        let at = |index: usize| {
            let (tap, i, o) = (index % TAPS, index / TAPS % inner, index / TAPS / inner);
            let block = o / CHANNELS * TAPS;
            self.values[(block + tap) * stride + i * CHANNELS + o % CHANNELS]
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(at).collect();
        Tensor::trusted(shape, Buffer::from(values))
    }

    /// Distance between two taps of a block, or two points of a transformed one: not a power of two, so that
    /// they do not compete for the same lines of the cache.
    pub(super) fn stride(&self) -> usize {
        self.len + LONGEST_VECTOR
    }

    /// Values that a transformed block takes.
    pub(super) fn transformed(&self) -> usize {
        KERNEL_POINTS * self.stride()
    }

    /// G w Gᵀ of a block of output channels: point p at `out[p·stride]`, `[C_in][8]` each.
    #[inline(always)]
    pub(super) fn transform<S: Simd, C: Scheme>(&self, simd: S, block: usize, out: &mut [f32]) {
        let stride = self.stride();
        let weights = &self.values[block * TAPS * stride..][..TAPS * stride];
        assert!(out.len() >= self.transformed());
        for at in (0..self.len).step_by(S::F32_LANES) {
            // SAFETY: `len` is a whole number of vectors, and both slices were measured.
            unsafe {
                let mut columns = [[simd.splat_f32s(0.0); 3]; KERNEL];
                for kx in 0..3 {
                    let taps = std::array::from_fn(|ky| {
                        load::<S>(weights.as_ptr().add((3 * ky + kx) * stride + at))
                    });
                    let column = C::taps(simd, taps);
                    (0..KERNEL).for_each(|r| columns[r][kx] = column[r]);
                }
                for (r, taps) in columns.into_iter().enumerate() {
                    for (c, value) in C::taps(simd, taps).into_iter().enumerate() {
                        store(out.as_mut_ptr().add((KERNEL * r + c) * stride + at), value);
                    }
                }
            }
        }
    }
}

/// Gᵀ m G of `sum`, `[36][rows][columns]` with columns in whole vectors and points apart: calls
/// `put(row, column, taps)` with the nine taps of each pair of channels. `size` is rows times columns;
/// `scratch` holds nine vectors.
#[inline(always)]
pub(super) fn transform_adjoint<S: Simd, C: WeightScheme>(
    simd: S,
    sum: &[f32],
    size: usize,
    [columns, point]: [usize; 2],
    scratch: &mut [f32],
    mut put: impl FnMut(usize, usize, [f32; TAPS]),
) {
    let lanes = S::F32_LANES;
    assert!(sum.len() >= (KERNEL_POINTS - 1) * point + size && size <= point);
    assert!(scratch.len() >= TAPS * lanes && columns.is_multiple_of(lanes));
    for at in (0..size).step_by(lanes) {
        // SAFETY: measured above.
        unsafe {
            let mut turned = [[simd.splat_f32s(0.0); KERNEL]; 3];
            for c in 0..KERNEL {
                let column = std::array::from_fn(|r| {
                    load::<S>(sum.as_ptr().add((KERNEL * r + c) * point + at))
                });
                let column = C::taps_adjoint(simd, column);
                (0..3).for_each(|r| turned[r][c] = column[r]);
            }
            for (r, row) in turned.into_iter().enumerate() {
                for (c, value) in C::taps_adjoint(simd, row).into_iter().enumerate() {
                    store(scratch.as_mut_ptr().add((3 * r + c) * lanes), value);
                }
            }
        }
        for lane in 0..lanes {
            let taps = std::array::from_fn(|t| scratch[t * lanes + lane]);
            put(at / columns, at % columns + lane, taps);
        }
    }
}
