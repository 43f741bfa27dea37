use super::direct;
use super::epilogue::Epilogue;
use super::geometry::{Geometry, Kernel, Window};
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
    let weight = kernel.shape();
    let inner = weight.get(1).copied().unwrap_or(0);
    let input = [inner * window.groups, batch, height, width];
    let geometry = Geometry::new(operation, &input, weight, window)?;
    if g.shape() != geometry.output_shape() {
        let expected = format!("{:?}", geometry.output_shape());
        return Err(TensorError::shape(operation, expected, g.shape()));
    }
    epilogue.check(operation, &geometry.input_shape())?;
    let _on_torch = crate::device().is_torch().then(|| geometry.running(operation, 1));
    on_torch!(convolution_input_gradient(
        g,
        &kernel.weight(),
        window,
        geometry.input_shape(),
        &epilogue
    ));
    let output = if super::winograd::applies(&geometry) {
        let packed = kernel.packed_mirrored(&geometry);
        let _running = geometry.running(operation, 1);
        super::winograd::pull_back(g.cpu(), packed, &geometry, epilogue)
    } else {
        let plan = direct::Plan::pull_back(&geometry);
        let packed = kernel.direct(&plan, &geometry);
        let _running = geometry.running(operation, 1);
        direct::correlate(&plan, g.cpu(), &packed, epilogue)
    };
    Ok(Tensor::trusted(&geometry.input_shape(), output))
}
