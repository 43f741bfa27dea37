use cure_tensor::{OutOfMemory, Placement, StoredImages, Tensor};
use rayon::prelude::*;

use crate::augment::{Augmentation, copy_placed};
use crate::{DataError, Dataset, Pixels, Result};

/// Fewest values one parallel task fills when a batch is assembled.
const VALUES_PER_TASK: usize = 1 << 14;

/// Some samples of a dataset, ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[N, C, H, W]`, pixels in [0, 1].
    pub images: Tensor,
    /// The class of each sample.
    pub labels: Vec<usize>,
    /// The position of each sample in the split as stored.
    pub indices: Vec<usize>,
}

impl Dataset {
    /// The samples at `positions` (of this dataset, counted from 0), in that order.
    ///
    /// # Errors
    /// A position that is not below [`Dataset::len`], or no position.
    pub fn batch(&self, positions: &[usize]) -> Result<Batch> {
        self.check_positions(positions)?;
        let still = Placement { row: 0, column: 0, flip: false };
        self.assemble(positions, 0, |_| still)
    }

    /// As [`Dataset::batch`], each sample augmented as a function of `seed`, `epoch` and its
    /// index alone. On a device of libtorch all 8-bit images of the source are brought there once, where there is room for them,
    /// and cut there.
    ///
    /// # Errors
    /// As [`Dataset::batch`], and a crop padding larger than the images.
    pub fn augmented_batch(
        &self,
        positions: &[usize],
        augmentation: &Augmentation,
        seed: u64,
        epoch: u64,
    ) -> Result<Batch> {
        let [_, height, width] = self.shape();
        let padding = augmentation.crop_padding;
        if padding > height.min(width) {
            let accepted = format!("0 to {}, the images' smaller side", height.min(width));
            return Err(DataError::argument("crop padding", padding, accepted));
        }
        let placement = |index| augmentation.placement(seed, epoch, index);
        self.check_positions(positions)?;
        if let Some(stored) = self.on_device()? {
            let crop = |&position: &usize| (self.rows[position], placement(self.indices[position]));
            let crops: Vec<(usize, Placement)> = positions.iter().map(crop).collect();
            match stored.crops(&crops, padding) {
                // The host's way needs less, and whoever has no memory for the batch itself says so.
                Err(error) if error.is_out_of_memory() => {}
                images => return Ok(self.labelled(images?, positions)),
            }
        }
        self.assemble(positions, padding, placement)
    }

    /// The pixels of all samples of the source on the device; none where batches are cut on the host.
    fn on_device(&self) -> Result<Option<&StoredImages>> {
        let (origin, on_device) = (&self.origin, &self.origin.on_device);
        if on_device.get().is_none() {
            let [channels, height, width] = origin.shape;
            let stored = match &origin.pixels {
                Pixels::Bytes(pixels) => {
                    let samples = pixels.len() / (channels * height * width);
                    StoredImages::bring([samples, channels, height, width], pixels)?
                }
                Pixels::Floats(_) => None,
            };
            // Somebody else's may have come first: it holds the same.
            let _ = on_device.set(stored);
        }
        Ok(on_device.get().and_then(Option::as_ref))
    }

    fn assemble(
        &self,
        positions: &[usize],
        padding: usize,
        placement: impl Fn(usize) -> Placement + Sync,
    ) -> Result<Batch> {
        let [channels, height, width] = self.shape();
        let features = channels * height * width;
        let mut values = vec![0.0; positions.len() * features];
        let samples_per_task = VALUES_PER_TASK.div_ceil(features);
        values
            .par_chunks_exact_mut(features)
            .zip(positions)
            .with_min_len(samples_per_task)
            .for_each(|(image, &position)| {
                let start = self.rows[position] * features;
                let place = placement(self.indices[position]);
                match &self.origin.pixels {
                    Pixels::Bytes(pixels) => copy_placed(
                        place,
                        &pixels[start..start + features],
                        image,
                        [height, width],
                        padding,
                        |byte| f32::from(byte) / 255.0,
                    ),
                    Pixels::Floats(pixels) => copy_placed(
                        place,
                        &pixels[start..start + features],
                        image,
                        [height, width],
                        padding,
                        |pixel| pixel,
                    ),
                }
            });
        let images = Tensor::new(&[positions.len(), channels, height, width], values)?;
        Ok(self.labelled(images, positions))
    }

    fn labelled(&self, images: Tensor, positions: &[usize]) -> Batch {
        Batch {
            images,
            labels: positions.iter().map(|&position| self.labels[position]).collect(),
            indices: positions.iter().map(|&position| self.indices[position]).collect(),
        }
    }

    pub(crate) fn check_positions(&self, positions: &[usize]) -> Result<()> {
        if positions.is_empty() {
            return Err(DataError::Empty { what: format!("a selection from `{}`", self.name()) });
        }
        match positions.iter().find(|&&position| position >= self.len()) {
            Some(position) => Err(DataError::argument(
                "sample position",
                position,
                format!("0 to {}", self.len().saturating_sub(1)),
            )),
            None => Ok(()),
        }
    }
}
