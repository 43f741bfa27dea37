use super::direct;
use super::epilogue::Epilogue;
use super::geometry::{Geometry, Kernel, Window};
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
    let geometry = Geometry::new(operation, x.shape(), kernel.shape(), window)?;
    let shape = geometry.output_shape();
    epilogue.check(operation, &shape)?;
    let _on_torch = crate::device().is_torch().then(|| geometry.running(operation, 1));
    on_torch!(convolution(x, &kernel.weight(), window, &epilogue));
    let output = if super::winograd::applies(&geometry) {
        let packed = kernel.packed(&geometry);
        let _running = geometry.running(operation, 1);
        super::winograd::correlate(x.cpu(), packed, &geometry, epilogue)
    } else {
        let plan = direct::Plan::forward(&geometry);
        let packed = kernel.direct(&plan, &geometry);
        let _running = geometry.running(operation, 1);
        direct::correlate(&plan, x.cpu(), &packed, epilogue)
    };
    Ok(Tensor::trusted(&shape, output))
}
