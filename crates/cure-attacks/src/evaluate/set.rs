use cure_tensor::{Tensor, ops};

use crate::check;
use crate::error::{AttackError, Result};

/// The images of an evaluation, with their labels and their places in the dataset.
#[derive(Clone, Debug)]
pub struct EvaluationSet {
    images: Tensor,
    labels: Vec<usize>,
    indices: Vec<usize>,
}

impl EvaluationSet {
    /// A set of `N` images.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]`, pixels in [0, 1] (rounding noise up to 1e-6 outside is clipped);
    /// `labels`: `N` classes; `indices`: for each image its position in its split as stored,
    /// which decides its random numbers.
    ///
    /// # Errors
    /// If there is no image, a pixel is outside [0, 1], or the numbers differ.
    pub fn new(images: Tensor, labels: Vec<usize>, indices: Vec<usize>) -> Result<Self> {
        let count = images.shape().first().copied().unwrap_or(0);
        if images.is_empty() {
            return Err(AttackError::Empty);
        }
        for (what, found) in [("labels", labels.len()), ("indices", indices.len())] {
            if found != count {
                return Err(AttackError::Count { what, count: found, images: count });
            }
        }
        Ok(Self { images: check::pixels(&images)?, labels, indices })
    }

    /// The images at `rows`, in that order.
    ///
    /// # Errors
    /// If there is no row.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self> {
        let pick = |values: &[usize]| rows.iter().map(|&row| values[row]).collect();
        let images = ops::select(&self.images, rows)?;
        Self::new(images, pick(&self.labels), pick(&self.indices))
    }

    /// `[N, C, H, W]`.
    pub fn images(&self) -> &Tensor {
        &self.images
    }

    /// The class of each image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The place of each image in its split as stored.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The number of images, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }
}
