//! The weight gradient by plain sums: what the taps read times what arrived, summed over places.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::super::parallel::{SharedOutput, for_each, map};
use super::super::geometry::Geometry;
use super::super::scratch::with_scratch;
use super::super::tile::{CHANNELS, LONGEST_VECTOR, accumulate, transpose};
use super::panel;
use super::plan::Plan;
use crate::Tensor;
use crate::buffer::Buffer;

/// Some input channels of one group, whole columns of the result.
#[derive(Clone)]
struct Block {
    group: usize,
    channels: Range<usize>,
}

/// The extents of the sums of a block: `[taps of its channels][outputs]`, both rounded up.
struct Extents {
    taps: usize,
    inner: usize,
    outer: usize,
    /// `outer` in whole vectors.
    row: usize,
    /// The places of a tile, one after the other.
    order: Vec<usize>,
}

/// As [`convolution_weight_gradient`](crate::ops::convolution_weight_gradient). A task owns a block over some
/// rows of the grid; partial sums over rows are added in order.
pub(in super::super) fn weight_gradient(
    pairs: &[(&Tensor, &Tensor)],
    geometry: &Geometry,
) -> Buffer {
    /// Tasks that let a dozen cores share the work.
    const ENOUGH: usize = 24;
    /// Panel rows a block.
    const ROWS: usize = 288;
    let plan = &Plan::forward(geometry);
    let (inner, outer) = (plan.source.channels, plan.target.channels);
    let taps = geometry.taps();
    let row = outer.next_multiple_of(LONGEST_VECTOR);
    let step = (ROWS / taps).clamp(1, inner);
    let rows_a_tile = plan.rows_a_task(step * taps + row);
    let order = (0..rows_a_tile * plan.grid[1]).collect();
    let extents = &Extents { taps, inner, outer, row, order };
    let blocks: Vec<Block> = (0..plan.window.groups)
        .flat_map(|group| {
            let channels = move |first: usize| first..(first + step).min(inner);
            (0..inner).step_by(step).map(move |first| Block { group, channels: channels(first) })
        })
        .collect();
    let rows = plan.rows();
    let tiles = rows.div_ceil(rows_a_tile);
    let parts = ENOUGH.div_ceil(blocks.len()).clamp(1, tiles.max(1));
    let rows_a_part = tiles.div_ceil(parts).max(1) * rows_a_tile;
    let tasks: Vec<(&Block, Range<usize>)> = blocks
        .iter()
        .flat_map(|block| {
            let part = move |first: usize| (block, first..(first + rows_a_part).min(rows));
            (0..rows).step_by(rows_a_part).map(part)
        })
        .collect();
    let mut sums: Vec<Buffer> = map(tasks, |(block, rows)| {
        let depth = (block.channels.len() * taps).next_multiple_of(CHANNELS);
        let mut sum = Buffer::zeros(depth * row);
        for first in rows.clone().step_by(rows_a_tile) {
            let rows = first..(first + rows_a_tile).min(rows.end);
            let columns = rows.len() * plan.grid[1];
            let width = columns.next_multiple_of(LONGEST_VECTOR);
            let rest = width * row + panel::staging(plan, rows.len());
            with_scratch(depth * width, rest, |panel, rest| {
                let (arrived, staging) = rest.split_at_mut(width * row);
                for &pair in pairs {
                    let (rows, sum) = (&rows, &mut sum[..]);
                    let scratch = Scratch { panel, arrived, staging };
                    dispatch(Tile { plan, extents, pair, block, rows, scratch, sum });
                }
            });
        }
        sum
    });

    let mut output = Buffer::zeros(plan.window.groups * outer * inner * taps);
    let shared = SharedOutput::new(&mut output);
    let parts = sums.len() / blocks.len().max(1);
    let finished = blocks.iter().zip(sums.chunks_mut(parts.max(1))).collect();
    for_each(finished, |(block, parts): (&Block, &mut [Buffer])| {
        let Some((sum, others)) = parts.split_first_mut() else { return };
        for other in others {
            sum.iter_mut().zip(&**other).for_each(|(sum, value)| *sum += value);
        }
        put(extents, block, sum, shared);
    });
    output
}

/// Sums `[taps][outputs]` to their rows of the result.
fn put(extents: &Extents, block: &Block, sum: &[f32], shared: SharedOutput) {
    let &Extents { taps, inner, outer, row, .. } = extents;
    let depth = block.channels.len() * taps;
    for first in (0..outer).step_by(LONGEST_VECTOR) {
        for o in first..(first + LONGEST_VECTOR).min(outer) {
            let at = ((block.group * outer + o) * inner + block.channels.start) * taps;
            // SAFETY: blocks cover disjoint channels.
            let out = unsafe { shared.range(at, depth) };
            for (k, out) in out.iter_mut().enumerate() {
                *out = sum[k * row + o];
            }
        }
    }
}

struct Scratch<'a> {
    panel: &'a mut [f32],
    /// What arrived, `[places][outputs]`.
    arrived: &'a mut [f32],
    staging: &'a mut [f32],
}

/// Adds the products of some rows of the grid to `sum`.
struct Tile<'a> {
    plan: &'a Plan,
    extents: &'a Extents,
    pair: (&'a Tensor, &'a Tensor),
    block: &'a Block,
    rows: &'a Range<usize>,
    scratch: Scratch<'a>,
    sum: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, extents, pair: (x, g), block, rows, scratch, sum } = self;
        let Scratch { panel, arrived, staging } = scratch;
        let &Extents { taps, inner, outer, row, .. } = extents;
        let columns = rows.len() * plan.grid[1];
        let width = columns.next_multiple_of(LONGEST_VECTOR);
        let depth = block.channels.len() * taps;
        let first = block.group * inner;
        let channels = first + block.channels.start..first + block.channels.end;
        panel::gather(plan, &plan.phases[0], x.cpu(), channels, rows, panel, width, staging);
        panel[depth * width..].fill(0.0);
        let (start, plane) = (plan.range(rows).start, g.len() / g.shape()[0].max(1));
        let from = &g.cpu()[block.group * outer * plane + start..];
        // SAFETY: every slice was cut for these extents.
        unsafe {
            transpose(from.as_ptr(), [outer, columns], plane, arrived.as_mut_ptr(), row);
            accumulate(
                simd,
                panel.as_ptr(),
                arrived.as_ptr(),
                sum.as_mut_ptr(),
                [depth.next_multiple_of(CHANNELS), row / S::F32_LANES],
                &extents.order[..columns],
                [width, row, row],
                true,
            );
        }
    }
}
