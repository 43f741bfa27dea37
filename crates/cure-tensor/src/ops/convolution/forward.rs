use std::ops::Range;

use super::super::parallel::{SharedOutput, for_each, is_alone};
use super::columns::Tile;
use super::epilogue::Epilogue;
use super::geometry::{Geometry, Kernel, Window};
use super::product::{Matrix, multiply, with_scratch};
use crate::buffer::Buffer;
use crate::{Result, Tensor};

/// σ(w ⋆ x + bias + residual).
///
/// # Shapes
/// `x`: `[C_in, N, H, W]`; the kernel `[C_out, C_in/groups, kh, kw]`; the result
/// `[C_out, N, H', W']` with H' = ⌊(H + 2·padding − kh)/stride⌋ + 1.
///
/// # Errors
/// If the shapes do not fit.
pub fn convolution(
    x: &Tensor,
    kernel: &Kernel,
    window: Window,
    epilogue: Epilogue<'_>,
) -> Result<Tensor> {
    let operation = "convolution";
    let geometry = Geometry::new(operation, x.shape(), kernel.weight().shape(), window)?;
    let shape = geometry.output_shape();
    epilogue.check(operation, &shape)?;
    let path = super::path(&geometry);
    let _running = geometry.running(operation, path);
    let output = if super::winograd::applies(&geometry) {
        super::winograd::correlate(x.cpu(), kernel.packed(&geometry), &geometry, epilogue)
    } else {
        correlate(x.cpu(), kernel.weight().cpu(), &geometry, epilogue)
    };
    Ok(Tensor::trusted(&shape, output))
}

/// One task: some output channels at some output positions.
struct Task {
    channels: Range<usize>,
    positions: Range<usize>,
}

/// Output channels of one group go to the same task unless there would be too few tasks.
fn tasks(geometry: &Geometry, tile: usize) -> Vec<Task> {
    /// Tasks that let a dozen cores share the work; fewer cores do not mind.
    const ENOUGH: usize = 24;
    /// Output channels a task at least: the columns are gathered again for each.
    const FEWEST_CHANNELS: usize = 64;
    let group = geometry.channels_out_a_group();
    let positions = geometry.positions();
    let tiles = positions.div_ceil(tile) * geometry.window.groups;
    let enough = if is_alone() { 1 } else { ENOUGH };
    let pieces = enough.div_ceil(tiles.max(1)).min(group / FEWEST_CHANNELS).max(1);
    let step = group.div_ceil(pieces).next_multiple_of(8);
    let mut tasks = Vec::new();
    for first in (0..geometry.channels_out).step_by(group) {
        for start in (0..positions).step_by(tile) {
            for channel in (0..group).step_by(step) {
                tasks.push(Task {
                    channels: first + channel..first + (channel + step).min(group),
                    positions: start..(start + tile).min(positions),
                });
            }
        }
    }
    tasks
}

/// The convolution by gathering columns and multiplying: any geometry, any machine.
pub(super) fn correlate(
    x: &[f32],
    weight: &[f32],
    geometry: &Geometry,
    epilogue: Epilogue<'_>,
) -> Buffer {
    let inner = geometry.channels_in_a_group();
    let block = geometry.channels_a_block();
    let taps = geometry.taps();
    let most_channels = geometry.channels_out_a_group();
    let tile = geometry.tile(block * taps + most_channels.min(512));
    let positions = geometry.positions();
    let mut output = Buffer::stale(geometry.channels_out * positions);
    let shared = SharedOutput::new(&mut output);
    for_each(tasks(geometry, tile), |task| {
        let width = task.positions.len();
        // Whole vectors, and at least two columns: products with a single column take another
        // path, with another order of additions.
        let padded = width.next_multiple_of(16);
        // Not a power of two, so that rows do not compete for the same lines of the cache.
        let stride = padded + 16;
        let group = task.channels.start / most_channels;
        let rows = task.channels.len();
        let pieces = Tile::new(geometry, task.positions.clone());
        with_scratch(block * taps * stride, rows * stride, |columns, product| {
            for first in (0..inner).step_by(block) {
                let last = (first + block).min(inner);
                let depth = (last - first) * taps;
                let channels = group * inner + first..group * inner + last;
                pieces.gather(x, geometry, channels, &mut columns[..depth * stride], stride);
                let weights = &weight[task.channels.start * inner * taps + first * taps..];
                multiply(
                    [rows, padded, depth],
                    Matrix::rows(weights, inner * taps),
                    Matrix::rows(columns, stride),
                    product,
                    stride,
                    first > 0,
                );
            }
            for (row, channel) in task.channels.clone().enumerate() {
                let start = channel * positions + task.positions.start;
                // SAFETY: tasks cover disjoint channels and positions.
                let out = unsafe { shared.range(start, width) };
                out.copy_from_slice(&product[row * stride..row * stride + width]);
                epilogue.of_row(channel, start..start + width).finish(out);
            }
        });
    });
    output
}
