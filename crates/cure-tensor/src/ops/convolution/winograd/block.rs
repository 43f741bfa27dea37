//! A block of tiles, side by side in vectors.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::tile::{LONGEST_VECTOR, load, store};
use super::scheme::{COLUMNS, Scheme};
use super::tiling::Tiling;

/// Consecutive rows of tiles, side by side in vectors: what is transformed together.
pub(super) struct Block<C> {
    pub(super) tiling: Tiling,
    pub(super) rows: Range<usize>,
    pub(super) lanes: usize,
    /// Vectors of tiles; the last may be filled up with tiles of zeros.
    pub(super) vectors: usize,
    /// For each vector the lanes whose tile has a neighbour to its left, then those with one to its
    /// right, as 1 and 0, in the order in which columns are told apart.
    pub(super) neighbours: Vec<f32>,
    /// Where, among all tiles, the values of each one come to lie; those of zeros not named.
    positions: Vec<usize>,
    /// Where each row of tiles lies.
    pub(super) places: Vec<Place>,
    /// Whether image rows that are read are whole vectors and whole tiles, and planes whole rows of tiles:
    /// then they are read without a copy in between.
    pub(super) reads_rows: bool,
    /// The same of those written: for each vector of columns its place in the block's range of a
    /// plane, if tiles of the plane make it.
    pub(super) writes_rows: Option<Vec<Option<usize>>>,
    scheme: PhantomData<C>,
}

/// A row of tiles.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where its sample begins in a plane of the batch that is read.
    pub(super) input: usize,
    /// The first image row that its tiles read; wraps around where that is before the image.
    pub(super) first: usize,
    /// Where its sample begins in a plane of the batch that is written.
    pub(super) output: usize,
    /// The first image row that it writes.
    pub(super) row: usize,
}

impl<C: Scheme> Block<C> {
    /// Staged lines of a row of input: one, or those of even and of odd columns.
    pub(super) const PHASES: usize = C::STEP / COLUMNS;
    /// Staged lines of a row of output.
    pub(super) const OUTPUT_PHASES: usize = C::OUTPUTS / COLUMNS;

    pub(super) fn new(tiling: Tiling, rows: Range<usize>) -> Self {
        dispatch(Layout { tiling, rows, scheme: PhantomData })
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
    pub(super) fn slack(&self) -> usize {
        self.lanes.max(COLUMNS)
    }

    /// Length of a staged line: the columns of all tiles, with slack on both sides.
    pub(super) fn line(&self) -> usize {
        COLUMNS * self.width() + 2 * self.slack()
    }

    /// Values of scratch memory that a channel is staged in, or one row of tiles of 16 channels.
    pub(super) fn staging(&self) -> usize {
        let lines = (C::PATCH.max(C::POINTS) * Self::PHASES).max(C::OUTPUTS * Self::OUTPUT_PHASES);
        (lines * self.line()).max(C::OUTPUTS * self.tiling.output[1] * LONGEST_VECTOR)
    }
}

/// Lays a block out for this machine's vectors.
struct Layout<C> {
    tiling: Tiling,
    rows: Range<usize>,
    scheme: PhantomData<C>,
}

impl<C: Scheme> WithSimd for Layout<C> {
    type Output = Block<C>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Block<C> {
        let Self { tiling, rows, scheme } = self;
        let lanes = S::F32_LANES;
        let vectors = (rows.len() * tiling.across).div_ceil(lanes);
        let mut neighbours = vec![0.0; vectors * 2 * lanes];
        let mut line = vec![0.0; COLUMNS * lanes];
        for (vector, masks) in neighbours.chunks_exact_mut(2 * lanes).enumerate() {
            for (lane, columns) in line.chunks_exact_mut(COLUMNS).enumerate() {
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
        for (tile, columns) in line.chunks_exact_mut(COLUMNS).enumerate() {
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
        let [inputs, outputs] = [tiling.input, tiling.output].map(|plane| plane[0] * plane[1]);
        let place = |row| {
            let [sample, row] = tiling.place(row);
            let first = (row * C::STEP).wrapping_sub(C::BEFORE);
            Place { input: sample * inputs, first, output: sample * outputs, row: row * C::OUTPUTS }
        };
        let places: Vec<Place> = rows.clone().map(place).collect();
        let fits = |[height, width]: [usize; 2], phases: usize| {
            let is_whole = width % lanes == 0 && width % COLUMNS == 0 && height % COLUMNS == 0;
            phases == 1 && is_whole
        };
        let reads_rows = fits(tiling.input, Block::<C>::PHASES);
        let writes_rows = fits(tiling.output, Block::<C>::OUTPUT_PHASES).then(|| {
            let (start, width) = (tiling.positions(&rows).start, tiling.output[1]);
            let place = |vector: usize| {
                let place = places.get(vector * lanes / width)?;
                Some(place.output + place.row * width + vector * lanes % width - start)
            };
            (0..COLUMNS * vectors).map(place).collect()
        });
        Block {
            tiling,
            rows,
            lanes,
            vectors,
            neighbours,
            positions,
            places,
            reads_rows,
            writes_rows,
            scheme,
        }
    }
}

/// Four vectors from `at`, told apart by column: the first holds every fourth value from the first.
/// Lanes come in an order of the machine's, the same for every call.
///
/// # Safety
/// Four vectors can be read from `at`.
#[inline(always)]
pub(super) unsafe fn columns<S: Simd>(simd: S, at: *const f32) -> [S::f32s; COLUMNS] {
    // SAFETY: promised by the caller.
    simd.deinterleave_shfl_f32s(std::array::from_fn(|i| unsafe {
        load::<S>(at.add(i * S::F32_LANES))
    }))
}

/// `to = from`, of `W` values without a call; 0 stands for any number.
#[inline(always)]
pub(super) fn copy<const W: usize>(from: &[f32], to: &mut [f32]) {
    match (from.first_chunk::<W>(), to.first_chunk_mut::<W>()) {
        (Some(from), Some(to)) if W > 0 => *to = *from,
        _ => to.copy_from_slice(from),
    }
}
