use cure_tensor::Tensor;
use rayon::prelude::*;

use crate::augment::{Augmentation, Placement};
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
        let still = Placement { row: 0, column: 0, flip: false };
        self.assemble(positions, 0, |_| still)
    }

    /// As [`Dataset::batch`], each sample augmented as a function of `seed`, `epoch` and its
    /// index alone.
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
        self.assemble(positions, padding, |index| augmentation.placement(seed, epoch, index))
    }

    fn assemble(
        &self,
        positions: &[usize],
        padding: usize,
        placement: impl Fn(usize) -> Placement + Sync,
    ) -> Result<Batch> {
        self.check_positions(positions)?;
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
                    Pixels::Bytes(pixels) => place.copy(
                        &pixels[start..start + features],
                        image,
                        [height, width],
                        padding,
                        |byte| f32::from(byte) / 255.0,
                    ),
                    Pixels::Floats(pixels) => place.copy(
                        &pixels[start..start + features],
                        image,
                        [height, width],
                        padding,
                        |pixel| pixel,
                    ),
                }
            });
        Ok(Batch {
            images: Tensor::new(&[positions.len(), channels, height, width], values)?,
            labels: positions.iter().map(|&position| self.labels[position]).collect(),
            indices: positions.iter().map(|&position| self.indices[position]).collect(),
        })
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
