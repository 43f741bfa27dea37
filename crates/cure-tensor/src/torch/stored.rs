use tch::Kind;

use super::{Made, Values, error, place, upload};
use crate::stored::Placement;
use crate::{Result, Tensor};

/// 8-bit images in ATen's memory.
#[derive(Debug)]
pub(crate) struct DeviceImages {
    /// `[N, C, H, W]`.
    bytes: tch::Tensor,
    /// What each byte stands for: a GPU may divide by 255 otherwise than the host.
    values: tch::Tensor,
    shape: [usize; 4],
}

// SAFETY: as for `Values`.
unsafe impl Sync for DeviceImages {}

impl DeviceImages {
    pub(crate) fn bring(shape: [usize; 4], bytes: &[u8]) -> Result<Self> {
        let values: Vec<f32> = (0..=u8::MAX).map(|byte| f32::from(byte) / 255.0).collect();
        let sides = shape.map(|side| side as i64);
        let found = || Ok((upload(bytes)?.f_view(sides)?, upload(&values)?));
        let (bytes, values) = found().map_err(|cause| error("a copy to the device", &cause))?;
        Ok(Self { bytes, values, shape })
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Crops are checked by the caller. What they are is defined by `copy_placed` of `cure-data`, the host's way; here
    /// every pixel is looked up where it comes from.
    pub(crate) fn crops(&self, crops: &[(usize, Placement)], padding: usize) -> Result<Tensor> {
        let [_, c, h, w] = self.shape.map(|side| side as i64);
        let (n, padding) = (crops.len() as i64, padding as i64);
        let each = |number: &dyn Fn(&Placement) -> i64| -> Vec<i64> {
            crops.iter().map(|(_, place)| number(place)).collect()
        };
        let numbers = [
            crops.iter().map(|&(image, _)| image as i64).collect(),
            each(&|place| place.row as i64 - padding),
            // Where the first pixel of a row comes from, and how far further the next one does.
            each(&|place| place.column as i64 - padding + if place.flip { w - 1 } else { 0 }),
            each(&|place| if place.flip { -1 } else { 1 }),
        ];
        let found = || -> Made {
            let numbers = upload(&numbers.concat())?.f_view([4, n, 1, 1, 1])?;
            let [image, top, left, along] = [0, 1, 2, 3].map(|number| numbers.f_select(0, number));
            let count = |length: i64, shape: [i64; 4]| {
                tch::Tensor::f_arange(length, (Kind::Int64, place()))?.f_view(shape)
            };
            let y = count(h, [1, 1, h, 1])?.f_add(&top?)?;
            let x = count(w, [1, 1, 1, w])?.f_mul(&along?)?.f_add(&left?)?;
            let within =
                |at: &tch::Tensor, length: i64| at.f_ge(0)?.f_logical_and(&at.f_lt(length)?);
            let is_inside = within(&y, h)?.f_logical_and(&within(&x, w)?)?;
            let (y, x) = (y.f_clamp(0, h - 1)?, x.f_clamp(0, w - 1)?);
            let places = [image?, count(c, [1, c, 1, 1])?, y, x].map(Some);
            let bytes = self.bytes.f_index(&places)?.f_mul(&is_inside)?;
            let pixels = self.values.f_index_select(0, &bytes.f_view(-1)?.f_to_kind(Kind::Int)?)?;
            pixels.f_view([n, c, h, w])
        };
        // Not by `made`, which takes the error that an earlier operation kept: it is the step's.
        let pixels = found().map_err(|cause| error("crops", &cause))?;
        let shape = [crops.len(), self.shape[1], self.shape[2], self.shape[3]];
        Ok(Tensor::of_torch(&shape, Values::new(pixels)))
    }
}
