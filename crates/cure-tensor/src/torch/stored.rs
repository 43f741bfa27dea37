use tch::Kind;

use super::{Made, error, made, place, upload};
use crate::stored::Crop;
use crate::{Result, Tensor};

/// Images of eight bits in ATen's memory.
#[derive(Debug)]
pub(crate) struct Bytes {
    /// All of them in a row.
    bytes: tch::Tensor,
    /// What each byte stands for: a GPU may divide by 255 otherwise than the host.
    values: tch::Tensor,
    shape: [usize; 4],
}

// SAFETY: as for `Values`.
unsafe impl Sync for Bytes {}

impl Bytes {
    pub(crate) fn bring(shape: [usize; 4], bytes: &[u8]) -> Result<Self> {
        let values: Vec<f32> = (0..=u8::MAX).map(|byte| f32::from(byte) / 255.0).collect();
        let found = || Ok((upload(bytes)?, upload(&values)?));
        let (bytes, values) = found().map_err(|cause| error("a copy to the device", &cause))?;
        Ok(Self { bytes, values, shape })
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Crops are checked by the caller.
    pub(crate) fn crops(&self, crops: &[Crop], padding: usize) -> Result<Tensor> {
        let [_, c, h, w] = self.shape.map(|side| side as i64);
        let (n, padding) = (crops.len() as i64, padding as i64);
        // The image, the row of its first pixel, the column of its first one, and where the next one lies.
        let numbers: [fn(&Crop, i64, i64) -> i64; 4] = [
            |crop, _, _| crop.image as i64,
            |crop, _, padding| crop.row as i64 - padding,
            |crop, last, padding| crop.column as i64 - padding + if crop.flip { last } else { 0 },
            |crop, _, _| if crop.flip { -1 } else { 1 },
        ];
        let numbers: Vec<i64> = numbers
            .iter()
            .flat_map(|number| crops.iter().map(move |crop| number(crop, w - 1, padding)))
            .collect();
        let found = || -> Made {
            let numbers = upload(&numbers)?.f_view([4, n, 1, 1, 1])?;
            let number = |at: i64| numbers.f_select(0, at);
            let along = |length: i64, shape: [i64; 4]| {
                tch::Tensor::f_arange(length, (Kind::Int64, place()))?.f_view(shape)
            };
            let within = |x: &tch::Tensor, length: i64| x.f_ge(0)?.f_logical_and(&x.f_lt(length)?);
            let y = along(h, [1, 1, h, 1])?.f_add(&number(1)?)?;
            let x = along(w, [1, 1, 1, w])?.f_mul(&number(3)?)?.f_add(&number(2)?)?;
            let is_inside = within(&y, h)?.f_logical_and(&within(&x, w)?)?;
            let planes = number(0)?.f_mul_scalar(c)?.f_add(&along(c, [1, c, 1, 1])?)?;
            let rows = planes.f_mul_scalar(h)?.f_add(&y.f_clamp(0, h - 1)?)?;
            let pixels = rows.f_mul_scalar(w)?.f_add(&x.f_clamp(0, w - 1)?)?;
            let bytes = self.bytes.f_take(&pixels)?.f_to_kind(Kind::Int64)?;
            self.values.f_take(&bytes.f_mul(&is_inside)?)
        };
        made("crops", found())
    }
}
