//! The tiles of a block: 4×4 outputs each, from patches of 6×6 inputs, and the way between a plane
//! and its transformed tiles.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::epilogue::Ending;
use super::super::tile::{LONGEST_VECTOR, load, store, transpose};
use super::{PATCH, POINTS, TILE, points};

/// The tiles of the planes of a batch, in rows: through the columns of a plane first, then its rows,
/// then the samples.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    height: usize,
    width: usize,
    /// Tiles side by side, and rows of tiles in a plane.
    across: usize,
    down: usize,
}

impl Tiling {
    pub(super) fn new([height, width]: [usize; 2]) -> Self {
        Self { height, width, across: width.div_ceil(TILE), down: height.div_ceil(TILE) }
    }

    /// Rows of tiles in the whole batch.
    pub(super) fn rows(&self, batch: usize) -> usize {
        batch * self.down
    }

    pub(super) fn tiles_a_row(&self) -> usize {
        self.across
    }

    /// Multiply-adds of the plain convolution for each that the transformed one spends, boundary
    /// tiles included: at most 4.
    pub(super) fn saving(&self) -> f64 {
        let outputs = self.height * self.width * TAPS_SQUARED;
        outputs as f64 / (self.across * self.down * POINTS) as f64
    }

    /// The sample and first image row of a row of tiles.
    fn place(&self, row: usize) -> (usize, usize) {
        (row / self.down, row % self.down * TILE)
    }

    /// The positions of a plane (of all samples) that rows of tiles write: one contiguous range.
    pub(super) fn positions(&self, rows: &Range<usize>) -> Range<usize> {
        let start = |row| {
            let (sample, y) = self.place(row);
            (sample * self.height + y.min(self.height)) * self.width
        };
        start(rows.start)..start(rows.end)
    }
}

const TAPS_SQUARED: usize = 9;

/// Consecutive rows of tiles, side by side in vectors: what is transformed together.
pub(super) struct Block {
    tiling: Tiling,
    pub(super) rows: Range<usize>,
    lanes: usize,
    /// Vectors of tiles; the last may be filled up with tiles of zeros.
    pub(super) vectors: usize,
    /// For each vector the lanes whose tile has a neighbour to its left, then those with one to its
    /// right, as 1 and 0, in the order in which columns are told apart.
    neighbours: Vec<f32>,
    /// Where, among all tiles, the values of each one come to lie; those of zeros not named.
    positions: Vec<usize>,
    /// Where each row of tiles lies.
    places: Vec<Place>,
    /// Where image rows are whole vectors and whole tiles, and planes whole rows of tiles: for each
    /// vector of columns its place in the block's range of a plane, if tiles of the plane make it. Such
    /// planes are read and written without a copy in between.
    direct: Option<Vec<Option<usize>>>,
}

/// A row of tiles: where its sample begins in a plane of the batch, and its first image row.
#[derive(Clone, Copy)]
struct Place {
    sample: usize,
    row: usize,
}

impl Block {
    pub(super) fn new(tiling: Tiling, rows: Range<usize>) -> Self {
        dispatch(Layout { tiling, rows })
    }

    /// Tiles, those of zeros included.
    pub(super) fn width(&self) -> usize {
        self.vectors * self.lanes
    }

    /// Where, among all tiles, the values of each one come to lie.
    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Columns before the first tile and after the last one of a staged line, which neighbours read.
    fn slack(&self) -> usize {
        self.lanes.max(TILE)
    }

    /// Length of a staged line: the columns of all tiles, with slack on both sides.
    fn line(&self) -> usize {
        TILE * self.width() + 2 * self.slack()
    }

    /// Values of scratch memory that a channel is staged in, or one row of tiles of 16 channels.
    pub(super) fn staging(&self) -> usize {
        (PATCH * self.line()).max(TILE * self.tiling.width * LONGEST_VECTOR)
    }

    /// Copies the six image rows that each tile reads, from one over its first one, to lines. `W` is the
    /// width of an image row, or 0 for any.
    #[inline(always)]
    fn stage<const W: usize>(&self, plane: &[f32], staging: &mut [f32]) {
        let Tiling { height, width, across, .. } = self.tiling;
        let length = self.line();
        for (r, line) in staging.chunks_exact_mut(length).take(PATCH).enumerate() {
            let (_, line) = line.split_at_mut(self.slack());
            let mut outs = line.chunks_exact_mut(TILE * across);
            for (place, out) in self.places.iter().zip(&mut outs) {
                let y = (place.row + r).wrapping_sub(1);
                if y < height {
                    copy::<W>(&plane[place.sample + y * width..][..width], &mut out[..width]);
                    out[width..].fill(0.0);
                } else {
                    out.fill(0.0);
                }
            }
            line[self.places.len() * TILE * across..].fill(0.0);
        }
    }

    /// Transforms the columns of every tile: the six image rows from one over the tile's first one, each a
    /// vector, become the six lines of the staging memory.
    ///
    /// # Safety
    /// `staging` holds [`Block::staging`] values.
    #[inline(always)]
    unsafe fn transform_columns<S: Simd>(&self, simd: S, plane: &[f32], staging: &mut [f32]) {
        let (line, lanes, zero) = (self.line(), self.lanes, simd.splat_f32s(0.0));
        let Tiling { height, width, .. } = self.tiling;
        if self.direct.is_none() {
            match width {
                4 => self.stage::<4>(plane, staging),
                8 => self.stage::<8>(plane, staging),
                _ => self.stage::<0>(plane, staging),
            }
        }
        // SAFETY: lines are as long as all tiles; image rows lie within the plane.
        unsafe {
            let mut at = staging.as_mut_ptr().add(self.slack());
            let end = at.add(TILE * self.width());
            if self.direct.is_none() {
                while at < end {
                    let column = std::array::from_fn(|r| load::<S>(at.add(r * line)));
                    let column = points::input(simd, column);
                    (0..PATCH).for_each(|r| store(at.add(r * line), column[r]));
                    at = at.add(lanes);
                }
                return;
            }
            for place in &self.places {
                let image = plane[place.sample..][..height * width].as_ptr();
                for chunk in (0..width).step_by(lanes) {
                    let column = std::array::from_fn(|r| {
                        let y = (place.row + r).wrapping_sub(1);
                        if y < height { load::<S>(image.add(y * width + chunk)) } else { zero }
                    });
                    let column = points::input(simd, column);
                    (0..PATCH).for_each(|r| store(at.add(r * line), column[r]));
                    at = at.add(lanes);
                }
            }
            // Tiles of zeros.
            while at < end {
                (0..PATCH).for_each(|r| store(at.add(r * line), zero));
                at = at.add(lanes);
            }
        }
    }

    /// Bᵀ d B of every tile's patch of `plane`: point p of tile t goes to `out[p·stride + t]`.
    ///
    /// # Safety
    /// `staging` holds [`Block::staging`] values, `out` 35·stride + [`Block::width`].
    #[inline(always)]
    pub(super) unsafe fn transform_input<S: Simd>(
        &self,
        simd: S,
        plane: &[f32],
        staging: &mut [f32],
        out: *mut f32,
        stride: usize,
    ) {
        let (line, lanes) = (self.line(), self.lanes);
        let zero = simd.splat_f32s(0.0);
        // SAFETY: lines have a vector of slack on both sides; the rest is promised by the caller.
        unsafe {
            self.transform_columns(simd, plane, staging);
            let first = staging.as_mut_ptr().add(self.slack());
            for vector in 0..self.vectors {
                let masks = self.neighbours.as_ptr().add(vector * 2 * lanes);
                let left = simd.less_than_f32s(zero, load::<S>(masks));
                let right = simd.less_than_f32s(zero, load::<S>(masks.add(lanes)));
                for r in 0..PATCH {
                    let at = first.add(r * line + vector * TILE * lanes);
                    let [before, c0, c1, c2] = columns(simd, at.sub(1));
                    let [c3, after, _, _] = columns(simd, at.add(3));
                    let before = simd.select_f32s(left, before, zero);
                    let after = simd.select_f32s(right, after, zero);
                    let row = points::input(simd, [before, c0, c1, c2, c3, after]);
                    for (c, value) in row.into_iter().enumerate() {
                        store(out.add((PATCH * r + c) * stride + vector * lanes), value);
                    }
                }
            }
        }
    }

    /// A ȳ Aᵀ of every tile, ȳ an adjoint of the output, of up to 16 channels side by side: point p of tile t
    /// goes to `out[p·strides[0] + t·strides[1]]`, t as by [`Block::transform_input`], zeros for missing
    /// channels. `planes` holds those of the
    /// channels, `plane` values each.
    ///
    /// # Safety
    /// `staging` holds [`Block::staging`] values; `out` reaches that far.
    #[inline(always)]
    pub(super) unsafe fn transform_output_adjoint<S: Simd>(
        &self,
        simd: S,
        planes: &[f32],
        plane: usize,
        staging: &mut [f32],
        out: *mut f32,
        strides: [usize; 2],
    ) {
        const SIDE: usize = LONGEST_VECTOR;
        let Tiling { height, width, across, .. } = self.tiling;
        let zero = simd.splat_f32s(0.0);
        for (index, place) in self.places.iter().enumerate() {
            let rows = TILE.min(height - place.row);
            let count = rows * width;
            let from = &planes[place.sample + place.row * width..];
            // SAFETY: the rows of a tile, of every channel, fit the staging memory; the rest is promised by
            // the caller.
            unsafe {
                let pixels = staging.as_mut_ptr();
                transpose(from.as_ptr(), [planes.len() / plane, count], plane, pixels, SIDE);
                for (tile, first) in (0..SIDE)
                    .step_by(S::F32_LANES)
                    .flat_map(|first| (0..across).map(move |tile| (tile, first)))
                {
                    let mut columns = [[zero; TILE]; PATCH];
                    for c in 0..TILE {
                        let x = TILE * tile + c;
                        let column = std::array::from_fn(|r| {
                            let is_inside = r < rows && x < width;
                            let at = (r * width + x) * SIDE + first;
                            if is_inside { load::<S>(pixels.add(at)) } else { zero }
                        });
                        let column = points::output_adjoint(simd, column);
                        (0..PATCH).for_each(|r| columns[r][c] = column[r]);
                    }
                    let position = self.positions[index * across + tile];
                    let out = out.add(position * strides[1] + first);
                    for (r, row) in columns.into_iter().enumerate() {
                        for (c, value) in points::output_adjoint(simd, row).into_iter().enumerate()
                        {
                            store(out.add((PATCH * r + c) * strides[0]), value);
                        }
                    }
                }
            }
        }
    }

    /// Aᵀ m A of every tile, written to its place in the block's range of the plane, which starts at
    /// `out[0]`; point p of tile t is read from `m[p·stride + t]`. `ending` is applied.
    ///
    /// # Safety
    /// `staging` and `m` are as long as for [`Block::transform_input`], `out` as the block's range.
    #[inline(always)]
    pub(super) unsafe fn transform_output<S: Simd>(
        &self,
        simd: S,
        m: *const f32,
        stride: usize,
        staging: &mut [f32],
        out: &mut [f32],
        ending: Ending<'_>,
    ) {
        let (line, lanes) = (self.line(), self.lanes);
        let Tiling { height, width, across, .. } = self.tiling;
        let in_registers = self.direct.as_ref().filter(|_| ending.is_linear());
        for vector in 0..self.vectors {
            // SAFETY: promised by the caller.
            unsafe {
                let at = m.add(vector * lanes);
                let mut rows = [[simd.splat_f32s(0.0); PATCH]; TILE];
                for c in 0..PATCH {
                    let column =
                        std::array::from_fn(|r| load::<S>(at.add((PATCH * r + c) * stride)));
                    let column = points::output(simd, column);
                    (0..TILE).for_each(|r| rows[r][c] = column[r]);
                }
                for (r, row) in rows.into_iter().enumerate() {
                    let columns = simd.interleave_shfl_f32s(points::output(simd, row));
                    if let Some(places) = in_registers {
                        let places = &places[vector * TILE..][..TILE];
                        for (place, value) in places.iter().zip(columns) {
                            let Some(place) = place else { continue };
                            let at = place + r * width;
                            let value = ending.finish_vector(simd, value, at);
                            store(out.as_mut_ptr().add(at), value);
                        }
                    } else {
                        let to = staging.as_mut_ptr().add(r * line + vector * TILE * lanes);
                        for (i, value) in columns.into_iter().enumerate() {
                            store(to.add(i * lanes), value);
                        }
                    }
                }
            }
        }
        if in_registers.is_some() {
            return;
        }
        let start = self.tiling.positions(&self.rows).start;
        for (index, place) in self.places.iter().enumerate() {
            for r in 0..TILE.min(height - place.row) {
                let to = place.sample + (place.row + r) * width - start;
                let from = &staging[r * line + index * TILE * across..][..width];
                let out = &mut out[to..to + width];
                match width {
                    4 => copy::<4>(from, out),
                    8 => copy::<8>(from, out),
                    _ => copy::<0>(from, out),
                }
            }
        }
        ending.finish(out);
    }
}

/// Lays a block out for this machine's vectors.
struct Layout {
    tiling: Tiling,
    rows: Range<usize>,
}

impl WithSimd for Layout {
    type Output = Block;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Block {
        let Self { tiling, rows } = self;
        let lanes = S::F32_LANES;
        let vectors = (rows.len() * tiling.across).div_ceil(lanes);
        let mut neighbours = vec![0.0; vectors * 2 * lanes];
        let mut line = vec![0.0; TILE * lanes];
        for (vector, masks) in neighbours.chunks_exact_mut(2 * lanes).enumerate() {
            for (lane, columns) in line.chunks_exact_mut(TILE).enumerate() {
                let column = (vector * lanes + lane) % tiling.across;
                columns[0] = f32::from(column > 0);
                columns[1] = f32::from(column + 1 < tiling.across);
            }
            // SAFETY: the line holds four vectors, the masks two.
            unsafe {
                let [left, right, _, _] = columns(simd, line.as_ptr());
                store(masks.as_mut_ptr(), left);
                store(masks.as_mut_ptr().add(lanes), right);
            }
        }
        // Each tile's number in the first of its columns, and where it comes out.
        let mut order = vec![0; lanes];
        for (tile, columns) in line.chunks_exact_mut(TILE).enumerate() {
            columns[0] = tile as f32;
        }
        let mut out = vec![0.0; lanes];
        // SAFETY: the line holds four vectors, `out` one.
        unsafe {
            let [first, ..] = columns(simd, line.as_ptr());
            store(out.as_mut_ptr(), first);
        }
        for (position, &tile) in out.iter().enumerate() {
            order[tile as usize] = position;
        }
        let positions = (0..rows.len() * tiling.across)
            .map(|tile| tile / lanes * lanes + order[tile % lanes])
            .collect();
        let Tiling { height, width, .. } = tiling;
        let place = |row| {
            let (sample, row) = tiling.place(row);
            Place { sample: sample * height * width, row }
        };
        let places: Vec<Place> = rows.clone().map(place).collect();
        let fits = width % lanes == 0 && width % TILE == 0 && height % TILE == 0;
        let direct = fits.then(|| {
            let start = tiling.positions(&rows).start;
            let place = |vector: usize| {
                let place = places.get(vector * lanes / width)?;
                Some(place.sample + place.row * width + vector * lanes % width - start)
            };
            (0..TILE * vectors).map(place).collect()
        });
        Block { tiling, rows, lanes, vectors, neighbours, positions, places, direct }
    }
}

/// `to = from`, of `W` values without a call; 0 stands for any number.
#[inline(always)]
fn copy<const W: usize>(from: &[f32], to: &mut [f32]) {
    match (from.first_chunk::<W>(), to.first_chunk_mut::<W>()) {
        (Some(from), Some(to)) if W > 0 => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// Four vectors from `at`, told apart by column: the first holds every fourth value from the first.
/// Lanes come in an order of the machine's, the same for every call.
///
/// # Safety
/// Four vectors can be read from `at`.
#[inline(always)]
unsafe fn columns<S: Simd>(simd: S, at: *const f32) -> [S::f32s; TILE] {
    // SAFETY: promised by the caller.
    simd.deinterleave_shfl_f32s(std::array::from_fn(|i| unsafe {
        load::<S>(at.add(i * S::F32_LANES))
    }))
}
