//! Averages over pixels and the parameter-free shortcut, with their transposes. Tensors are
//! channel-major, `[C, N, H, W]`.

use super::parallel::over_rows;
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

/// The mean of each plane: `[C, N, H, W]` → `[C, N, 1, 1]`.
///
/// # Errors
/// If `x` is not four-dimensional.
pub fn global_average(x: &Tensor) -> Result<Tensor> {
    let [_, _, h, w] = x.dims("global_average", "[C, N, H, W]")?;
    average_pool(x, [h, w])
}

/// The transpose of [`global_average`]: every pixel gets its plane's value over H·W.
///
/// # Errors
/// If `g` is not `[C, N, 1, 1]`.
pub fn global_average_transpose(g: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    average_pool_transpose(g, [height, width], height, width)
}

/// Averages over windows of `size`, side by side (stride equal to the size); rows and columns
/// that fill no window are left out, as in PyTorch.
///
/// # Errors
/// If `x` is not four-dimensional or smaller than one window.
pub fn average_pool(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let _running = crate::meter::operation("average_pool");
    let [c, n, h, w] = x.dims("average_pool", "[C, N, H, W]")?;
    let [kh, kw] = size;
    if kh == 0 || kw == 0 || kh > h || kw > w {
        return Err(TensorError::shape(
            "average_pool",
            format!("[C, N, ≥{kh}, ≥{kw}] and a window of at least 1×1"),
            x.shape(),
        ));
    }
    on_torch!(average_pool(x, size));
    let (oh, ow) = (h / kh, w / kw);
    let values = x.cpu();
    let factor = 1.0 / (kh * kw) as f32;
    let mut output = Buffer::stale(c * n * oh * ow);
    over_rows(&mut output, oh * ow, |plane, out| {
        let from = &values[plane * h * w..(plane + 1) * h * w];
        for (index, out) in out.iter_mut().enumerate() {
            let (top, left) = (index / ow * kh, index % ow * kw);
            let mut sum = 0.0;
            for row in top..top + kh {
                sum += from[row * w + left..row * w + left + kw].iter().sum::<f32>();
            }
            *out = sum * factor;
        }
    });
    Ok(Tensor::trusted(&[c, n, oh, ow], output))
}

/// The transpose of [`average_pool`] for inputs of `height` × `width`.
///
/// # Errors
/// If `g` is not what [`average_pool`] makes of such an input.
pub fn average_pool_transpose(
    g: &Tensor,
    size: [usize; 2],
    height: usize,
    width: usize,
) -> Result<Tensor> {
    let _running = crate::meter::operation("average_pool_transpose");
    let [c, n, oh, ow] = g.dims("average_pool_transpose", "[C, N, H, W]")?;
    let [kh, kw] = size;
    if kh == 0 || kw == 0 || oh != height / kh || ow != width / kw {
        return Err(TensorError::shape(
            "average_pool_transpose",
            format!("[C, N, H, W] with H, W of {height}×{width} pooled by {kh}×{kw}"),
            g.shape(),
        ));
    }
    on_torch!(average_pool_transpose(g, size, [height, width]));
    let values = g.cpu();
    let factor = 1.0 / (kh * kw) as f32;
    let mut output = Buffer::zeros(c * n * height * width);
    over_rows(&mut output, height * width, |plane, out| {
        for row in 0..oh * kh {
            for column in 0..ow * kw {
                out[row * width + column] =
                    factor * values[(plane * oh + row / kh) * ow + column / kw];
            }
        }
    });
    Ok(Tensor::trusted(&[c, n, height, width], output))
}

/// The option-A shortcut of He et al. (2016): every `stride`-th pixel, and `channels` channels
/// of which the new ones, half before and half after, are zero.
///
/// # Errors
/// If `x` is not four-dimensional, has more channels than asked for, or the stride is 0.
pub fn subsample(x: &Tensor, stride: usize, channels: usize) -> Result<Tensor> {
    let _running = crate::meter::operation("subsample");
    let [c, n, h, w] = x.dims("subsample", "[C, N, H, W]")?;
    if stride == 0 || channels < c {
        return Err(TensorError::shape(
            "subsample",
            format!("[≤{channels}, N, H, W] and a stride of at least 1 (it is {stride})"),
            x.shape(),
        ));
    }
    on_torch!(subsample(x, stride, channels));
    let (oh, ow, before) = (h.div_ceil(stride), w.div_ceil(stride), (channels - c) / 2);
    let values = x.cpu();
    let mut output = Buffer::zeros(channels * n * oh * ow);
    over_rows(&mut output, oh * ow, |plane, out| {
        let (channel, sample) = (plane / n, plane % n);
        if channel < before || channel >= before + c {
            return;
        }
        let from = ((channel - before) * n + sample) * h * w;
        for (index, out) in out.iter_mut().enumerate() {
            *out = values[from + index / ow * stride * w + index % ow * stride];
        }
    });
    Ok(Tensor::trusted(&[channels, n, oh, ow], output))
}

/// The transpose of [`subsample`] for inputs of `[channels, N, height, width]`.
///
/// # Errors
/// If `g` is not what [`subsample`] makes of such an input.
pub fn subsample_transpose(
    g: &Tensor,
    stride: usize,
    channels: usize,
    height: usize,
    width: usize,
) -> Result<Tensor> {
    let _running = crate::meter::operation("subsample_transpose");
    let [c, n, oh, ow] = g.dims("subsample_transpose", "[C, N, H, W]")?;
    if stride == 0 || channels > c || oh != height.div_ceil(stride) || ow != width.div_ceil(stride)
    {
        return Err(TensorError::shape(
            "subsample_transpose",
            format!("[≥{channels}, N, H, W] of {height}×{width} subsampled by {stride}"),
            g.shape(),
        ));
    }
    on_torch!(subsample_transpose(g, stride, [channels, n, height, width]));
    let before = (c - channels) / 2;
    let values = g.cpu();
    let mut output = Buffer::zeros(channels * n * height * width);
    over_rows(&mut output, height * width, |plane, out| {
        let from = (before * n + plane) * oh * ow;
        for row in 0..oh {
            for column in 0..ow {
                out[row * stride * width + column * stride] = values[from + row * ow + column];
            }
        }
    });
    Ok(Tensor::trusted(&[channels, n, height, width], output))
}
