use std::ops::Range;

use rayon::prelude::*;

use super::super::activation::Activation;
use super::super::parallel::{SharedOutput, vectorised};
use super::columns::Tile;
use super::geometry::{Geometry, Kernel, Window};
use super::product::{Matrix, multiply, with_scratch};
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

/// What is done to a convolution's result while it is still in cache.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to each channel; `C_out` entries.
    pub bias: Option<&'a [f32]>,
    /// Added element by element; of the output's shape.
    pub residual: Option<&'a Tensor>,
    /// Applied after the sums.
    pub activation: Option<Activation>,
    /// Where it is not over zero the result is zero; of the output's shape. The derivative of a
    /// ReLU whose input or output this is.
    pub mask: Option<&'a Tensor>,
}

impl Epilogue<'_> {
    pub(super) fn check(&self, operation: &'static str, shape: &[usize; 4]) -> Result<()> {
        for (what, other) in [("residual", self.residual), ("mask", self.mask)] {
            if let Some(other) = other
                && other.shape() != shape
            {
                return Err(TensorError::shape(
                    operation,
                    format!("{what} {shape:?}"),
                    other.shape(),
                ));
            }
        }
        match self.bias {
            Some(bias) if bias.len() != shape[0] => {
                Err(TensorError::shape(operation, format!("bias [{}]", shape[0]), &[bias.len()]))
            }
            _ => Ok(()),
        }
    }
}

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
    let pieces = ENOUGH.div_ceil(tiles.max(1)).min(group / FEWEST_CHANNELS).max(1);
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
    tasks(geometry, tile).into_par_iter().for_each(|task| {
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
                finish(&product[row * stride..row * stride + width], out, channel, start, epilogue);
            }
        });
    });
    output
}

/// Writes one row of a product with the epilogue applied; `start` is its place in the output.
pub(super) fn finish(
    product: &[f32],
    out: &mut [f32],
    channel: usize,
    start: usize,
    epilogue: Epilogue<'_>,
) {
    out.copy_from_slice(product);
    finish_in_place(out, channel, start, epilogue);
}

/// Applies the epilogue to values of one channel that are already in place, and in cache.
pub(super) fn finish_in_place(
    out: &mut [f32],
    channel: usize,
    start: usize,
    epilogue: Epilogue<'_>,
) {
    vectorised(|| {
        let at = start..start + out.len();
        let bias = epilogue.bias.map(|bias| bias[channel]);
        let residual = epilogue.residual.map(|residual| &residual.cpu()[at.clone()]);
        match (bias, residual) {
            (None, None) => {}
            (Some(bias), None) => out.iter_mut().for_each(|value| *value += bias),
            (bias, Some(residual)) => {
                let bias = bias.unwrap_or(0.0);
                out.iter_mut().zip(residual).for_each(|(value, &other)| *value += bias + other);
            }
        }
        match epilogue.activation {
            None => {}
            Some(Activation::Relu) => {
                out.iter_mut().for_each(|value| *value = if *value <= 0.0 { 0.0 } else { *value });
            }
            Some(kind) => out.iter_mut().for_each(|value| *value = kind.value(*value)),
        }
        if let Some(mask) = epilogue.mask {
            for (value, &mask) in out.iter_mut().zip(&mask.cpu()[at]) {
                *value = if mask > 0.0 { *value } else { 0.0 };
            }
        }
    });
}
