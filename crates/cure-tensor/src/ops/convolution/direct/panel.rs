//! Gathering what the taps read: a row of values for each channel and tap, a column for each place of
//! some rows of the grid.

use std::ops::Range;

use super::super::tile::LONGEST_VECTOR;
use super::plan::{Plan, Tap};

/// Length of the memory that one row of the source is laid into, with zeros around it: whole vectors on its
/// left, so that it is aligned itself.
fn line(plan: &Plan) -> [usize; 2] {
    let [left, right] = plan.slack();
    let left = left.next_multiple_of(LONGEST_VECTOR);
    // Pairs are read whole, one value past the last place.
    let right = right + plan.read - 1;
    [left, (left + plan.source.width + right).next_multiple_of(LONGEST_VECTOR)]
}

/// Length of the memory that the rows of a channel are laid into, for `rows` rows of the grid.
pub(super) fn staging(plan: &Plan, rows: usize) -> usize {
    let most = plan.phases.iter().map(|taps| runs(taps).count()).max().unwrap_or(0);
    rows * most * line(plan)[1]
}

/// Taps of one row of the kernel, which read one row of the source.
fn runs(taps: &[Tap]) -> impl Iterator<Item = &[Tap]> {
    taps.chunk_by(|a, b| a.offset[0] == b.offset[0])
}

/// Fills `panel` with a row of `width` values for each of `channels` of the source and each tap; columns
/// past the places are zero. All rows of a channel are laid out before the first is read: a processor waits
/// where it reads at once, and elsewhere, what it has just written.
#[inline(always)]
pub(super) fn gather(
    plan: &Plan,
    taps: &[Tap],
    source: &[f32],
    channels: Range<usize>,
    rows: &Range<usize>,
    panel: &mut [f32],
    width: usize,
    staging: &mut [f32],
) {
    if taps.is_empty() {
        return;
    }
    let [left, line] = line(plan);
    let [grid_height, grid_width] = plan.grid;
    let (height, across) = (plan.source.height, plan.source.width);
    let plane = plan.batch * height * across;
    let columns = rows.len() * grid_width;
    staging.fill(0.0);
    for (channel, panel) in channels.zip(panel.chunks_exact_mut(taps.len() * width)) {
        let source = &source[channel * plane..][..plane];
        let mut lines = staging.chunks_exact_mut(line);
        for taps in runs(taps) {
            for (row, line) in rows.clone().zip(&mut lines) {
                let (sample, y) = (row / grid_height, row % grid_height);
                let y = (y * plan.read) as isize + taps[0].offset[0];
                let line = &mut line[left..left + across];
                if (0..height as isize).contains(&y) {
                    let from = (sample * height + y as usize) * across;
                    copy(&source[from..from + across], line);
                } else {
                    line.fill(0.0);
                }
            }
        }
        let mut outs = panel.chunks_exact_mut(width);
        for (taps, lines) in runs(taps).zip(staging.chunks_exact(rows.len() * line)) {
            for tap in taps {
                let Some(out) = outs.next() else { return };
                out[columns..].fill(0.0);
                let from = (left as isize + tap.offset[1]) as usize;
                let places = &mut out[..columns];
                for (out, line) in places.chunks_exact_mut(grid_width).zip(lines.chunks_exact(line))
                {
                    pick(&line[from..], plan.read, out);
                }
            }
        }
    }
}

/// `to = from`, without a call where the length is a usual one.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match to.len() {
        4 => fixed::<4>(from, to),
        8 => fixed::<8>(from, to),
        16 => fixed::<16>(from, to),
        32 => fixed::<32>(from, to),
        _ => to.copy_from_slice(from),
    }
}

#[inline(always)]
fn fixed<const N: usize>(from: &[f32], to: &mut [f32]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
        *to = *from;
    }
}

/// Every `step`-th value.
#[inline(always)]
fn pick(from: &[f32], step: usize, to: &mut [f32]) {
    match (to.len(), step) {
        (4, 2) => second::<4, 8>(from, to),
        (8, 2) => second::<8, 16>(from, to),
        (16, 2) => second::<16, 32>(from, to),
        (len, 1) => copy(&from[..len], to),
        _ => {
            for (to, &value) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = value;
            }
        }
    }
}

/// Every second of `M` = 2`N` values: loads of whole vectors and shuffles.
#[inline(always)]
fn second<const N: usize, const M: usize>(from: &[f32], to: &mut [f32]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<M>(), to.first_chunk_mut::<N>()) {
        let from = *from;
        *to = std::array::from_fn(|i| from[2 * i]);
    }
}
