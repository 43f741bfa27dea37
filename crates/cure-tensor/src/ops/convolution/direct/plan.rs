//! What a correlation reads and writes, forward and back: the same shape of work in both directions.

use std::ops::Range;

use super::super::geometry::{Geometry, Window};
use super::super::tile::{CHANNELS, LONGEST_VECTOR};

/// A tap of the kernel and where it reads, relative to the place of an output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Its place in the kernel, row by row.
    pub(super) index: usize,
    pub(super) offset: [isize; 2],
}

/// The planes that are read, or written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    /// Channels of one group.
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// At place (y, x) of a grid, tap t reads (read·y + dy, read·x + dx) of the source, zero outside, and
/// phase (py, px) writes (write·y + py, write·x + px) of the target. A convolution reads with its stride
/// and writes every place; its pull back reads every place and writes one phase after the other, each with
/// the taps that reach it.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) window: Window,
    pub(in super::super) is_pull_back: bool,
    pub(super) batch: usize,
    pub(super) source: Planes,
    pub(super) target: Planes,
    /// Height and width of the grid.
    pub(super) grid: [usize; 2],
    pub(super) read: usize,
    pub(super) write: usize,
    /// The taps of each of write² phases, row by row.
    pub(super) phases: Vec<Vec<Tap>>,
}

impl Plan {
    pub(in super::super) fn forward(geometry: &Geometry) -> Self {
        let (source, target) = planes(geometry);
        let stride = geometry.window.stride;
        let padding = geometry.window.padding as isize;
        let tap = |index: usize| {
            let [y, x] = place(geometry, index);
            Tap { index, offset: [y - padding, x - padding] }
        };
        let phases = vec![(0..geometry.taps()).map(tap).collect()];
        let (window, batch) = (geometry.window, geometry.batch);
        let grid = geometry.output;
        let (is_pull_back, read, write) = (false, stride, 1);
        Self { window, is_pull_back, batch, source, target, grid, read, write, phases }
    }

    /// Of the pull back of the convolution that `geometry` describes.
    pub(in super::super) fn pull_back(geometry: &Geometry) -> Self {
        let (target, source) = planes(geometry);
        let stride = geometry.window.stride;
        let padding = geometry.window.padding as isize;
        let phase = |at: usize| {
            let at = [(at / stride) as isize, (at % stride) as isize];
            let tap = |index: usize| {
                // The place whose window has this tap over the phase, if it is a whole one.
                let [y, x] = place(geometry, index);
                let (y, x) = (at[0] + padding - y, at[1] + padding - x);
                let step = stride as isize;
                let is_whole = y.rem_euclid(step) == 0 && x.rem_euclid(step) == 0;
                is_whole.then_some(Tap { index, offset: [y / step, x / step] })
            };
            (0..geometry.taps()).filter_map(tap).collect()
        };
        let phases = (0..stride * stride).map(phase).collect();
        let grid = geometry.input.map(|side| side.div_ceil(stride));
        let (window, batch) = (geometry.window, geometry.batch);
        let (is_pull_back, read, write) = (true, 1, stride);
        Self { window, is_pull_back, batch, source, target, grid, read, write, phases }
    }

    /// Zeros that a row of the source needs on its left and right.
    pub(super) fn slack(&self) -> [usize; 2] {
        let taps = || self.phases.iter().flatten().map(|tap| tap.offset[1]);
        let last = (self.grid[1].max(1) - 1) * self.read;
        let left = taps().map(|x| (-x).max(0)).max().unwrap_or(0) as usize;
        let right = taps().max().unwrap_or(0) + last as isize + 1 - self.source.width as isize;
        [left, right.max(0) as usize]
    }

    /// Rows of the grid of the whole batch.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.grid[0]
    }

    /// Products of a phase for each output.
    pub(super) fn depth(&self, phase: usize) -> usize {
        self.source.channels * self.phases[phase].len()
    }

    /// Panel rows of all phases in one row of phases, at most.
    pub(super) fn deepest(&self) -> usize {
        let across = |row: usize| (row..row + self.write).map(|phase| self.depth(phase)).sum();
        (0..self.phases.len()).step_by(self.write).map(across).max().unwrap_or(0)
    }

    /// Rows of the grid a task: as many as keep `depth` panel rows in a second-level cache.
    pub(super) fn rows_a_task(&self, depth: usize) -> usize {
        /// Values that the panel may take of the cache.
        const BUDGET: usize = 160 * 1024;
        /// The widest register tile.
        const UNIT: usize = 3 * LONGEST_VECTOR;
        let most = (BUDGET / depth.max(1)).clamp(UNIT, 8 * UNIT);
        let width = self.grid[1].max(1);
        let whole = (1..=UNIT).find(|rows| (rows * width).is_multiple_of(UNIT)).unwrap_or(UNIT);
        let rows = (most / width).max(1);
        if rows >= whole { rows / whole * whole } else { rows }
    }

    /// Where rows of the grid write in a plane of the target: whole rows, all phases of them.
    pub(super) fn range(&self, rows: &Range<usize>) -> Range<usize> {
        let start = |row: usize| {
            let (sample, y) = (row / self.grid[0], row % self.grid[0] * self.write);
            (sample * self.target.height + y) * self.target.width
        };
        start(rows.start)..start(rows.end)
    }

    pub(super) fn blocks(&self) -> usize {
        self.target.channels.div_ceil(CHANNELS)
    }
}

/// Row and column of a tap.
fn place(geometry: &Geometry, index: usize) -> [isize; 2] {
    let across = geometry.kernel[1];
    [(index / across) as isize, (index % across) as isize]
}

fn planes(geometry: &Geometry) -> (Planes, Planes) {
    let planes = |channels, [height, width]: [usize; 2]| Planes { channels, height, width };
    (
        planes(geometry.channels_in_a_group(), geometry.input),
        planes(geometry.channels_out_a_group(), geometry.output),
    )
}
