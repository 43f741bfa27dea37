//! Of many tensors at once, such as the gradients of all parameters: a device is waited for once.

use crate::Tensor;

/// Whether every entry is finite.
pub fn are_finite(tensors: &[&Tensor]) -> bool {
    on_torch!(are_finite(tensors));
    tensors.iter().all(|tensor| tensor.is_finite())
}

/// The Euclidean norm of each.
pub fn norms(tensors: &[&Tensor]) -> Vec<f64> {
    on_torch!(norms(tensors));
    let norm = |tensor: &&Tensor| {
        tensor.cpu().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    };
    tensors.iter().map(norm).collect()
}
