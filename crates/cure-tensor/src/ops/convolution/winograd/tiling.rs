//! How a convolution's planes are cut into tiles.

use std::ops::Range;

use super::super::geometry::Geometry;
use super::scheme::{COLUMNS, KERNEL, Scheme};

/// The tiles of the planes of a batch, in rows: through the columns of a plane first, then its rows,
/// then the samples.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    /// Samples.
    batch: usize,
    /// Height and width of the planes read and of those written.
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    /// Tiles side by side, and rows of tiles in a plane.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Output rows of a tile.
    tile: usize,
}

impl Tiling {
    /// Of the convolution, or of its pull back.
    pub(super) fn new<C: Scheme>(geometry: &Geometry, is_pull_back: bool) -> Self {
        let Geometry { batch, input, output, .. } = *geometry;
        let [input, output] = if is_pull_back { [output, input] } else { [input, output] };
        let [down, across] = output.map(|length| length.div_ceil(C::OUTPUTS));
        Self { batch, input, output, across, down, tile: C::OUTPUTS }
    }

    /// Rows of tiles in the whole batch.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.down
    }

    /// Positions of a channel that is read, and of one that is written.
    pub(super) fn planes(&self) -> [usize; 2] {
        [self.input, self.output].map(|[height, width]| self.batch * height * width)
    }

    /// Products of a pair of channels over the batch, boundary tiles included.
    pub(super) fn products<C: Scheme>(&self) -> usize {
        self.rows() * self.across * C::POINTS * C::POINTS
    }

    /// Multiply-adds of the plain convolution for each that the transformed one spends, boundary
    /// tiles included.
    pub(super) fn saving<C: Scheme>(geometry: &Geometry) -> f64 {
        const TAPS: usize = 9;
        let Self { output: [height, width], across, down, .. } = Self::new::<C>(geometry, false);
        (height * width * TAPS) as f64 / (across * down * C::POINTS * C::POINTS) as f64
    }

    /// The sample of a row of tiles, and its place among those of a plane.
    pub(super) fn place(&self, row: usize) -> [usize; 2] {
        [row / self.down, row % self.down]
    }

    /// The positions of a plane (of all samples) that rows of tiles write: one contiguous range.
    pub(super) fn positions(&self, rows: &Range<usize>) -> Range<usize> {
        let [height, width] = self.output;
        let start = |row| {
            let [sample, row] = self.place(row);
            (sample * height + (row * self.tile).min(height)) * width
        };
        start(rows.start)..start(rows.end)
    }
}

/// The place of product (r, c) among [`KERNEL`]² transformed weights.
pub(super) fn kernel_point([r, c]: [usize; 2]) -> usize {
    KERNEL * r.min(KERNEL - 1) + c.min(KERNEL - 1)
}

/// Columns of staged lines that the tiles of a row take.
pub(super) fn columns_a_row(tiling: &Tiling) -> usize {
    COLUMNS * tiling.across
}
