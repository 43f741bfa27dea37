//! Images of eight bits where the tensors are.

use crate::Result;
#[cfg(feature = "libtorch")]
use crate::TensorError;

/// A crop of a stored image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Which image.
    pub image: usize,
    /// Its first row in the padded image, 0 to twice the padding.
    pub row: usize,
    /// Its first column there.
    pub column: usize,
    /// Whether it is then mirrored left to right.
    pub flip: bool,
}

/// Images of eight bits in the memory of a device, from which batches are cut there: a step then brings the device
/// a few numbers for each image, and no pixels.
#[derive(Debug)]
pub struct StoredImages {
    #[cfg(feature = "libtorch")]
    images: crate::torch::Bytes,
    #[cfg(not(feature = "libtorch"))]
    none: std::convert::Infallible,
}

impl StoredImages {
    /// More bytes stay with the host: a device needs its memory for activations.
    pub const MOST: usize = 2 << 30;

    /// `bytes` brought to the device, `[N, C, H, W]`. None on the CPU's own engine, to which the host's memory is as
    /// near, and where there are more than [`StoredImages::MOST`] or the device has no memory for them.
    ///
    /// # Errors
    /// [`TensorError::DataLength`](crate::TensorError::DataLength) if they do not fill the shape; if the device fails.
    pub fn bring(shape: [usize; 4], bytes: &[u8]) -> Result<Option<Self>> {
        #[cfg(feature = "libtorch")]
        if crate::torch::is_chosen() && bytes.len() <= Self::MOST {
            if shape.iter().product::<usize>() != bytes.len() {
                return Err(TensorError::DataLength { shape: shape.to_vec(), len: bytes.len() });
            }
            return match crate::torch::Bytes::bring(shape, bytes) {
                Ok(images) => Ok(Some(Self { images })),
                Err(TensorError::OutOfMemory { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let _ = (shape, bytes);
        Ok(None)
    }

    /// The crops, of the images' size, as `[N, C, H, W]` in [0, 1]; what they take of the `padding` around the images
    /// is black. The values are those of `f32::from(byte) / 255.0`, on every device.
    ///
    /// # Errors
    /// [`TensorError::Argument`](crate::TensorError::Argument) for an image that is not there or a crop that leaves the
    /// padded image; if the device fails.
    #[cfg(feature = "libtorch")]
    pub fn crops(&self, crops: &[Crop], padding: usize) -> Result<crate::Tensor> {
        let refuse = |argument, value: usize, most: usize| {
            let accepted = format!("0 to {most}");
            let value = value.to_string();
            Err(TensorError::Argument { operation: "crops", argument, value, accepted })
        };
        let (images, last) = (self.images.shape()[0], padding.saturating_mul(2));
        for crop in crops {
            if crop.image >= images {
                return refuse("an image", crop.image, images.saturating_sub(1));
            }
            if crop.row.max(crop.column) > last {
                return refuse("the first row or column", crop.row.max(crop.column), last);
            }
        }
        self.images.crops(crops, padding)
    }

    /// As with libtorch: without it there is no [`StoredImages`].
    #[cfg(not(feature = "libtorch"))]
    pub fn crops(&self, _: &[Crop], _: usize) -> Result<crate::Tensor> {
        match self.none {}
    }
}

#[cfg(all(test, feature = "libtorch"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PLAIN: Crop = Crop { image: 0, row: 1, column: 1, flip: false };

    /// Two images of 1×2×3, `1 2 3 / 4 5 6` and `7 8 9 / 10 11 255`.
    fn stored() -> Option<StoredImages> {
        let found =
            StoredImages::bring([2, 1, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]).unwrap();
        assert_eq!(found.is_some(), crate::device().is_torch());
        found
    }

    #[test]
    fn crops_are_cut_padded_and_mirrored() {
        let Some(stored) = stored() else { return eprintln!("skipped: no device but the host") };
        for (crop, expected) in [
            (PLAIN, [1, 2, 3, 4, 5, 6]),
            (Crop { flip: true, ..PLAIN }, [3, 2, 1, 6, 5, 4]),
            (Crop { image: 1, ..PLAIN }, [7, 8, 9, 10, 11, 255]),
            (Crop { row: 0, column: 0, ..PLAIN }, [0, 0, 0, 0, 1, 2]),
            (Crop { row: 2, column: 2, ..PLAIN }, [5, 6, 0, 0, 0, 0]),
            (Crop { row: 2, column: 2, flip: true, image: 1 }, [0, 255, 11, 0, 0, 0]),
        ] {
            let found = stored.crops(&[crop, PLAIN], 1).unwrap();
            assert_eq!(found.shape(), [2, 1, 2, 3]);
            let expected = [expected, [1, 2, 3, 4, 5, 6]].concat();
            let expected: Vec<f32> = expected.iter().map(|&byte| byte as f32 / 255.0).collect();
            assert_eq!(found.host()[..], expected[..], "{crop:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let Some(stored) = stored() else { return eprintln!("skipped: no device but the host") };
        for crop in [Crop { image: 2, ..PLAIN }, Crop { row: 3, ..PLAIN }] {
            assert!(stored.crops(&[crop], 1).unwrap_err().to_string().contains("accepted is 0 to"));
        }
        assert!(StoredImages::bring([2, 1, 2, 3], &[0; 11]).is_err());
    }
}
