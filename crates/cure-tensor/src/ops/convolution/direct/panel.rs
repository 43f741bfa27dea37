//! Gathering what the taps read: a row of values for each channel and tap, a column for each place of
//! some rows of the grid.

use std::ops::Range;

use super::plan::{Plan, Tap};

/// Length of the memory that a row of the source is laid into, with zeros around it.
pub(super) fn line(plan: &Plan) -> usize {
    let [left, right] = plan.slack();
    left + plan.source.width + right
}

/// Fills `panel` with a row of `width` values for each of `channels` of the source and each tap; columns
/// past the places are zero.
#[inline(always)]
pub(super) fn gather(
    plan: &Plan,
    taps: &[Tap],
    source: &[f32],
    channels: Range<usize>,
    rows: &Range<usize>,
    panel: &mut [f32],
    width: usize,
    line: &mut [f32],
) {
    if taps.is_empty() {
        return;
    }
    let [left, _] = plan.slack();
    line.fill(0.0);
    let (height, across) = (plan.source.height, plan.source.width);
    let plane = plan.batch * height * across;
    let columns = rows.len() * plan.grid[1];
    for (channel, panel) in channels.zip(panel.chunks_exact_mut(taps.len() * width)) {
        let source = &source[channel * plane..][..plane];
        for row in panel.chunks_exact_mut(width) {
            row[columns..].fill(0.0);
        }
        let mut first = 0;
        // Taps of one row of the kernel read one row of the source.
        for taps in taps.chunk_by(|a, b| a.offset[0] == b.offset[0]) {
            for (index, row) in rows.clone().enumerate() {
                let (sample, y) = (row / plan.grid[0], row % plan.grid[0]);
                let y = (y * plan.read) as isize + taps[0].offset[0];
                let is_inside = (0..height as isize).contains(&y);
                if is_inside {
                    let from = (sample * height + y as usize) * across;
                    copy(&source[from..from + across], &mut line[left..left + across]);
                }
                for (t, tap) in taps.iter().enumerate() {
                    let at = (first + t) * width + index * plan.grid[1];
                    let out = &mut panel[at..at + plan.grid[1]];
                    if is_inside {
                        let from = (left as isize + tap.offset[1]) as usize;
                        pick(&line[from..], plan.read, out);
                    } else {
                        out.fill(0.0);
                    }
                }
            }
            first += taps.len();
        }
    }
}

/// `to = from`, without a call where the length is a usual one.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match to.len() {
        4 => pick_fixed::<4, 1>(from, to),
        8 => pick_fixed::<8, 1>(from, to),
        16 => pick_fixed::<16, 1>(from, to),
        32 => pick_fixed::<32, 1>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Every `step`-th value.
#[inline(always)]
fn pick(from: &[f32], step: usize, to: &mut [f32]) {
    match (to.len(), step) {
        (4, 2) => pick_fixed::<4, 2>(from, to),
        (8, 2) => pick_fixed::<8, 2>(from, to),
        (16, 2) => pick_fixed::<16, 2>(from, to),
        (len, 1) => copy(&from[..len], to),
        _ => {
            for (to, &value) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = value;
            }
        }
    }
}

#[inline(always)]
fn pick_fixed<const N: usize, const STEP: usize>(from: &[f32], to: &mut [f32]) {
    let from = &from[..(N - 1) * STEP + 1];
    if let Some(to) = to.first_chunk_mut::<N>() {
        for (i, to) in to.iter_mut().enumerate() {
            *to = from[i * STEP];
        }
    }
}
