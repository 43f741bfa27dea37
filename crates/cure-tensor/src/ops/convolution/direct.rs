//! 3×3 convolutions of stride 1 without gathering columns, on AVX-512.
//!
//! The rows of a tile are copied into cache three times, moved right by one, as they are, and moved
//! left by one, with zeros at the borders. In that layout a tap is a constant offset, so an output is
//! Σ w[tap]·x[p + offset(tap)] over contiguous memory with loads that stay within cache lines, and the
//! register tile (8 channels × 48 positions) needs 3 loads and 8 broadcasts for 24 multiply-adds.
//! Images are kept apart by a line of zeros, whose outputs are thrown away: 1/H of the work, which is
//! why small planes take the other path.

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::ops::Range;

use rayon::prelude::*;

use super::super::parallel::SharedOutput;
use super::forward::{Epilogue, finish};
use super::geometry::{Geometry, Window};
use super::product::with_scratch;
use crate::Tensor;
use crate::buffer::Buffer;

const TAPS: usize = 9;
const LANES: usize = 16;
/// Output channels of a register tile.
const CHANNELS: usize = 8;
/// Vectors of positions of a register tile.
const VECTORS: usize = 3;
/// Output channels of a register tile of the weight gradient.
const GRADIENT_CHANNELS: usize = 3;
/// Lower planes waste too much between images.
const LOWEST: usize = 8;
/// With more channels a tile that fits in cache is too short for the weights that pass it.
const MOST_CHANNELS: usize = 128;

/// Whether this machine and this convolution are the ones meant.
pub(super) fn applies(geometry: &Geometry) -> bool {
    geometry.kernel == [3, 3]
        && geometry.window == Window { stride: 1, padding: 1, groups: 1 }
        && geometry.input[0] >= LOWEST
        && geometry.channels_in <= MOST_CHANNELS
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
}

/// Whether the weight gradient is faster this way too. With more channels the product over gathered
/// columns is: each gathered value then serves more output channels (`docs/decisions.md`).
pub(super) fn applies_to_gradient(geometry: &Geometry) -> bool {
    const MOST_FOR_GRADIENT: usize = 32;
    applies(geometry) && geometry.channels_in <= MOST_FOR_GRADIENT
}

/// Consecutive rows of one image that lie on consecutive lines of a tile's layout.
struct Run {
    line: usize,
    row: usize,
    count: usize,
}

/// Rows of the batch, `first..last`, counted through all samples, with the rows around them:
/// images are kept apart by lines of zeros.
struct Lines {
    /// What the lines hold; the others are zero.
    runs: Vec<Run>,
    /// The rows whose outputs are computed, each on the line above its own (taps look down two).
    outputs: Vec<Run>,
    count: usize,
}

impl Lines {
    fn new(rows: Range<usize>, height: usize) -> Self {
        let (mut runs, mut outputs) = (Vec::new(), Vec::new());
        let (mut row, mut line) = (rows.start, 0);
        while row < rows.end {
            let end = rows.end.min((row / height + 1) * height);
            // The row above, or a line of zeros that also ends the image before.
            let above = usize::from(!row.is_multiple_of(height));
            let below = usize::from(!end.is_multiple_of(height));
            let count = end - row + above + below;
            runs.push(Run { line: line + 1 - above, row: row - above, count });
            outputs.push(Run { line, row, count: end - row });
            line += end - row + 1;
            row = end;
        }
        Self { runs, outputs, count: line + 1 }
    }

    /// Output positions, those between images included.
    fn positions(&self, width: usize) -> usize {
        (self.count - 2) * width
    }

    /// Copies one channel three times, each `length` long: moved right, as it is, moved left.
    fn copy(&self, channel: &[f32], width: usize, length: usize, out: &mut [f32]) {
        let (right, rest) = out.split_at_mut(length);
        let (same, left) = rest.split_at_mut(length);
        let mut end = 0;
        for run in &self.runs {
            let (at, len) = (run.line * width, run.count * width);
            let from = &channel[run.row * width..][..len];
            for copy in [&mut *right, &mut *same, &mut *left] {
                copy[end..at].fill(0.0);
            }
            end = at + len;
            right[at + 1..end].copy_from_slice(&from[..len - 1]);
            same[at..end].copy_from_slice(from);
            left[at..end - 1].copy_from_slice(&from[1..]);
            // What crossed from one row to the next.
            right[at..end].iter_mut().step_by(width).for_each(|value| *value = 0.0);
            left[at + width - 1..end].iter_mut().step_by(width).for_each(|value| *value = 0.0);
        }
        for copy in [right, same, left] {
            copy[end..].fill(0.0);
        }
    }

    /// Copies one channel of an output-shaped tensor to the positions of its outputs, zeros
    /// elsewhere.
    fn copy_outputs(&self, channel: &[f32], width: usize, out: &mut [f32]) {
        out.fill(0.0);
        for run in &self.outputs {
            let len = run.count * width;
            out[run.line * width..][..len].copy_from_slice(&channel[run.row * width..][..len]);
        }
    }
}

/// Copies of each channel in a tile's layout.
const COPIES: usize = 3;

/// Length of a copy in a tile's layout: register tiles may read past the last position. Whole
/// cache lines, an odd number of them so that channels do not compete for the same places.
fn layout_length(lines: usize, width: usize) -> usize {
    let vectors = (lines * width + (VECTORS + 1) * LANES).div_ceil(LANES);
    (vectors | 1) * LANES
}

/// Where a tap finds its values, from the position of the output.
fn offsets(length: usize, width: usize) -> [usize; TAPS] {
    std::array::from_fn(|tap| tap % 3 * length + tap / 3 * width)
}

/// Rows a tile for `depth` channels in cache: about `budget` values in all.
fn rows_a_tile(budget: usize, depth: usize, width: usize, fewest: usize, most: usize) -> usize {
    ((budget / depth.max(1)).clamp(fewest, most) / width).max(1)
}

/// `[C_out, C_in, 3, 3]` as `[C_out/8][C_in][9][8]`, zeros for the missing output channels.
fn pack(weight: &[f32], geometry: &Geometry) -> Vec<f32> {
    let depth = geometry.channels_in * TAPS;
    let blocks = geometry.channels_out.div_ceil(CHANNELS);
    let mut packed = vec![0.0; blocks * depth * CHANNELS];
    for (channel, row) in weight.chunks_exact(depth).enumerate() {
        let (block, lane) = (channel / CHANNELS, channel % CHANNELS);
        let out = &mut packed[block * depth * CHANNELS..(block + 1) * depth * CHANNELS];
        for (&value, out) in row.iter().zip(out.chunks_exact_mut(CHANNELS)) {
            out[lane] = value;
        }
    }
    packed
}

/// The convolution, as [`super::forward::correlate`].
pub(super) fn correlate(
    x: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    epilogue: Epilogue<'_>,
) -> Buffer {
    /// Tasks that let a dozen cores share the work.
    const ENOUGH: usize = 24;
    let [height, width] = geometry.input;
    let rows = geometry.batch * height;
    let step = rows_a_tile(128 * 1024, COPIES * geometry.channels_in, width, 192, 1024);
    let blocks = geometry.channels_out.div_ceil(CHANNELS);
    let tiles = rows.div_ceil(step);
    let blocks_a_task = blocks.div_ceil(ENOUGH.div_ceil(tiles.max(1)).clamp(1, blocks));
    let tasks: Vec<(usize, usize)> = (0..rows)
        .step_by(step)
        .flat_map(|row| (0..blocks).step_by(blocks_a_task).map(move |block| (row, block)))
        .collect();
    let packed = pack(weight, geometry);
    let plane = rows * width;
    let mut output = Buffer::stale(geometry.channels_out * plane);
    let shared = SharedOutput::new(&mut output);
    tasks.into_par_iter().for_each(|(first, first_block)| {
        let last = (first + step).min(rows);
        let lines = Lines::new(first..last, height);
        let length = layout_length(lines.count, width);
        with_scratch(
            geometry.channels_in * COPIES * length,
            CHANNELS * length,
            |layout, product| {
                for (channel, out) in layout.chunks_exact_mut(COPIES * length).enumerate() {
                    lines.copy(&x[channel * plane..(channel + 1) * plane], width, length, out);
                }
                let depth = geometry.channels_in * TAPS * CHANNELS;
                for block in first_block..(first_block + blocks_a_task).min(blocks) {
                    let weights = &packed[block * depth..(block + 1) * depth];
                    // SAFETY: `applies` has seen AVX-512; the layout is long enough by construction.
                    unsafe { block_of_channels(layout, length, weights, &lines, width, product) };
                    for lane in 0..CHANNELS.min(geometry.channels_out - block * CHANNELS) {
                        let channel = block * CHANNELS + lane;
                        for run in &lines.outputs {
                            let (start, len) =
                                (channel * plane + run.row * width, run.count * width);
                            // SAFETY: tasks cover disjoint rows and channels.
                            let out = unsafe { shared.range(start, len) };
                            let from = lane * length + run.line * width;
                            finish(&product[from..from + len], out, channel, start, epilogue);
                        }
                    }
                }
            },
        );
    });
    output
}

/// Eight output channels at every position of a tile.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn block_of_channels(
    layout: &[f32],
    length: usize,
    weights: &[f32],
    lines: &Lines,
    width: usize,
    product: &mut [f32],
) {
    let positions = lines.positions(width);
    let offsets = offsets(length, width);
    let channels = layout.len() / (COPIES * length);
    let mut position = 0;
    while position < positions {
        debug_assert!(position + 2 * width + VECTORS * LANES <= length);
        // SAFETY: the last tap of the last register tile ends within a channel's layout, whose
        // slack is made for it; the product has eight rows of the same length.
        unsafe {
            let x = layout.as_ptr().add(position);
            let out = product.as_mut_ptr().add(position);
            register_tile(x, length, channels, &offsets, weights.as_ptr(), out);
        }
        position += VECTORS * LANES;
    }
}

#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn register_tile(
    x: *const f32,
    length: usize,
    channels: usize,
    offsets: &[usize; TAPS],
    mut weights: *const f32,
    out: *mut f32,
) {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; CHANNELS];
    for channel in 0..channels {
        for offset in offsets {
            // SAFETY: promised by the caller; the packed weights hold channels·9·8 values.
            unsafe {
                let x = x.add(channel * COPIES * length + offset);
                let values: [__m512; VECTORS] =
                    std::array::from_fn(|vector| _mm512_loadu_ps(x.add(vector * LANES)));
                for (lane, sums) in sums.iter_mut().enumerate() {
                    let weight = _mm512_set1_ps(*weights.add(lane));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = _mm512_fmadd_ps(weight, value, *sum);
                    }
                }
                weights = weights.add(CHANNELS);
            }
        }
    }
    for (lane, sums) in sums.iter().enumerate() {
        for (vector, sum) in sums.iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(out.add(lane * length + vector * LANES), *sum) };
        }
    }
}

/// The weight gradient, as [`super::weight_gradient`]'s: a task owns some rows of the batch; the
/// partial sums of tasks are added in order.
pub(super) fn weight_gradient(pairs: &[(&Tensor, &Tensor)], geometry: &Geometry) -> Buffer {
    /// Parts at most: each holds a gradient of its own.
    const PARTS: usize = 16;
    /// Values that all parts together may take (256 MiB).
    const MOST: usize = 64 * 1024 * 1024;
    let [height, width] = geometry.input;
    let (inner, outer) = (geometry.channels_in, geometry.channels_out);
    let rows = geometry.batch * height;
    let step = rows_a_tile(320 * 1024, COPIES * inner + outer, width, 256, 2048);
    let tiles = rows.div_ceil(step);
    let size = outer * inner * TAPS;
    let parts = tiles.min(PARTS).min(MOST / size).max(1);
    let tiles_a_part = tiles.div_ceil(parts);
    let plane = rows * width;
    let partial = |part: usize| {
        let mut sum = vec![0.0f32; size];
        let (from, to) = (part * tiles_a_part * step, (part + 1) * tiles_a_part * step);
        for first in (from..to.min(rows)).step_by(step) {
            let lines = Lines::new(first..(first + step).min(rows), height);
            let length = layout_length(lines.count, width);
            for (x, g) in pairs {
                with_scratch(inner * COPIES * length, outer * length, |xs, gs| {
                    for (channel, out) in xs.chunks_exact_mut(COPIES * length).enumerate() {
                        let values = &x.cpu()[channel * plane..][..plane];
                        lines.copy(values, width, length, out);
                    }
                    for (channel, out) in gs.chunks_exact_mut(length).enumerate() {
                        lines.copy_outputs(&g.cpu()[channel * plane..][..plane], width, out);
                    }
                    // SAFETY: `applies` has seen AVX-512; both layouts have the same length.
                    unsafe { add_tile(xs, gs, length, &lines, width, &mut sum) };
                });
            }
        }
        sum
    };
    let sums: Vec<Vec<f32>> = (0..parts).into_par_iter().map(partial).collect();
    let mut output = Buffer::zeros(size);
    for sum in &sums {
        output.iter_mut().zip(sum).for_each(|(out, value)| *out += value);
    }
    output
}

#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn add_tile(
    xs: &[f32],
    gs: &[f32],
    length: usize,
    lines: &Lines,
    width: usize,
    sum: &mut [f32],
) {
    let (inner, outer) = (xs.len() / (COPIES * length), gs.len() / length);
    let steps = lines.positions(width).div_ceil(LANES);
    let offsets = offsets(length, width);
    // The rows of g stay in the first-level cache while those of x pass by.
    for first in (0..outer).step_by(GRADIENT_CHANNELS) {
        let g = &gs[first * length..];
        let count = GRADIENT_CHANNELS.min(outer - first);
        for (channel, x) in xs.chunks_exact(COPIES * length).enumerate() {
            // SAFETY: every vector read lies within a channel's layout.
            let found = unsafe {
                match count {
                    3 => gradient_tile::<3>(x, g, length, steps, &offsets),
                    2 => gradient_tile::<2>(x, g, length, steps, &offsets),
                    _ => gradient_tile::<1>(x, g, length, steps, &offsets),
                }
            };
            for (row, found) in found.iter().enumerate().take(count) {
                let at = ((first + row) * inner + channel) * TAPS;
                for (sum, value) in sum[at..at + TAPS].iter_mut().zip(found) {
                    *sum += value;
                }
            }
        }
    }
}

/// Σₚ g[o][p]·x[p + offset] for `O` output channels and the nine taps.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn gradient_tile<const O: usize>(
    x: &[f32],
    g: &[f32],
    length: usize,
    steps: usize,
    offsets: &[usize; TAPS],
) -> [[f32; TAPS]; GRADIENT_CHANNELS] {
    let mut sums = [[_mm512_setzero_ps(); TAPS]; O];
    for step in 0..steps {
        // SAFETY: promised by the caller.
        unsafe {
            let gs: [__m512; O] = std::array::from_fn(|row| {
                _mm512_loadu_ps(g.as_ptr().add(row * length + step * LANES))
            });
            for (tap, offset) in offsets.iter().enumerate() {
                let value = _mm512_loadu_ps(x.as_ptr().add(step * LANES + offset));
                for (sums, g) in sums.iter_mut().zip(gs) {
                    sums[tap] = _mm512_fmadd_ps(g, value, sums[tap]);
                }
            }
        }
    }
    let mut totals = [[0.0; TAPS]; GRADIENT_CHANNELS];
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = _mm512_reduce_add_ps(sum);
        }
    }
    totals
}
