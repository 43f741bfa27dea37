//! Element by element, any shape.

use super::parallel::over_pieces;
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

pub(super) fn same_shape(operation: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.shape() == b.shape() {
        Ok(())
    } else {
        Err(TensorError::shape(operation, format!("{:?}", a.shape()), b.shape()))
    }
}

/// `f(x)` for each element, in the memory of `x` when nobody shares it.
pub fn map(x: Tensor, f: impl Fn(f32) -> f32 + Sync) -> Tensor {
    let _running = crate::meter::operation("map");
    let shape = x.shape().to_vec();
    let mut values = x.into_buffer();
    over_pieces(&mut values, |_, piece| piece.iter_mut().for_each(|value| *value = f(*value)));
    Tensor::trusted(&shape, values)
}

/// `f(a, b)` for each pair of elements.
///
/// # Errors
/// If the shapes differ.
pub fn zip_map(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Result<Tensor> {
    let _running = crate::meter::operation("zip_map");
    same_shape("zip_map", a, b)?;
    let (left, right) = (a.cpu(), b.cpu());
    let mut output = Buffer::stale(left.len());
    over_pieces(&mut output, |offset, piece| {
        let left = &left[offset..offset + piece.len()];
        let right = &right[offset..offset + piece.len()];
        for ((out, &l), &r) in piece.iter_mut().zip(left).zip(right) {
            *out = f(l, r);
        }
    });
    Ok(Tensor::trusted(a.shape(), output))
}

/// `a + b`, in the memory of `a` when nobody shares it.
///
/// # Errors
/// If the shapes differ.
pub fn add(a: Tensor, b: &Tensor) -> Result<Tensor> {
    axpy(1.0, b, a)
}

/// `a − b`.
///
/// # Errors
/// If the shapes differ.
pub fn subtract(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    zip_on_torch!(a, b, subtract(a, b));
    zip_map(a, b, |a, b| a - b)
}

/// `factor · x`.
pub fn scale(factor: f32, x: Tensor) -> Tensor {
    on_torch!(scale(factor, &x));
    map(x, |value| factor * value)
}

/// Each element cut to [low, high]; NaN stays.
pub fn clamp(x: Tensor, low: f32, high: f32) -> Tensor {
    on_torch!(clamp(&x, low, high));
    map(x, |value| value.clamp(low, high))
}

/// `a·x + y`, in the memory of `y` when nobody shares it.
///
/// # Errors
/// If the shapes differ.
pub fn axpy(a: f32, x: &Tensor, y: Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("axpy");
    same_shape("axpy", &y, x)?;
    on_torch!(axpy(a, x, &y));
    let shape = y.shape().to_vec();
    let mut output = y.into_buffer();
    let x = x.cpu();
    over_pieces(&mut output, |offset, piece| {
        let x = &x[offset..offset + piece.len()];
        for (out, &value) in piece.iter_mut().zip(x) {
            *out += a * value;
        }
    });
    Ok(Tensor::trusted(&shape, output))
}
