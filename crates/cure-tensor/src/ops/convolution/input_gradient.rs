use super::super::parallel::{SharedOutput, for_each, over_rows};
use super::columns::Tile;
use super::epilogue::Epilogue;
use super::forward::correlate;
use super::geometry::{Geometry, Kernel, Window};
use super::product::{Matrix, multiply, with_scratch};
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

/// The transpose of [`convolution`](super::convolution) as a linear map of its input: Wᵀg.
///
/// The epilogue is applied to the result, of which its tensors then have the shape.
///
/// # Shapes
/// `g`: `[C_out, N, H', W']`; the result `[C_in, N, height, width]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn convolution_input_gradient(
    g: &Tensor,
    kernel: &Kernel,
    window: Window,
    [height, width]: [usize; 2],
    epilogue: Epilogue<'_>,
) -> Result<Tensor> {
    let operation = "convolution_input_gradient";
    let [_, batch, _, _] = g.dims(operation, "[C, N, H, W]")?;
    let weight = kernel.weight();
    let inner = weight.shape().get(1).copied().unwrap_or(0);
    let input = [inner * window.groups, batch, height, width];
    let geometry = Geometry::new(operation, &input, weight.shape(), window)?;
    if g.shape() != geometry.output_shape() {
        let expected = format!("{:?}", geometry.output_shape());
        return Err(TensorError::shape(operation, expected, g.shape()));
    }
    epilogue.check(operation, &geometry.input_shape())?;
    let _running = geometry.running(operation, super::path(&geometry));
    let output = match geometry.adjoint() {
        Some(adjoint) if super::winograd::applies(&adjoint) => {
            let packed = kernel.packed_mirrored(&geometry);
            super::winograd::correlate(g.cpu(), packed, &adjoint, epilogue)
        }
        Some(adjoint) => correlate(g.cpu(), kernel.mirrored(&geometry).cpu(), &adjoint, epilogue),
        None => {
            let mut output = scatter(g.cpu(), weight.cpu(), &geometry);
            let plane = batch * height * width;
            over_rows(&mut output, plane, |channel, row| {
                epilogue.of_row(channel, channel * plane..(channel + 1) * plane).finish(row);
            });
            output
        }
    };
    Ok(Tensor::trusted(&geometry.input_shape(), output))
}

/// Any stride: the columns' adjoint Wᵀg, added to the pixels that the columns were read from.
/// A task owns some samples of some input channels, so that no two write to the same plane.
fn scatter(g: &[f32], weight: &[f32], geometry: &Geometry) -> Buffer {
    /// Output positions a task at least.
    const FEWEST_POSITIONS: usize = 256;
    let taps = geometry.taps();
    let (inner, outer) = (geometry.channels_in_a_group(), geometry.channels_out_a_group());
    // Channels whose columns share a product; more would only fill the cache.
    let block = (256 / taps).clamp(1, inner);
    let positions = geometry.positions();
    let plane = geometry.output[0] * geometry.output[1];
    let samples = FEWEST_POSITIONS.div_ceil(plane).min(geometry.batch.max(1));
    let input_plane = geometry.input[0] * geometry.input[1];
    let mut output = Buffer::zeros(geometry.channels_in * geometry.batch * input_plane);
    let shared = SharedOutput::new(&mut output);
    let tasks: Vec<(usize, usize, usize)> = (0..geometry.window.groups)
        .flat_map(|group| (0..inner).step_by(block).map(move |first| (group, first)))
        .flat_map(|(group, first)| {
            (0..geometry.batch).step_by(samples).map(move |sample| (group, first, sample))
        })
        .collect();
    for_each(tasks, |(group, first, sample)| {
        let last = (first + block).min(inner);
        let depth = (last - first) * taps;
        let start = sample * plane;
        let end = ((sample + samples) * plane).min(positions);
        let width = end - start;
        let stride = width.next_multiple_of(16) + 16;
        let pieces = Tile::new(geometry, start..end);
        with_scratch(depth * stride, outer * stride, |columns, right| {
            for (row, right) in right.chunks_exact_mut(stride).take(outer).enumerate() {
                let from = (group * outer + row) * positions + start;
                right[..width].copy_from_slice(&g[from..from + width]);
                right[width..].fill(0.0);
            }
            // Inner dimension: output channels, in blocks that the product does not cut.
            for (round, from) in (0..outer).step_by(super::product::LONGEST_INNER).enumerate() {
                let count = super::product::LONGEST_INNER.min(outer - from);
                let weights = &weight[((group * outer + from) * inner + first) * taps..];
                multiply(
                    [depth, stride - 16, count],
                    Matrix::transposed(weights, inner * taps),
                    Matrix::rows(&right[from * stride..], stride),
                    columns,
                    stride,
                    round > 0,
                );
            }
            let channels = group * inner + first..group * inner + last;
            pieces.scatter(
                columns,
                stride,
                geometry,
                |channel, sample| {
                    let at = (channel * geometry.batch + sample) * input_plane;
                    // SAFETY: tasks cover disjoint channels and samples.
                    unsafe { shared.range(at, input_plane) }.as_mut_ptr()
                },
                channels,
            );
        });
    });
    output
}
