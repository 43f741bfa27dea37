//! From planes to transformed tiles.

use pulp::Simd;

use super::super::tile::{load, store};
use super::block::{Block, Place, columns, copy};
use super::scheme::{COLUMNS, Points, Scheme};

impl<C: Scheme> Block<C> {
    /// Copies the image rows that each tile reads to lines, even and odd columns apart where tiles
    /// read two columns for one that they write. `W` is the width of an image row, or 0 for any.
    #[inline(always)]
    fn stage<const W: usize>(&self, plane: &[f32], staging: &mut [f32]) {
        let [height, width] = self.tiling.input;
        let (length, each) = (self.line(), self.tiling.columns());
        let (slack, used) = (self.slack(), self.places.len() * each);
        let lines = staging.chunks_exact_mut(Self::PHASES * length).take(C::PATCH);
        for (r, lines) in lines.enumerate() {
            let (first, second) = lines.split_at_mut(length);
            let (even, odd) = (&mut first[slack..], second.get_mut(slack..).unwrap_or_default());
            for (index, &Place { input, first, .. }) in self.places.iter().enumerate() {
                let y = first.wrapping_add(r);
                let even = &mut even[index * each..][..each];
                if y >= height {
                    even.fill(0.0);
                    if Self::PHASES == 2 {
                        odd[index * each..][..each].fill(0.0);
                    }
                    continue;
                }
                let row = &plane[input + y * width..][..width];
                if Self::PHASES == 2 {
                    apart::<W>(row, even, &mut odd[index * each..][..each]);
                } else {
                    copy::<W>(row, &mut even[..width]);
                    even[width..].fill(0.0);
                }
            }
            even[used..].fill(0.0);
            if Self::PHASES == 2 {
                odd[used..].fill(0.0);
            }
        }
    }

    /// Transforms the columns of every tile: the image rows that it reads, each a vector, become as many
    /// lines of the staging memory as there are points.
    ///
    /// # Safety
    /// `staging` holds [`Block::staging`] values.
    #[inline(always)]
    unsafe fn transform_columns<S: Simd>(&self, simd: S, plane: &[f32], staging: &mut [f32]) {
        let (lanes, zero) = (self.lanes, simd.splat_f32s(0.0));
        let line = Self::PHASES * self.line();
        let [height, width] = self.tiling.input;
        // SAFETY: lines are as long as all tiles; image rows lie within the plane.
        unsafe {
            if self.reads_rows {
                let mut at = staging.as_mut_ptr().add(self.slack());
                let end = at.add(COLUMNS * self.width());
                for place in &self.places {
                    let image = plane[place.input..][..height * width].as_ptr();
                    for chunk in (0..width).step_by(lanes) {
                        let patch = std::array::from_fn(|r| {
                            let y = place.first.wrapping_add(r);
                            let is_read = r < C::PATCH && y < height;
                            if is_read { load::<S>(image.add(y * width + chunk)) } else { zero }
                        });
                        let column = C::input(simd, patch);
                        (0..C::POINTS).for_each(|r| store(at.add(r * line), column[r]));
                        at = at.add(lanes);
                    }
                }
                // Tiles of zeros.
                while at < end {
                    (0..C::POINTS).for_each(|r| store(at.add(r * line), zero));
                    at = at.add(lanes);
                }
                return;
            }
            match width {
                4 => self.stage::<4>(plane, staging),
                8 => self.stage::<8>(plane, staging),
                16 => self.stage::<16>(plane, staging),
                32 => self.stage::<32>(plane, staging),
                _ => self.stage::<0>(plane, staging),
            }
            for phase in 0..Self::PHASES {
                let mut at = staging.as_mut_ptr().add(phase * self.line() + self.slack());
                let end = at.add(COLUMNS * self.width());
                while at < end {
                    let patch = std::array::from_fn(|r| {
                        if r < C::PATCH { load::<S>(at.add(r * line)) } else { zero }
                    });
                    let column = C::input(simd, patch);
                    (0..C::POINTS).for_each(|r| store(at.add(r * line), column[r]));
                    at = at.add(lanes);
                }
            }
        }
    }

    /// Bᵀ d B of every tile's patch of `plane`: point p of tile t goes to `out[p·stride + t]`.
    ///
    /// # Safety
    /// `staging` holds [`Block::staging`] values, `out` one less than all points times the stride, and
    /// [`Block::width`] more.
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
                let masks = [masks, masks.add(lanes)]
                    .map(|mask| simd.less_than_f32s(zero, load::<S>(mask)));
                for r in 0..C::POINTS {
                    let at = first.add(r * Self::PHASES * line + vector * COLUMNS * lanes);
                    let row = C::input(simd, Self::patch(simd, at, line, masks));
                    let out = out.add(C::POINTS * r * stride + vector * lanes);
                    (0..C::POINTS).for_each(|c| store(out.add(c * stride), row[c]));
                }
            }
        }
    }

    /// The columns that tiles read of a row, side by side; zeros where a neighbour is missing.
    ///
    /// # Safety
    /// `at` is the first of a vector of tiles in a line with slack, `line` from it is that of odd columns
    /// if they lie apart.
    #[inline(always)]
    unsafe fn patch<S: Simd>(
        simd: S,
        at: *const f32,
        line: usize,
        [left, right]: [S::m32s; 2],
    ) -> Points<S::f32s> {
        let zero = simd.splat_f32s(0.0);
        // SAFETY: promised by the caller.
        unsafe {
            if Self::PHASES == 2 {
                let [e0, e1, e2, e3] = columns(simd, at);
                let odd = at.add(line);
                let [before, o0, o1, o2] = columns(simd, odd.sub(1));
                let [o3, ..] = columns(simd, odd.add(3));
                let before = simd.select_f32s(left, before, zero);
                [before, e0, o0, e1, o1, e2, o2, e3, o3]
            } else if C::BEFORE == 1 {
                let [before, c0, c1, c2] = columns(simd, at.sub(1));
                let [c3, after, _, _] = columns(simd, at.add(3));
                let before = simd.select_f32s(left, before, zero);
                let after = simd.select_f32s(right, after, zero);
                [before, c0, c1, c2, c3, after, zero, zero, zero]
            } else {
                let [c0, c1, c2, c3] = columns(simd, at);
                let [_, _, _, after] = columns(simd, at.add(1));
                let after = simd.select_f32s(right, after, zero);
                [c0, c1, c2, c3, after, zero, zero, zero, zero]
            }
        }
    }
}

/// Even and odd columns of an image row, of `W` columns or, if that is 0, of any number; zeros after the
/// last.
#[inline(always)]
fn apart<const W: usize>(row: &[f32], even: &mut [f32], odd: &mut [f32]) {
    if let (Some(row), true) = (row.first_chunk::<W>(), W > 0) {
        let (even, odd) = (&mut even[..W / 2], &mut odd[..W / 2]);
        for i in 0..W / 2 {
            (even[i], odd[i]) = (row[2 * i], row[2 * i + 1]);
        }
    } else {
        let pairs = row.chunks_exact(2);
        if let &[value] = pairs.remainder() {
            even[row.len() / 2] = value;
        }
        for ((pair, even), odd) in pairs.zip(even.iter_mut()).zip(odd.iter_mut()) {
            (*even, *odd) = (pair[0], pair[1]);
        }
    }
    even[row.len().div_ceil(2)..].fill(0.0);
    odd[row.len() / 2..].fill(0.0);
}
