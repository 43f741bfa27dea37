//! What optimisers and averages keep of a tensor that changes step by step: element by element, any shape.

use super::elementwise::zip_map;
use crate::{Result, Tensor};

/// a + share·(b − a).
///
/// # Errors
/// If the shapes differ.
pub fn towards(a: &Tensor, b: &Tensor, share: f32) -> Result<Tensor> {
    zip_on_torch!(a, b, towards(a, b, share));
    zip_map(a, b, |a, b| a + share * (b - a))
}

/// keep·mean + take·x.
///
/// # Errors
/// If the shapes differ.
pub fn running_mean(mean: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    zip_on_torch!(mean, x, running_mean(mean, x, keep, take));
    zip_map(mean, x, |mean, x| keep * mean + take * x)
}

/// keep·square + take·x².
///
/// # Errors
/// If the shapes differ.
pub fn running_square(square: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    zip_on_torch!(square, x, running_square(square, x, keep, take));
    zip_map(square, x, |square, x| keep * square + take * x * x)
}

/// scale·mean/(root·√square + ε): Adam's step.
///
/// # Errors
/// If the shapes differ.
pub fn over_root(
    mean: &Tensor,
    square: &Tensor,
    [scale, root, epsilon]: [f32; 3],
) -> Result<Tensor> {
    zip_on_torch!(mean, square, over_root(mean, square, [scale, root, epsilon]));
    zip_map(mean, square, |mean, square| scale * mean / (square.sqrt() * root + epsilon))
}
