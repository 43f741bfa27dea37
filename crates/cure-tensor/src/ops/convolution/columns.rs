//! Gathering the inputs of a tile of output positions into the columns of a matrix, one row for
//! each channel and tap ("im2col").

use std::ops::Range;

use super::super::parallel::vectorised;
use super::geometry::Geometry;

/// A run of output positions within one row of one output plane.
#[derive(Clone, Copy)]
struct Segment {
    /// First column of the tile.
    column: usize,
    len: usize,
    sample: usize,
    row: usize,
    /// First position within the row.
    start: usize,
}

/// A tile: which output positions it covers, cut into segments.
pub(super) struct Tile {
    segments: Vec<Segment>,
    columns: usize,
    whole_rows: bool,
}

impl Tile {
    pub(super) fn new(geometry: &Geometry, positions: Range<usize>) -> Self {
        let [height, width] = geometry.output;
        let mut segments = Vec::with_capacity(positions.len() / width + 2);
        let mut position = positions.start;
        while position < positions.end {
            let (line, start) = (position / width, position % width);
            let len = (width - start).min(positions.end - position);
            segments.push(Segment {
                column: position - positions.start,
                len,
                sample: line / height,
                row: line % height,
                start,
            });
            position += len;
        }
        let whole_rows = segments.iter().all(|segment| segment.len == width);
        Self { segments, columns: positions.len(), whole_rows }
    }

    /// Fills `out` with a row of `stride` values for each of `channels` and each tap; columns
    /// past the tile are zero.
    pub(super) fn gather(
        &self,
        x: &[f32],
        geometry: &Geometry,
        channels: Range<usize>,
        out: &mut [f32],
        stride: usize,
    ) {
        vectorised(|| self.gather_rows(x, geometry, channels, out, stride));
    }

    #[inline(always)]
    fn gather_rows(
        &self,
        x: &[f32],
        geometry: &Geometry,
        channels: Range<usize>,
        out: &mut [f32],
        stride: usize,
    ) {
        let [kh, kw] = geometry.kernel;
        let mut rows = out.chunks_exact_mut(stride);
        let plane = geometry.input[0] * geometry.input[1];
        for channel in channels {
            let x = &x[channel * geometry.batch * plane..(channel + 1) * geometry.batch * plane];
            for ky in 0..kh {
                for kx in 0..kw {
                    let Some(row) = rows.next() else { return };
                    row[self.columns..].fill(0.0);
                    self.tap(x, geometry, ky, kx, row);
                }
            }
        }
    }

    fn tap(&self, x: &[f32], geometry: &Geometry, ky: usize, kx: usize, row: &mut [f32]) {
        let same_width = geometry.window.stride == 1
            && self.whole_rows
            && geometry.input[1] == geometry.output[1];
        let shift = kx as isize - geometry.window.padding as isize;
        match geometry.output[1] {
            4 if same_width => self.shifted_rows::<4>(x, geometry, ky, shift, row),
            8 if same_width => self.shifted_rows::<8>(x, geometry, ky, shift, row),
            16 if same_width => self.shifted_rows::<16>(x, geometry, ky, shift, row),
            32 if same_width => self.shifted_rows::<32>(x, geometry, ky, shift, row),
            _ => self.any_rows(x, geometry, ky, kx, row),
        }
    }

    /// The input row that a segment's `ky` reads, if it is inside the plane.
    fn source(segment: &Segment, geometry: &Geometry, ky: usize) -> Option<usize> {
        let [height, width] = geometry.input;
        let y = (segment.row * geometry.window.stride + ky).wrapping_sub(geometry.window.padding);
        (y < height).then(|| (segment.sample * height + y) * width)
    }

    /// Whole rows of a width known to the compiler, moved by `shift`: copies of fixed size.
    fn shifted_rows<const W: usize>(
        &self,
        x: &[f32],
        geometry: &Geometry,
        ky: usize,
        shift: isize,
        row: &mut [f32],
    ) {
        let (rows, _) = row.as_chunks_mut::<W>();
        for (segment, out) in self.segments.iter().zip(rows) {
            let from = Self::source(segment, geometry, ky);
            let Some(from) = from.and_then(|from| x[from..].first_chunk::<W>()) else {
                out.fill(0.0);
                continue;
            };
            match shift {
                0 => *out = *from,
                -1 => {
                    out[0] = 0.0;
                    out[1..].copy_from_slice(&from[..W - 1]);
                }
                1 => {
                    out[..W - 1].copy_from_slice(&from[1..]);
                    out[W - 1] = 0.0;
                }
                _ => {
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = from.get((i as isize + shift) as usize).copied().unwrap_or(0.0);
                    }
                }
            }
        }
    }

    fn any_rows(&self, x: &[f32], geometry: &Geometry, ky: usize, kx: usize, row: &mut [f32]) {
        let width = geometry.input[1];
        let (stride, padding) = (geometry.window.stride, geometry.window.padding);
        for segment in &self.segments {
            let out = &mut row[segment.column..segment.column + segment.len];
            let Some(from) = Self::source(segment, geometry, ky) else {
                out.fill(0.0);
                continue;
            };
            let from = &x[from..from + width];
            for (i, out) in out.iter_mut().enumerate() {
                // A position left of the plane wraps around to a huge one, outside as well.
                let column = ((segment.start + i) * stride + kx).wrapping_sub(padding);
                *out = from.get(column).copied().unwrap_or(0.0);
            }
        }
    }

    /// The transpose of [`Tile::gather`]: adds each row of `columns` to where it was read from.
    pub(super) fn scatter(
        &self,
        columns: &[f32],
        stride: usize,
        geometry: &Geometry,
        mut plane_of: impl FnMut(usize, usize) -> *mut f32,
        channels: Range<usize>,
    ) {
        let [kh, kw] = geometry.kernel;
        let [height, width] = geometry.input;
        let (step, padding) = (geometry.window.stride, geometry.window.padding);
        let mut rows = columns.chunks_exact(stride);
        for channel in channels {
            for ky in 0..kh {
                for kx in 0..kw {
                    let Some(row) = rows.next() else { return };
                    for segment in &self.segments {
                        let y = (segment.row * step + ky).wrapping_sub(padding);
                        if y >= height {
                            continue;
                        }
                        let plane = plane_of(channel, segment.sample);
                        let values = &row[segment.column..segment.column + segment.len];
                        for (i, &value) in values.iter().enumerate() {
                            let x = ((segment.start + i) * step + kx).wrapping_sub(padding);
                            if x < width {
                                // SAFETY: `plane_of` gives a whole plane that this task alone
                                // writes to; y < height and x < width.
                                unsafe { *plane.add(y * width + x) += value };
                            }
                        }
                    }
                }
            }
        }
    }
}
