//! Batch normalisation in one way through memory, where the engine has kernels for it: ATen has. Elsewhere
//! sums and combinations of channels are as fast, and `None` says so.

use super::elementwise::same_shape;
use crate::{Numbers, Result, Tensor};

/// Whether there is one of each of these numbers for every channel of `x`.
fn check(operation: &'static str, x: &Tensor, numbers: &[&Numbers]) -> Result<()> {
    let [channels, ..] = x.dims::<4>(operation, "[C, N, H, W]")?;
    numbers.iter().try_for_each(|numbers| numbers.check(operation, channels))
}

/// γ x̂ + β with x̂ = (x − m)/√(v + ε), and the mean m and biased variance v of each channel.
///
/// # Shapes
/// `x`: `[C, N, H, W]`; all numbers: `C`.
///
/// # Errors
/// If the shapes differ, or the engine fails.
pub fn batch_norm(
    x: &Tensor,
    scale: &Numbers,
    shift: &Numbers,
    epsilon: f64,
) -> Result<Option<(Tensor, Numbers, Numbers)>> {
    let _running = crate::meter::operation("batch_norm");
    check("batch_norm", x, &[scale, shift])?;
    on_torch!(batch_norm(x, scale, shift, epsilon));
    let _ = epsilon;
    Ok(None)
}

/// (γ/σ)(a − ⟨a⟩ − x̂⟨x̂ a⟩), the derivative of [`batch_norm`] along `a` and its pull back alike;
/// `inverse` is 1/σ.
///
/// # Shapes
/// `a` and `x`: `[C, N, H, W]`; all numbers: `C`.
///
/// # Errors
/// If the shapes differ, or the engine fails.
pub fn batch_norm_pullback(
    a: &Tensor,
    x: &Tensor,
    scale: &Numbers,
    [mean, inverse]: [&Numbers; 2],
) -> Result<Option<Tensor>> {
    let _running = crate::meter::operation("batch_norm_pullback");
    same_shape("batch_norm_pullback", x, a)?;
    check("batch_norm_pullback", x, &[scale, mean, inverse])?;
    on_torch!(batch_norm_pullback(a, x, scale, [mean, inverse]));
    Ok(None)
}

/// Σ a and Σ x̂ a of each channel.
///
/// # Shapes
/// As [`batch_norm_pullback`]'s.
///
/// # Errors
/// If the shapes differ, or the engine fails.
pub fn batch_norm_sums(
    a: &Tensor,
    x: &Tensor,
    [mean, inverse]: [&Numbers; 2],
) -> Result<Option<[Numbers; 2]>> {
    let _running = crate::meter::operation("batch_norm_sums");
    same_shape("batch_norm_sums", x, a)?;
    check("batch_norm_sums", x, &[mean, inverse])?;
    on_torch!(batch_norm_sums(a, x, [mean, inverse]));
    Ok(None)
}
