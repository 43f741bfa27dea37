//! From products at all points to planes, and the adjoint of that.

use std::mem::MaybeUninit;

use pulp::Simd;

use super::super::epilogue::Ending;
use super::super::tile::{LONGEST_VECTOR, load, store, transpose};
use super::block::{Block, copy};
use super::scheme::{COLUMNS, MOST_OUTPUTS, MOST_POINTS, Scheme, WeightScheme};

impl<C: Scheme> Block<C> {
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
        let [height, width] = self.tiling.output;
        let zero = simd.splat_f32s(0.0);
        let in_registers = self.writes_rows.as_ref().filter(|_| ending.is_linear());
        for vector in 0..self.vectors {
            // SAFETY: promised by the caller.
            unsafe {
                let at = m.add(vector * lanes);
                let mut rows = [[MaybeUninit::<S::f32s>::uninit(); MOST_POINTS]; MOST_OUTPUTS];
                for c in 0..C::POINTS {
                    let column = std::array::from_fn(|r| {
                        let at = at.wrapping_add((C::POINTS * r + c) * stride);
                        if r < C::POINTS { load::<S>(at) } else { zero }
                    });
                    let column = C::output(simd, column);
                    for r in 0..C::OUTPUTS {
                        rows[r][c].write(column[r]);
                    }
                }
                for (r, row) in rows.iter().take(C::OUTPUTS).enumerate() {
                    // Written above, all that are read.
                    let row = std::array::from_fn(|c| {
                        if c < C::POINTS { row[c].assume_init() } else { zero }
                    });
                    let row = C::output(simd, row);
                    for phase in 0..Self::OUTPUT_PHASES {
                        let columns = std::array::from_fn(|i| row[i * Self::OUTPUT_PHASES + phase]);
                        let columns: [S::f32s; COLUMNS] = simd.interleave_shfl_f32s(columns);
                        if let Some(places) = in_registers {
                            let places = &places[vector * COLUMNS..][..COLUMNS];
                            for (place, value) in places.iter().zip(columns) {
                                let Some(place) = place else { continue };
                                let at = place + r * width;
                                let value = ending.finish_vector(simd, value, at);
                                store(out.as_mut_ptr().add(at), value);
                            }
                        } else {
                            let start = (r * Self::OUTPUT_PHASES + phase) * line;
                            let to = staging.as_mut_ptr().add(start + vector * COLUMNS * lanes);
                            for (i, value) in columns.into_iter().enumerate() {
                                store(to.add(i * lanes), value);
                            }
                        }
                    }
                }
            }
        }
        if in_registers.is_some() {
            return;
        }
        let start = self.tiling.positions(&self.rows).start;
        let each = self.tiling.columns();
        for (index, place) in self.places.iter().enumerate() {
            for r in 0..C::OUTPUTS.min(height - place.row) {
                let to = place.output + (place.row + r) * width - start;
                let from = &staging[r * Self::OUTPUT_PHASES * line + index * each..];
                let out = &mut out[to..to + width];
                if Self::OUTPUT_PHASES == 2 {
                    together(from, &from[line..], out);
                    continue;
                }
                match width {
                    4 => copy::<4>(&from[..width], out),
                    8 => copy::<8>(&from[..width], out),
                    _ => copy::<0>(&from[..width], out),
                }
            }
        }
        ending.finish(out);
    }
}

impl<C: WeightScheme> Block<C> {
    /// A ȳ Aᵀ of every tile, ȳ an adjoint of the output, of up to 16 channels side by side: point p of tile t
    /// goes to `out[p·strides[0] + t·strides[1]]`, t as by [`Block::transform_input`], zeros for missing
    /// channels. `planes` holds those of the channels, `plane` values each.
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
        let ([height, width], across) = (self.tiling.output, self.tiling.across);
        let zero = simd.splat_f32s(0.0);
        for (index, place) in self.places.iter().enumerate() {
            let rows = COLUMNS.min(height - place.row);
            let count = rows * width;
            let from = &planes[place.output + place.row * width..];
            // SAFETY: the rows of a tile, of every channel, fit the staging memory; the rest is promised by
            // the caller.
            unsafe {
                let pixels = staging.as_mut_ptr();
                transpose(from.as_ptr(), [planes.len() / plane, count], plane, pixels, SIDE);
                for (tile, first) in (0..SIDE)
                    .step_by(S::F32_LANES)
                    .flat_map(|first| (0..across).map(move |tile| (tile, first)))
                {
                    let mut columns = [[zero; COLUMNS]; MOST_POINTS];
                    for c in 0..COLUMNS {
                        let x = COLUMNS * tile + c;
                        let column = std::array::from_fn(|r| {
                            let is_inside = r < rows && x < width;
                            let at = (r * width + x) * SIDE + first;
                            if is_inside { load::<S>(pixels.add(at)) } else { zero }
                        });
                        let column = C::output_adjoint(simd, column);
                        (0..C::POINTS).for_each(|r| columns[r][c] = column[r]);
                    }
                    let position = self.positions()[index * across + tile];
                    let out = out.add(position * strides[1] + first);
                    for (r, row) in columns.into_iter().take(C::POINTS).enumerate() {
                        let row = C::output_adjoint(simd, row);
                        let out = out.add(C::POINTS * r * strides[0]);
                        (0..C::POINTS).for_each(|c| store(out.add(c * strides[0]), row[c]));
                    }
                }
            }
        }
    }
}

/// Even and odd columns as an image row.
#[inline(always)]
fn together(even: &[f32], odd: &[f32], row: &mut [f32]) {
    let count = row.len() / 2;
    let mut pairs = row.chunks_exact_mut(2);
    for ((pair, &even), &odd) in (&mut pairs).zip(even).zip(odd) {
        (pair[0], pair[1]) = (even, odd);
    }
    if let [last] = pairs.into_remainder() {
        *last = even[count];
    }
}
