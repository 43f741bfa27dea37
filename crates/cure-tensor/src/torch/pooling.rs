use super::{made, place};
use crate::{Result, Tensor};

pub(crate) fn average_pool(x: &Tensor, [kh, kw]: [usize; 2]) -> Result<Tensor> {
    let size = [kh as i64, kw as i64];
    let found = || x.torch()?.f_avg_pool2d(size, size, [0, 0], false, true, None);
    made("average_pool", found())
}

pub(crate) fn average_pool_transpose(
    g: &Tensor,
    [kh, kw]: [usize; 2],
    [height, width]: [usize; 2],
) -> Result<Tensor> {
    let found = || {
        let g = g.torch()?;
        let &[c, n, oh, ow] = g.size().as_slice() else {
            return Ok(g);
        };
        let (kh, kw) = (kh as i64, kw as i64);
        let spread = g
            .f_mul_scalar(1.0 / (kh * kw) as f64)?
            .f_reshape([c, n, oh, 1, ow, 1])?
            .f_expand([c, n, oh, kh, ow, kw], false)?
            .f_reshape([c, n, oh * kh, ow * kw])?;
        // What no window covers.
        spread.f_constant_pad_nd([0, width as i64 - ow * kw, 0, height as i64 - oh * kh])
    };
    made("average_pool_transpose", found())
}

pub(crate) fn subsample(x: &Tensor, stride: usize, channels: usize) -> Result<Tensor> {
    let found = || {
        let stride = stride as i64;
        let x = x.torch()?.f_slice(2, None, None, stride)?.f_slice(3, None, None, stride)?;
        let more = channels as i64 - x.size()[0];
        x.f_constant_pad_nd([0, 0, 0, 0, 0, 0, more / 2, more - more / 2])
    };
    made("subsample", found())
}

pub(crate) fn subsample_transpose(
    g: &Tensor,
    stride: usize,
    [channels, n, height, width]: [usize; 4],
) -> Result<Tensor> {
    let found = || {
        let (g, stride) = (g.torch()?, stride as i64);
        let before = (g.size()[0] - channels as i64) / 2;
        let shape = [channels, n, height, width].map(|side| side as i64);
        let output = tch::Tensor::f_zeros(shape, (tch::Kind::Float, place()))?;
        let mut picked = output.f_slice(2, None, None, stride)?.f_slice(3, None, None, stride)?;
        picked.f_copy_(&g.f_narrow(0, before, channels as i64)?)?;
        Ok(output)
    };
    made("subsample_transpose", found())
}
