//! Batch normalisation in one way through memory, where the engine has kernels for it: ATen has. Elsewhere
//! sums and combinations of channels are as fast, and `None` says so.

use crate::{Numbers, Result, Tensor};

/// γ x̂ + β with x̂ = (x − m)/√(v + ε), and the mean m and biased variance v of each channel.
///
/// # Shapes
/// `x`: `[C, N, H, W]`; all numbers: `C`.
///
/// # Errors
/// If the engine fails.
pub fn batch_norm(
    x: &Tensor,
    scale: &Numbers,
    shift: &Numbers,
    epsilon: f64,
) -> Result<Option<(Tensor, Numbers, Numbers)>> {
    let _running = crate::meter::operation("batch_norm");
    on_torch!(batch_norm(x, scale, shift, epsilon));
    let _ = (x, scale, shift, epsilon);
    Ok(None)
}

/// (γ/σ)(a − ⟨a⟩ − x̂⟨x̂ a⟩), the derivative of [`batch_norm`] along `a` and its pull back alike;
/// `inverse` is 1/σ.
///
/// # Shapes
/// `a` and `x`: `[C, N, H, W]`; all numbers: `C`.
///
/// # Errors
/// If the engine fails.
pub fn batch_norm_pullback(
    a: &Tensor,
    x: &Tensor,
    scale: &Numbers,
    [mean, inverse]: [&Numbers; 2],
) -> Result<Option<Tensor>> {
    let _running = crate::meter::operation("batch_norm_pullback");
    on_torch!(batch_norm_pullback(a, x, scale, [mean, inverse]));
    let _ = (a, x, scale, mean, inverse);
    Ok(None)
}

/// Σ a and Σ x̂ a of each channel.
///
/// # Shapes
/// As [`batch_norm_pullback`]'s.
///
/// # Errors
/// If the engine fails.
pub fn batch_norm_sums(
    a: &Tensor,
    x: &Tensor,
    [mean, inverse]: [&Numbers; 2],
) -> Result<Option<[Numbers; 2]>> {
    let _running = crate::meter::operation("batch_norm_sums");
    on_torch!(batch_norm_sums(a, x, [mean, inverse]));
    let _ = (a, x, mean, inverse);
    Ok(None)
}
