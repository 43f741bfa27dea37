use super::super::parallel::map;
use super::columns::Tile;
use super::geometry::{Geometry, Window};
use super::product::{LONGEST_INNER, Matrix, multiply, with_scratch};
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

/// Σ over pairs (x, g) of the gradient of ⟨g, w ⋆ x⟩ with respect to w. First order takes one
/// pair; second order takes (a, μ) and (ȧ, λ) together.
///
/// # Shapes
/// Each `x`: `[C_in, N, H, W]`; each `g`: `[C_out, N, H', W']`; the result
/// `[C_out, C_in/groups, kh, kw]`.
///
/// # Errors
/// If there is no pair, or the shapes do not fit.
pub fn convolution_weight_gradient(
    pairs: &[(&Tensor, &Tensor)],
    weight_shape: &[usize],
    window: Window,
) -> Result<Tensor> {
    let operation = "convolution_weight_gradient";
    let Some((first, _)) = pairs.first() else {
        return Err(TensorError::shape(operation, "at least one pair", &[]));
    };
    let geometry = Geometry::new(operation, first.shape(), weight_shape, window)?;
    for (x, g) in pairs {
        if x.shape() != first.shape() || g.shape() != geometry.output_shape() {
            let expected = format!("{:?} and {:?}", first.shape(), geometry.output_shape());
            return Err(TensorError::shape(operation, expected, g.shape()));
        }
    }
    let _running = geometry.running(operation, super::path(&geometry));
    if super::winograd::applies(&geometry) {
        return Ok(Tensor::trusted(
            weight_shape,
            super::winograd::weight_gradient(pairs, &geometry),
        ));
    }
    Ok(Tensor::trusted(weight_shape, accumulate_by_columns(pairs, &geometry)))
}

/// A task owns some input channels of one group (whole columns of the result) over some of the
/// positions; partial sums over positions are added in order.
pub(super) fn accumulate_by_columns(pairs: &[(&Tensor, &Tensor)], geometry: &Geometry) -> Buffer {
    /// Tasks that let a dozen cores share the work.
    const ENOUGH: usize = 24;
    let taps = geometry.taps();
    let (inner, outer) = (geometry.channels_in_a_group(), geometry.channels_out_a_group());
    let groups = geometry.window.groups;
    let block = (288 / taps).clamp(1, inner);
    let blocks: Vec<(usize, usize)> = (0..groups)
        .flat_map(|group| (0..inner).step_by(block).map(move |first| (group, first)))
        .collect();
    let positions = geometry.positions();
    let tile = geometry.tile(block * taps + outer).min(LONGEST_INNER / 48 * 48);
    let tiles = positions.div_ceil(tile);
    let parts = ENOUGH.div_ceil(blocks.len()).clamp(1, tiles.max(1));
    let tiles_a_part = tiles.div_ceil(parts);

    let partial = |&(part, (group, first)): &(usize, (usize, usize))| {
        let last = (first + block).min(inner);
        let depth = (last - first) * taps;
        let mut sum = vec![0.0f32; outer * depth];
        let from = part * tiles_a_part * tile;
        let to = ((part + 1) * tiles_a_part * tile).min(positions);
        for start in (from..to).step_by(tile) {
            let width = tile.min(to - start);
            let stride = width.next_multiple_of(16) + 16;
            let pieces = Tile::new(geometry, start..start + width);
            for (x, g) in pairs {
                with_scratch(depth * stride, 0, |columns, _| {
                    let channels = group * inner + first..group * inner + last;
                    pieces.gather(x.cpu(), geometry, channels, columns, stride);
                    multiply(
                        [outer, depth, width],
                        Matrix::rows(&g.cpu()[group * outer * positions + start..], positions),
                        Matrix::transposed(columns, stride),
                        &mut sum,
                        depth,
                        true,
                    );
                });
            }
        }
        sum
    };
    let tasks: Vec<_> =
        (0..parts).flat_map(|part| blocks.iter().map(move |&block| (part, block))).collect();
    let sums: Vec<Vec<f32>> = map(tasks.iter().collect(), partial);

    let mut output = Buffer::zeros(geometry.channels_out * inner * taps);
    for ((_, (group, first)), sum) in tasks.iter().zip(&sums) {
        let depth = sum.len() / outer;
        for (row, values) in sum.chunks_exact(depth).enumerate() {
            let at = ((group * outer + row) * inner + first) * taps;
            for (out, value) in output[at..at + depth].iter_mut().zip(values) {
                *out += value;
            }
        }
    }
    output
}
