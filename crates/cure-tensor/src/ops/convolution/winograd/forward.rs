use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::super::parallel::{SharedOutput, for_each, is_alone};
use super::super::epilogue::Epilogue;
use super::super::geometry::Geometry;
use super::super::scratch::with_scratch;
use super::super::tile::product;
use super::block::{Block, Tiling};
use super::kernel::Packed;
use super::{CHANNELS, POINTS};
use crate::buffer::Buffer;

/// Rows of tiles a block, for `channels` transformed planes in a second-level cache.
pub(super) fn rows_a_block(tiling: &Tiling, channels: usize) -> usize {
    /// Values that the transformed planes may take of the cache.
    const BUDGET: usize = 360 * 1024;
    /// Tiles at least, for register tiles of some width, and at most.
    const FEWEST: usize = 64;
    const MOST: usize = 96;
    let tiles = (BUDGET / (POINTS * channels.max(1))).clamp(FEWEST, MOST);
    (tiles / tiling.tiles_a_row()).max(1)
}

/// The convolution, as [`super::super::direct::correlate`] of a forward plan.
pub(in super::super) fn correlate(
    x: &[f32],
    packed: &Packed,
    geometry: &Geometry,
    epilogue: Epilogue<'_>,
) -> Buffer {
    let tiling = Tiling::new(geometry.input);
    let rows = tiling.rows(geometry.batch);
    let step = rows_a_block(&tiling, geometry.channels_in);
    let plane = geometry.positions();
    let mut output = Buffer::stale(geometry.channels_out * plane);
    let shared = SharedOutput::new(&mut output);
    let blocks: Vec<Range<usize>> =
        (0..rows).step_by(step).map(|row| row..(row + step).min(rows)).collect();
    let pieces = pieces(geometry, blocks.len());
    let tasks: Vec<(&Range<usize>, &Range<usize>)> =
        blocks.iter().flat_map(|block| pieces.iter().map(move |piece| (block, piece))).collect();
    // Not a power of two, so that points do not compete for the same lines of the cache.
    let input_stride = |block: &Block| geometry.channels_in * block.width() + 16;
    for_each(tasks, |(rows, channels)| {
        let block = &Block::new(tiling, rows.clone());
        let stride = input_stride(block);
        let rest = packed.transformed() + POINTS * CHANNELS * block.width() + block.staging();
        with_scratch(POINTS * stride, rest, |input, rest| {
            let positions = tiling.positions(rows);
            dispatch(Task {
                x,
                packed,
                geometry,
                epilogue,
                block,
                positions,
                channels,
                shared,
                input,
                input_stride: stride,
                rest,
            });
        });
    });
    output
}

/// Blocks of output channels a task: all of them unless there would be too few tasks. Each task
/// transforms its inputs again.
fn pieces(geometry: &Geometry, tile_blocks: usize) -> Vec<Range<usize>> {
    /// Tasks that let half a dozen cores share the work.
    const ENOUGH: usize = 8;
    let blocks = geometry.channels_out.div_ceil(CHANNELS);
    let enough = if is_alone() { 1 } else { ENOUGH };
    let pieces = enough.div_ceil(tile_blocks.max(1)).clamp(1, blocks);
    let step = blocks.div_ceil(pieces);
    (0..blocks).step_by(step).map(|first| first..(first + step).min(blocks)).collect()
}

/// Some output channels of a block of tiles.
struct Task<'a> {
    x: &'a [f32],
    packed: &'a Packed,
    geometry: &'a Geometry,
    epilogue: Epilogue<'a>,
    block: &'a Block,
    /// What the block covers of a plane.
    positions: Range<usize>,
    /// Blocks of output channels.
    channels: &'a Range<usize>,
    shared: SharedOutput,
    /// Scratch memory for the transformed inputs, `[36][C_in][tiles]`, and for everything else.
    input: &'a mut [f32],
    input_stride: usize,
    rest: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Task { block, packed, geometry, input, input_stride, .. } = self;
        let (width, depth, plane) = (block.width(), geometry.channels_in, geometry.positions());
        let (kernel, rest) = self.rest.split_at_mut(packed.transformed());
        let (products, staging) = rest.split_at_mut(POINTS * CHANNELS * width);
        for channel in 0..depth {
            let x = &self.x[channel * plane..(channel + 1) * plane];
            // SAFETY: the input holds every point of every channel.
            unsafe {
                let out = input.as_mut_ptr().add(channel * width);
                block.transform_input(simd, x, staging, out, input_stride);
            }
        }
        for channels in self.channels.clone() {
            packed.transform(simd, channels, kernel);
            let count = CHANNELS.min(geometry.channels_out - channels * CHANNELS);
            for point in 0..POINTS {
                // SAFETY: the scratch memory was cut for every point of these operands.
                unsafe {
                    let kernel = kernel.as_ptr().add(point * packed.stride());
                    let input = input.as_ptr().add(point * input_stride);
                    let out = products.as_mut_ptr().add(point * CHANNELS * width);
                    product(simd, kernel, input, out, [count, depth, block.vectors], [width; 2]);
                }
            }
            let first = channels * CHANNELS;
            for lane in 0..CHANNELS.min(geometry.channels_out - first) {
                let channel = first + lane;
                let start = channel * plane + self.positions.start;
                let ending = self.epilogue.of_row(channel, start..start + self.positions.len());
                // SAFETY: tasks cover disjoint rows and channels; the products hold every point.
                unsafe {
                    let out = self.shared.range(start, self.positions.len());
                    let m = products.as_ptr().add(lane * width);
                    block.transform_output(simd, m, CHANNELS * width, staging, out, ending);
                }
            }
        }
    }
}
