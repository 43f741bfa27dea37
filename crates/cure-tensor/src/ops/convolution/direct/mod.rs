//! Convolutions of any geometry, forward and back, by plain sums: what the taps read is gathered into
//! cache ([`panel`]), multiplied by packed weights, and written out once with the epilogue applied.

mod panel;
mod plan;
mod weights;

pub(super) use plan::Plan;
pub(super) use weights::weight_gradient;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::machine::dispatch;
use super::super::parallel::{SharedOutput, for_each, is_shared_out};
use super::epilogue::Epilogue;
use super::geometry::Window;
use super::scratch::with_scratch;
use super::tile::{CHANNELS, LONGEST_VECTOR, product};
use crate::buffer::Buffer;

/// Weights as the product reads them: for each phase `[groups][channels/8][depth][8]`, zeros for missing
/// channels.
#[derive(Debug)]
pub(super) struct Packed {
    window: Window,
    phases: Vec<Buffer>,
}

impl Packed {
    /// From `[C_out, C_in/groups, kh, kw]`.
    pub(super) fn new(plan: &Plan, weight: &[f32], taps: usize) -> Self {
        let (rows, sources) = (plan.target.channels, plan.source.channels);
        let phase = |phase: usize| {
            let (own, depth) = (&plan.phases[phase], plan.depth(phase));
            let block = depth * CHANNELS;
            let mut values = Buffer::stale(plan.window.groups * plan.blocks() * block);
            let tasks = values.chunks_mut(block.max(1)).enumerate().collect();
            for_each(tasks, |(index, values): (usize, &mut [f32])| {
                let (group, first) = (index / plan.blocks(), index % plan.blocks() * CHANNELS);
                if first + CHANNELS > rows {
                    values.fill(0.0);
                }
                for lane in 0..CHANNELS.min(rows - first) {
                    let row = first + lane;
                    for source in 0..sources {
                        let at = if plan.is_pull_back {
                            (group * sources + source) * rows + row
                        } else {
                            (group * rows + row) * sources + source
                        };
                        for (t, tap) in own.iter().enumerate() {
                            let k = source * own.len() + t;
                            values[k * CHANNELS + lane] = weight[at * taps + tap.index];
                        }
                    }
                }
            });
            values
        };
        let phases = (0..plan.phases.len()).map(phase).collect();
        Self { window: plan.window, phases }
    }

    /// Whether they are packed for this plan: which taps a phase has depends on the window.
    pub(super) fn serves(&self, plan: &Plan) -> bool {
        self.window == plan.window
    }
}

/// Some channels of one group, at some rows of the grid.
struct Task<'a> {
    plan: &'a Plan,
    source: &'a [f32],
    packed: &'a Packed,
    epilogue: Epilogue<'a>,
    shared: SharedOutput,
    group: usize,
    rows: Range<usize>,
    /// Blocks of eight channels.
    blocks: Range<usize>,
}

/// The target planes of `plan`.
pub(super) fn correlate(
    plan: &Plan,
    source: &[f32],
    packed: &Packed,
    epilogue: Epilogue<'_>,
) -> Buffer {
    /// Tasks that let a dozen cores share the work; fewer cores do not mind.
    const ENOUGH: usize = 24;
    /// Blocks of channels a task at least: the panel is gathered again for each task.
    const FEWEST_BLOCKS: usize = 8;
    let groups = plan.window.groups;
    let planes = plan.batch * plan.target.height * plan.target.width;
    let mut output = Buffer::stale(groups * plan.target.channels * planes);
    let shared = SharedOutput::new(&mut output);
    let (rows, blocks) = (plan.rows(), plan.blocks());
    let step = plan.rows_a_task(plan.deepest());
    let tiles = rows.div_ceil(step) * groups;
    let enough = if is_shared_out() { ENOUGH } else { 1 };
    let pieces = enough.div_ceil(tiles.max(1)).min(blocks / FEWEST_BLOCKS).max(1);
    let blocks_a_piece = blocks.div_ceil(pieces).max(1);
    let mut tasks = Vec::new();
    for group in 0..groups {
        for first in (0..rows).step_by(step) {
            let rows = first..(first + step).min(rows);
            for first in (0..blocks).step_by(blocks_a_piece) {
                let blocks = first..(first + blocks_a_piece).min(blocks);
                let rows = rows.clone();
                tasks.push(Task { plan, source, packed, epilogue, shared, group, rows, blocks });
            }
        }
    }
    for_each(tasks, |task| {
        // In whole vectors, of the longest kind: the same for all.
        let width = (task.rows.len() * plan.grid[1]).next_multiple_of(LONGEST_VECTOR);
        let products = plan.write * CHANNELS * width;
        let rest = products + panel::staging(plan, task.rows.len());
        with_scratch(plan.deepest() * width, rest, |panel, rest| {
            let (product, staging) = rest.split_at_mut(products);
            dispatch(Run { task, width, panel, product, staging });
        });
    });
    output
}

/// A task with its scratch memory.
struct Run<'a> {
    task: Task<'a>,
    /// Values of a row of the panel and of the products.
    width: usize,
    panel: &'a mut [f32],
    product: &'a mut [f32],
    staging: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { task, width, panel, product, staging } = self;
        for row in 0..task.plan.write {
            task.gather(row, panel, width, staging);
            for block in task.blocks.clone() {
                task.multiply(simd, row, block, panel, width, product);
                task.write(row, block, product, width);
            }
        }
        if task.plan.write > 1 {
            task.blocks.clone().for_each(|block| task.finish(block));
        }
    }
}

impl Task<'_> {
    /// The panels of one row of phases, one after the other.
    #[inline(always)]
    fn gather(&self, row: usize, mut panel: &mut [f32], width: usize, staging: &mut [f32]) {
        let plan = self.plan;
        let channels = self.group * plan.source.channels..(self.group + 1) * plan.source.channels;
        for phase in row * plan.write..(row + 1) * plan.write {
            let (own, rest) = panel.split_at_mut(plan.depth(phase) * width);
            let taps = &plan.phases[phase];
            panel::gather(
                plan,
                taps,
                self.source,
                channels.clone(),
                &self.rows,
                own,
                width,
                staging,
            );
            panel = rest;
        }
    }

    /// The products of a block of channels in one row of phases.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        row: usize,
        block: usize,
        mut panel: &[f32],
        width: usize,
        out: &mut [f32],
    ) {
        let plan = self.plan;
        let phases = row * plan.write..(row + 1) * plan.write;
        for (phase, out) in phases.zip(out.chunks_exact_mut(CHANNELS * width)) {
            let depth = plan.depth(phase);
            let (own, rest) = panel.split_at(depth * width);
            let (first, block) = (block, self.group * plan.blocks() + block);
            let kernel = &self.packed.phases[phase][block * depth * CHANNELS..][..depth * CHANNELS];
            // SAFETY: the panel has `depth` rows and the product eight, all of whole vectors.
            unsafe {
                let vectors = width / S::F32_LANES;
                let (input, out) = (own.as_ptr(), out.as_mut_ptr());
                let count = CHANNELS.min(plan.target.channels - first * CHANNELS);
                let extents = [count, depth, vectors];
                product(simd, kernel.as_ptr(), input, out, extents, [width; 2]);
            }
            panel = rest;
        }
    }

    fn channels(&self, block: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let channels = self.plan.target.channels;
        let first = block * CHANNELS;
        let group = self.group * channels;
        (0..CHANNELS.min(channels - first)).map(move |lane| (lane, group + first + lane))
    }

    /// The task's part of a channel, and where it is.
    fn part<'b>(&self, channel: usize) -> (&'b mut [f32], Range<usize>) {
        let target = &self.plan.target;
        let range = self.plan.range(&self.rows);
        let start = channel * self.plan.batch * target.height * target.width;
        let at = start + range.start..start + range.end;
        // SAFETY: tasks cover disjoint channels and rows.
        (unsafe { self.shared.range(at.start, at.len()) }, at)
    }

    /// Products to their places; with one phase also the epilogue, while they are in cache.
    #[inline(always)]
    fn write(&self, row: usize, block: usize, product: &[f32], width: usize) {
        let plan = self.plan;
        let ([height, across], target) = (plan.grid, &plan.target);
        for (lane, channel) in self.channels(block) {
            let (out, at) = self.part(channel);
            if plan.write == 1 {
                out.copy_from_slice(&product[lane * width..][..out.len()]);
                self.epilogue.of_row(channel, at).finish(out);
                continue;
            }
            let start = plan.range(&self.rows).start;
            for (index, grid_row) in self.rows.clone().enumerate() {
                let y = grid_row % height * plan.write + row;
                if y >= target.height {
                    continue;
                }
                let to = (grid_row / height * target.height + y) * target.width - start;
                let out = &mut out[to..to + target.width];
                let from = |phase: usize| {
                    let at = (phase * CHANNELS + lane) * width + index * across;
                    &product[at..at + across]
                };
                if plan.write == 2 && target.width == 2 * across {
                    interleave(from(0), from(1), out);
                    continue;
                }
                for phase in 0..plan.write {
                    let places = out.iter_mut().skip(phase).step_by(plan.write);
                    places.zip(from(phase)).for_each(|(out, &value)| *out = value);
                }
            }
        }
    }

    fn finish(&self, block: usize) {
        for (_, channel) in self.channels(block) {
            let (out, at) = self.part(channel);
            self.epilogue.of_row(channel, at).finish(out);
        }
    }
}

/// Even places from one row, odd ones from the other.
#[inline(always)]
fn interleave(even: &[f32], odd: &[f32], out: &mut [f32]) {
    match even.len() {
        4 => interleave_fixed::<4>(even, odd, out),
        8 => interleave_fixed::<8>(even, odd, out),
        16 => interleave_fixed::<16>(even, odd, out),
        _ => {
            let (pairs, _) = out.as_chunks_mut::<2>();
            for ((pair, &even), &odd) in pairs.iter_mut().zip(even).zip(odd) {
                *pair = [even, odd];
            }
        }
    }
}

#[inline(always)]
fn interleave_fixed<const N: usize>(even: &[f32], odd: &[f32], out: &mut [f32]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    if let (Some(even), Some(odd), Some(pairs)) =
        (even.first_chunk::<N>(), odd.first_chunk::<N>(), pairs.first_chunk_mut::<N>())
    {
        let (even, odd) = (*even, *odd);
        *pairs = std::array::from_fn(|i| [even[i], odd[i]]);
    }
}
