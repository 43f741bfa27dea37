//! The convolution and its pull back on transformed tiles, block by block.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::super::parallel::{SharedOutput, for_each, is_shared_out};
use super::super::epilogue::Epilogue;
use super::super::geometry::Geometry;
use super::super::scratch::with_scratch;
use super::super::tile::{LONGEST_VECTOR, product};
use super::CHANNELS;
use super::block::Block;
use super::kernel::Packed;
use super::scheme::{Doubling, Halving, Same, Scheme};
use super::tiling::{Tiling, kernel_point};
use crate::buffer::Buffer;

/// Rows of tiles a block, for `channels` transformed planes in a second-level cache.
pub(super) fn rows_a_block<C: Scheme>(tiling: &Tiling, channels: usize) -> usize {
    /// Values that the transformed planes may take of the cache.
    const BUDGET: usize = 360 * 1024;
    /// Tiles at most, and at least: 64 of 36 points and 32 of 81, for register tiles of some width.
    const MOST: usize = 96;
    const FEWEST_POINTS: usize = 2600;
    let points = C::POINTS * C::POINTS;
    let fewest = FEWEST_POINTS / points / LONGEST_VECTOR * LONGEST_VECTOR;
    let tiles = (BUDGET / (points * channels.max(1))).clamp(fewest, MOST);
    (tiles / tiling.across).max(1)
}

/// The convolution, as [`super::super::direct::correlate`] of a forward plan.
pub(in super::super) fn correlate(
    x: &[f32],
    packed: &Packed,
    geometry: &Geometry,
    epilogue: Epilogue<'_>,
) -> Buffer {
    match geometry.window.stride {
        1 => run::<Same>(x, packed, geometry, false, epilogue),
        _ => run::<Halving>(x, packed, geometry, false, epilogue),
    }
}

/// The pull back of the convolution that `geometry` describes; `packed` holds its mirrored kernel.
pub(in super::super) fn pull_back(
    g: &[f32],
    packed: &Packed,
    geometry: &Geometry,
    epilogue: Epilogue<'_>,
) -> Buffer {
    match geometry.window.stride {
        1 => run::<Same>(g, packed, geometry, true, epilogue),
        _ => run::<Doubling>(g, packed, geometry, true, epilogue),
    }
}

fn run<C: Scheme>(
    x: &[f32],
    packed: &Packed,
    geometry: &Geometry,
    is_pull_back: bool,
    epilogue: Epilogue<'_>,
) -> Buffer {
    let tiling = Tiling::new::<C>(geometry, is_pull_back);
    let mut channels = [geometry.channels_in, geometry.channels_out];
    if is_pull_back {
        channels.reverse();
    }
    let [depth, outer] = channels;
    let rows = tiling.rows();
    let step = rows_a_block::<C>(&tiling, depth);
    let mut output = Buffer::stale(outer * tiling.planes()[1]);
    let shared = SharedOutput::new(&mut output);
    let blocks: Vec<Range<usize>> =
        (0..rows).step_by(step).map(|row| row..(row + step).min(rows)).collect();
    let pieces = pieces(outer, blocks.len());
    let tasks: Vec<(&Range<usize>, &Range<usize>)> =
        blocks.iter().flat_map(|block| pieces.iter().map(move |piece| (block, piece))).collect();
    let points = C::POINTS * C::POINTS;
    for_each(tasks, |(rows, pieces)| {
        let block = &Block::<C>::new(tiling, rows.clone());
        // Not a power of two, so that points do not compete for the same lines of the cache.
        let input_stride = depth * block.width() + 16;
        let rest = packed.transformed() + points * CHANNELS * block.width() + block.staging();
        with_scratch(points * input_stride, rest, |input, rest| {
            dispatch(Task {
                x,
                packed,
                channels,
                epilogue,
                block,
                pieces,
                shared,
                input,
                input_stride,
                rest,
            });
        });
    });
    output
}

/// Blocks of output channels a task: all of them unless there would be too few tasks. Each task
/// transforms its inputs again.
fn pieces(channels: usize, tile_blocks: usize) -> Vec<Range<usize>> {
    /// Tasks that let half a dozen cores share the work.
    const ENOUGH: usize = 8;
    let blocks = channels.div_ceil(CHANNELS);
    let enough = if is_shared_out() { ENOUGH } else { 1 };
    let pieces = enough.div_ceil(tile_blocks.max(1)).clamp(1, blocks);
    let step = blocks.div_ceil(pieces);
    (0..blocks).step_by(step).map(|first| first..(first + step).min(blocks)).collect()
}

/// Some output channels of a block of tiles.
struct Task<'a, C> {
    x: &'a [f32],
    packed: &'a Packed,
    /// Read and written.
    channels: [usize; 2],
    epilogue: Epilogue<'a>,
    block: &'a Block<C>,
    /// Blocks of output channels.
    pieces: &'a Range<usize>,
    shared: SharedOutput,
    /// Scratch memory for the transformed inputs, `[points][C_in][tiles]`, and for everything else.
    input: &'a mut [f32],
    input_stride: usize,
    rest: &'a mut [f32],
}

impl<C: Scheme> WithSimd for Task<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Task { block, packed, channels: [depth, outer], input, input_stride, .. } = self;
        let width = block.width();
        let [plane_in, plane_out] = block.tiling.planes();
        let positions = block.tiling.positions(&block.rows);
        let (kernel, rest) = self.rest.split_at_mut(packed.transformed());
        let (products, staging) = rest.split_at_mut(C::POINTS * C::POINTS * CHANNELS * width);
        for channel in 0..depth {
            let x = &self.x[channel * plane_in..(channel + 1) * plane_in];
            // SAFETY: the input holds every point of every channel.
            unsafe {
                let out = input.as_mut_ptr().add(channel * width);
                block.transform_input(simd, x, staging, out, input_stride);
            }
        }
        for piece in self.pieces.clone() {
            packed.transform::<S, C>(simd, piece, kernel);
            let first = piece * CHANNELS;
            let count = CHANNELS.min(outer - first);
            for point in 0..C::POINTS * C::POINTS {
                let place = kernel_point([point / C::POINTS, point % C::POINTS]);
                // SAFETY: the scratch memory was cut for every point of these operands.
                unsafe {
                    let kernel = kernel.as_ptr().add(place * packed.stride());
                    let input = input.as_ptr().add(point * input_stride);
                    let out = products.as_mut_ptr().add(point * CHANNELS * width);
                    product(simd, kernel, input, out, [count, depth, block.vectors], [width; 2]);
                }
            }
            for lane in 0..count {
                let channel = first + lane;
                let start = channel * plane_out + positions.start;
                let ending = self.epilogue.of_row(channel, start..start + positions.len());
                // SAFETY: tasks cover disjoint rows and channels; the products hold every point.
                unsafe {
                    let out = self.shared.range(start, positions.len());
                    let m = products.as_ptr().add(lane * width);
                    block.transform_output(simd, m, CHANNELS * width, staging, out, ending);
                }
            }
        }
    }
}
