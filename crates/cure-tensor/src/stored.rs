//! 8-bit images in the memory of a device, from which batches are cut there.

use crate::Result;
#[cfg(feature = "libtorch")]
use crate::TensorError;

/// A crop of a padded image, and whether it is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// First row of the crop in the padded image, 0 to twice the padding.
    pub row: usize,
    /// First column of the crop in the padded image, 0 to twice the padding.
    pub column: usize,
    /// Whether the crop is then mirrored left to right.
    pub flip: bool,
}

/// 8-bit images on the device. A batch of crops of them costs the host a few numbers for each image instead of its
/// pixels.
#[derive(Debug)]
pub struct StoredImages {
    #[cfg(feature = "libtorch")]
    images: crate::torch::DeviceImages,
    #[cfg(not(feature = "libtorch"))]
    never: std::convert::Infallible,
}

impl StoredImages {
    /// More bytes stay with the host: a small GPU needs its memory for activations.
    pub const MAX_BYTES: usize = 512 << 20;

    /// `bytes` brought to the device, `[N, C, H, W]`. None on the CPU's own engine, to which the host's memory is as
    /// near, and where there are more than [`StoredImages::MAX_BYTES`] or the device has no memory for them.
    ///
    /// # Errors
    /// If the device fails.
    pub fn bring(shape: [usize; 4], bytes: &[u8]) -> Result<Option<Self>> {
        #[cfg(feature = "libtorch")]
        if crate::torch::is_chosen() && bytes.len() <= Self::MAX_BYTES {
            let product = shape.iter().try_fold(1, |size: usize, &side| size.checked_mul(side));
            if product != Some(bytes.len()) {
                return Err(TensorError::DataLength { shape: shape.to_vec(), len: bytes.len() });
            }
            return match crate::torch::DeviceImages::bring(shape, bytes) {
                Ok(images) => Ok(Some(Self { images })),
                Err(TensorError::OutOfMemory { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let _ = (shape, bytes);
        Ok(None)
    }

    /// Crops of some images, each of the images' size, as `[N, C, H, W]` in [0, 1]; what they take of the `padding`
    /// around the images is black. The values are those of `f32::from(byte) / 255.0`, on every device. An error that an
    /// earlier operation left for [`failure`](crate::failure) stays there: this may run beside a step.
    ///
    /// # Errors
    /// [`TensorError::Argument`](crate::TensorError::Argument) for an image that is not there, padding beyond the
    /// images' smaller side or a crop that leaves the padded image; if the device fails.
    #[cfg(feature = "libtorch")]
    pub fn crops(&self, crops: &[(usize, Placement)], padding: usize) -> Result<crate::Tensor> {
        let refuse = |argument, value: usize, most: usize| {
            let (operation, accepted) = ("crops", format!("0 to {most}"));
            Err(TensorError::Argument { operation, argument, value: value.to_string(), accepted })
        };
        let [images, _, height, width] = self.images.shape();
        if padding > height.min(width) {
            return refuse("the padding", padding, height.min(width));
        }
        for &(image, Placement { row, column, .. }) in crops {
            for (argument, value, most) in [
                ("an image", image, images.saturating_sub(1)),
                ("a first row", row, 2 * padding),
                ("a first column", column, 2 * padding),
            ] {
                if value > most {
                    return refuse(argument, value, most);
                }
            }
        }
        self.images.crops(crops, padding)
    }

    /// As with libtorch: without it there is no [`StoredImages`].
    #[cfg(not(feature = "libtorch"))]
    pub fn crops(&self, _: &[(usize, Placement)], _: usize) -> Result<crate::Tensor> {
        match self.never {}
    }
}

#[cfg(all(test, feature = "libtorch"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PLAIN: Placement = Placement { row: 1, column: 1, flip: false };

    /// Two images of 1×2×3, `1 2 3 / 4 5 6` and `7 8 9 / 10 11 255`.
    fn stored() -> Option<StoredImages> {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255];
        let found = StoredImages::bring([2, 1, 2, 3], &bytes).unwrap();
        assert_eq!(found.is_some(), crate::device().is_torch());
        found
    }

    #[test]
    fn crops_are_cut_padded_and_mirrored() {
        let Some(stored) = stored() else { return eprintln!("skipped: no device but the host") };
        for (image, place, expected) in [
            (0, PLAIN, [1, 2, 3, 4, 5, 6]),
            (0, Placement { flip: true, ..PLAIN }, [3, 2, 1, 6, 5, 4]),
            (1, PLAIN, [7, 8, 9, 10, 11, 255]),
            (0, Placement { row: 0, column: 0, ..PLAIN }, [0, 0, 0, 0, 1, 2]),
            (0, Placement { row: 2, column: 2, ..PLAIN }, [5, 6, 0, 0, 0, 0]),
            (1, Placement { row: 2, column: 2, flip: true }, [0, 255, 11, 0, 0, 0]),
        ] {
            let found = stored.crops(&[(image, place), (0, PLAIN)], 1).unwrap();
            assert_eq!(found.shape(), [2, 1, 2, 3]);
            let expected = [expected, [1, 2, 3, 4, 5, 6]].concat();
            let expected: Vec<f32> = expected.iter().map(|&byte| byte as f32 / 255.0).collect();
            assert_eq!(found.host()[..], expected[..], "{image} {place:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let Some(stored) = stored() else { return eprintln!("skipped: no device but the host") };
        let low = Placement { row: 3, ..PLAIN };
        let right = Placement { column: 3, ..PLAIN };
        for (image, place, padding) in
            [(2, PLAIN, 1), (0, low, 1), (0, right, 1), (0, PLAIN, 3), (0, PLAIN, usize::MAX)]
        {
            let error = stored.crops(&[(image, place)], padding).unwrap_err().to_string();
            assert!(error.contains("accepted is 0 to"), "{error}");
        }
        assert!(StoredImages::bring([2, 1, 2, 3], &[0; 11]).is_err());
        assert!(StoredImages::bring([usize::MAX, 2, 2, 3], &[0; 12]).is_err());
    }

    /// Errors are kept for the whole process: other tests would take it.
    #[test]
    fn an_error_of_the_step_beside_it_is_left_to_the_step() {
        let name = "stored::tests::crops_beside_an_error";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    #[ignore = "run by `an_error_of_the_step_beside_it_is_left_to_the_step`, in a process of its own"]
    fn crops_beside_an_error() {
        let Some(stored) = stored() else { return eprintln!("skipped: no device but the host") };
        crate::torch::keep(TensorError::DataLength { shape: vec![7], len: 5 });
        let found = stored.crops(&[(0, PLAIN)], 1).map(|crops| crops.shape().to_vec());
        assert!(crate::failure().unwrap_err().to_string().contains("[7]"));
        assert_eq!(found, Ok(vec![1, 1, 2, 3]));
    }
}
