//! Moving values without computing.

use super::parallel::over_rows;
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

fn swap_leading(x: &Tensor, first: usize, second: usize, run: usize) -> Buffer {
    let values = x.cpu();
    let mut output = Buffer::stale(values.len());
    over_rows(&mut output, first * run, |s, row| {
        for f in 0..first {
            let from = (f * second + s) * run;
            row[f * run..(f + 1) * run].copy_from_slice(&values[from..from + run]);
        }
    });
    output
}

/// `[N, C, …]` → `[C, N, …]`.
///
/// # Errors
/// If `x` has fewer than two dimensions.
pub fn channel_major(x: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("channel_major");
    let [n, c, rest @ ..] = x.shape() else {
        return Err(TensorError::shape("channel_major", "[N, C, …]", x.shape()));
    };
    on_torch!(exchange("channel_major", x));
    let output = swap_leading(x, *n, *c, rest.iter().product());
    let shape: Vec<usize> = [*c, *n].iter().chain(rest).copied().collect();
    Ok(Tensor::trusted(&shape, output))
}

/// `[C, N, …]` → `[N, C, …]`.
///
/// # Errors
/// If `x` has fewer than two dimensions.
pub fn sample_major(x: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("sample_major");
    // The exchange of the two leading dimensions is its own inverse.
    channel_major(x)
}

/// `[C, N, H, W]` → `[C·H·W, N, 1, 1]`, features in PyTorch's order (channel, row, column).
///
/// # Errors
/// If `x` is not four-dimensional.
pub fn flatten(x: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("flatten");
    let [c, n, h, w] = x.dims("flatten", "[C, N, H, W]")?;
    on_torch!(flatten(x, [c, n, h, w]));
    let (values, plane) = (x.cpu(), h * w);
    let mut output = Buffer::stale(values.len());
    over_rows(&mut output, n, |feature, row| {
        let (channel, pixel) = (feature / plane, feature % plane);
        for (sample, out) in row.iter_mut().enumerate() {
            *out = values[(channel * n + sample) * plane + pixel];
        }
    });
    Ok(Tensor::trusted(&[c * plane, n, 1, 1], output))
}

/// The inverse of [`flatten`].
///
/// # Errors
/// If `x` does not have the features of `[channels, N, height, width]`.
pub fn unflatten(x: &Tensor, channels: usize, height: usize, width: usize) -> Result<Tensor> {
    let _running = crate::meter::operation("unflatten");
    let [features, n, 1, 1] = x.dims("unflatten", "[F, N, 1, 1]")? else {
        return Err(TensorError::shape("unflatten", "[F, N, 1, 1]", x.shape()));
    };
    let plane = height * width;
    if features != channels * plane {
        let expected = format!("[{}, N, 1, 1]", channels * plane);
        return Err(TensorError::shape("unflatten", expected, x.shape()));
    }
    on_torch!(unflatten(x, [channels, n, height, width]));
    let values = x.cpu();
    let mut output = Buffer::stale(values.len());
    over_rows(&mut output, plane, |index, row| {
        let (channel, sample) = (index / n, index % n);
        for (pixel, out) in row.iter_mut().enumerate() {
            *out = values[(channel * plane + pixel) * n + sample];
        }
    });
    Ok(Tensor::trusted(&[channels, n, height, width], output))
}

/// The rows of a sample-major tensor at `positions`, in that order.
///
/// # Errors
/// If a position is past the last row.
pub fn select(x: &Tensor, positions: &[usize]) -> Result<Tensor> {
    let _running = crate::meter::operation("select");
    let [rows, rest @ ..] = x.shape() else {
        return Err(TensorError::shape("select", "[N, …]", x.shape()));
    };
    if let Some(position) = positions.iter().find(|&&position| position >= *rows) {
        return Err(TensorError::Argument {
            operation: "select",
            argument: "position",
            value: position.to_string(),
            accepted: format!("0..{rows}"),
        });
    }
    on_torch!(select(x, positions));
    let length: usize = rest.iter().product();
    let values = x.cpu();
    let mut output = Buffer::stale(positions.len() * length);
    over_rows(&mut output, length, |row, out| {
        let from = positions[row] * length;
        out.copy_from_slice(&values[from..from + length]);
    });
    let shape: Vec<usize> = std::iter::once(positions.len()).chain(rest.iter().copied()).collect();
    Ok(Tensor::trusted(&shape, output))
}

/// A sample-major tensor with the rows at `positions` replaced by those of `rows`, in that order; of a position that is
/// there twice, by either.
///
/// # Errors
/// If a position is past the last row, or `rows` are not as many or not of the same shape.
pub fn replace_rows(x: Tensor, positions: &[usize], rows: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("replace_rows");
    let [count, rest @ ..] = x.shape() else {
        return Err(TensorError::shape("replace_rows", "[N, …]", x.shape()));
    };
    if rows.shape().first() != Some(&positions.len()) || rows.shape()[1..] != *rest {
        let expected = format!("[{}, {rest:?}]", positions.len());
        return Err(TensorError::shape("replace_rows", expected, rows.shape()));
    }
    if let Some(position) = positions.iter().find(|&&position| position >= *count) {
        return Err(TensorError::Argument {
            operation: "replace_rows",
            argument: "position",
            value: position.to_string(),
            accepted: format!("0..{count}"),
        });
    }
    on_torch!(replace_rows(&x, positions, rows));
    let length: usize = rest.iter().product();
    let (shape, from) = (x.shape().to_vec(), rows.cpu());
    let mut output = x.into_buffer();
    for (row, &position) in positions.iter().enumerate() {
        output[position * length..][..length].copy_from_slice(&from[row * length..][..length]);
    }
    Ok(Tensor::trusted(&shape, output))
}

/// The rows of several sample-major tensors, one after the other.
///
/// # Errors
/// If there is none, or their rows differ in shape.
pub fn concatenate(parts: &[&Tensor]) -> Result<Tensor> {
    let _running = crate::meter::operation("concatenate");
    let Some(([_, rest @ ..], _)) = parts.first().map(|first| (first.shape(), ())) else {
        return Err(TensorError::shape("concatenate", "at least one tensor [N, …]", &[]));
    };
    let mut rows = 0;
    for part in parts {
        match part.shape() {
            [count, tail @ ..] if tail == rest => rows += count,
            found => {
                return Err(TensorError::shape("concatenate", format!("[N, {rest:?}]"), found));
            }
        }
    }
    on_torch!(concatenate(parts));
    let mut values = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| values.extend_from_slice(part.cpu()));
    let shape: Vec<usize> = std::iter::once(rows).chain(rest.iter().copied()).collect();
    Ok(Tensor::trusted(&shape, values))
}
