use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::parallel::{SharedOutput, dispatch, for_each, map};
use super::super::geometry::Geometry;
use super::super::product::{Matrix, multiply, with_scratch};
use super::POINTS;
use super::block::{Block, Tiling};
use super::forward::rows_a_block;
use super::kernel::transform_adjoint;
use crate::Tensor;
use crate::buffer::Buffer;

const TAPS: usize = 9;

/// A block of output channels against a block of input channels.
#[derive(Clone)]
struct Pair {
    outer: Range<usize>,
    inner: Range<usize>,
}

impl Pair {
    fn shape(&self) -> [usize; 2] {
        [self.outer.len(), self.inner.len()]
    }

    fn size(&self) -> usize {
        POINTS * self.outer.len() * self.inner.len()
    }
}

/// The weight gradient, as [`super::super::weight_gradient`]'s. A task owns a pair of blocks of channels
/// over some rows of tiles; partial sums over tiles are added in order, before the last transform.
pub(in super::super) fn weight_gradient(
    pairs: &[(&Tensor, &Tensor)],
    geometry: &Geometry,
) -> Buffer {
    /// Channels of a block: their transformed planes and the sums of a task stay in cache.
    const BLOCK: usize = 64;
    /// Tasks that let a dozen cores share the work.
    const ENOUGH: usize = 24;
    let (inner, outer) = (geometry.channels_in, geometry.channels_out);
    let blocks = |channels: usize| {
        let step = channels.div_ceil(channels.div_ceil(BLOCK));
        (0..channels).step_by(step).map(move |first| first..(first + step).min(channels))
    };
    let channels: Vec<Pair> = blocks(outer)
        .flat_map(|outer| blocks(inner).map(move |inner| Pair { outer: outer.clone(), inner }))
        .collect();
    let tiling = Tiling::new(geometry.input);
    let rows = tiling.rows(geometry.batch);
    let step = rows_a_block(&tiling, 2 * BLOCK);
    let parts = ENOUGH.div_ceil(channels.len()).clamp(1, rows.div_ceil(step).max(1));
    let rows_a_part = rows.div_ceil(step).div_ceil(parts) * step;
    let tasks: Vec<(&Pair, Range<usize>)> = channels
        .iter()
        .flat_map(|pair| {
            (0..rows)
                .step_by(rows_a_part.max(1))
                .map(move |first| (pair, first..(first + rows_a_part).min(rows)))
        })
        .collect();
    let sums: Vec<Buffer> = map(tasks.iter().collect(), |(pair, rows)| {
        let mut sum = Buffer::zeros(pair.size());
        for first in rows.clone().step_by(step) {
            let block = Block::new(tiling, first..(first + step).min(rows.end));
            pairs.iter().for_each(|pair_of| add(*pair_of, geometry, &block, pair, &mut sum));
        }
        sum
    });

    let mut output = Buffer::zeros(outer * inner * TAPS);
    let shared = SharedOutput::new(&mut output);
    let parts = tasks.len() / channels.len().max(1);
    for_each(channels.iter().enumerate().collect(), |(index, pair)| {
        let parts: Vec<&[f32]> =
            sums[index * parts..(index + 1) * parts].iter().map(|s| &**s).collect();
        dispatch(Finish { channels: pair, parts: &parts, inner, shared });
    });
    output
}

/// Adds the products of a block of tiles at every point to `sum`, `[36][outer][inner]`.
fn add(
    (x, g): (&Tensor, &Tensor),
    geometry: &Geometry,
    block: &Block,
    channels: &Pair,
    sum: &mut [f32],
) {
    let [outer, inner] = channels.shape();
    let width = block.width();
    let strides = [inner * width + 16, outer * width + 16];
    let x_len = POINTS * strides[0];
    with_scratch(x_len + POINTS * strides[1], block.staging(), |planes, staging| {
        let (xs, gs) = planes.split_at_mut(x_len);
        let plane = geometry.positions();
        dispatch(Planes {
            x: x.cpu(),
            g: g.cpu(),
            plane,
            block,
            channels,
            xs,
            gs,
            strides,
            staging,
        });
        for point in 0..POINTS {
            multiply(
                [outer, inner, width],
                Matrix::rows(&gs[point * strides[1]..], width),
                Matrix::transposed(&xs[point * strides[0]..], width),
                &mut sum[point * outer * inner..(point + 1) * outer * inner],
                inner,
                true,
            );
        }
    });
}

/// The transforms of a block of tiles.
struct Planes<'a> {
    x: &'a [f32],
    g: &'a [f32],
    /// Positions of a plane.
    plane: usize,
    block: &'a Block,
    channels: &'a Pair,
    xs: &'a mut [f32],
    gs: &'a mut [f32],
    strides: [usize; 2],
    staging: &'a mut [f32],
}

impl WithSimd for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (block, plane, staging) = (self.block, self.plane, self.staging);
        for (row, channel) in self.channels.inner.clone().enumerate() {
            let x = &self.x[channel * plane..(channel + 1) * plane];
            // SAFETY: every point of every channel has its place.
            unsafe {
                let out = self.xs.as_mut_ptr().add(row * block.width());
                block.transform_input(simd, x, staging, out, self.strides[0]);
            }
        }
        for (row, channel) in self.channels.outer.clone().enumerate() {
            let g = &self.g[channel * plane..(channel + 1) * plane];
            // SAFETY: as above.
            unsafe {
                let out = self.gs.as_mut_ptr().add(row * block.width());
                block.transform_output_adjoint(simd, g, staging, out, self.strides[1]);
            }
        }
    }
}

/// The last transform of a pair of blocks.
struct Finish<'a> {
    channels: &'a Pair,
    parts: &'a [&'a [f32]],
    /// Input channels of the whole convolution.
    inner: usize,
    shared: SharedOutput,
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pair { outer, inner } = self.channels;
        transform_adjoint(simd, self.parts, self.channels.shape(), |o, i, taps| {
            let at = ((outer.start + o) * self.inner + inner.start + i) * TAPS;
            // SAFETY: pairs of blocks are disjoint.
            unsafe { self.shared.range(at, TAPS) }.copy_from_slice(&taps);
        });
    }
}
