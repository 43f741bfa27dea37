use cure_tensor::{Tensor, ops};

use crate::attack::AttackSpec;
use crate::check;
use crate::error::{AttackError, Result};
use crate::region::Region;

/// The images of an evaluation, with their labels and their places in the dataset.
#[derive(Clone, Debug)]
pub struct EvaluationSet {
    images: Tensor,
    labels: Vec<usize>,
    indices: Vec<usize>,
    region: Option<Region>,
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
        Ok(Self { images: check::pixels(&images)?, labels, indices, region: None })
    }

    /// The same images, which every attack may only perturb in `region`: some of their pixels, or each
    /// within a radius of its own.
    ///
    /// # Errors
    /// If the region is not one of these images.
    pub fn within(self, region: Region) -> Result<Self> {
        region.check(self.dimension(), self.len())?;
        Ok(Self { region: Some(region), ..self })
    }

    /// `attack`, kept to the region of this set.
    ///
    /// # Errors
    /// If it cannot be kept to one, or a radius is too long for its norm.
    pub fn confine(&self, attack: &AttackSpec) -> Result<AttackSpec> {
        let Some(region) = &self.region else { return Ok(attack.clone()) };
        region.check_radii(attack.norm(), self.dimension())?;
        attack.within(region.clone())
    }

    /// The images at `rows`, in that order.
    ///
    /// # Errors
    /// If there is no row.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self> {
        let pick = |values: &[usize]| rows.iter().map(|&row| values[row]).collect();
        let images = ops::select(&self.images, rows)?;
        let region = self.region.as_ref().map(|region| region.select(rows, self.dimension()));
        Ok(Self { region, ..Self::new(images, pick(&self.labels), pick(&self.indices))? })
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

    /// Where the images may be perturbed; none: in all pixels, within the attack's ε.
    pub fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// C·H·W.
    fn dimension(&self) -> usize {
        self.images.len() / self.len()
    }

    /// The number of images, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }
}
