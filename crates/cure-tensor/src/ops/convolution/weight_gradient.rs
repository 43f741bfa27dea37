use super::geometry::{Geometry, Window};
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
    let _on_torch = crate::device().is_torch().then(|| geometry.running(operation, pairs.len()));
    on_torch!(convolution_weight_gradient(pairs, weight_shape, window));
    let _running = geometry.running(operation, pairs.len());
    if super::winograd::applies(&geometry) {
        return Ok(Tensor::trusted(
            weight_shape,
            super::winograd::weight_gradient(pairs, &geometry),
        ));
    }
    Ok(Tensor::trusted(weight_shape, super::direct::weight_gradient(pairs, &geometry)))
}
