//! Where in its ball an image may be perturbed.

use cure_tensor::{Tensor, ops};

use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};

/// What an attack may touch besides what norm and ε say: some pixels only, or a radius of its own
/// for each sample. For programs; specifications have no word for it, so two that differ in it
/// alone are written the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// For each of the C·H·W values of an image whether it may change, the same for the whole
    /// batch. None: all may.
    pub mask: Option<Vec<bool>>,
    /// For each sample of the batch its own ε in pixels. The options' ε is then only what the step
    /// is a share of: a sample's steps are as much longer as its radius. None: ε for all.
    /// [`evaluate`](fn@crate::evaluate) attacks batches of its own making and judges them at one
    /// ε: call the attack's function instead.
    pub radii: Option<Vec<Epsilon>>,
}

impl Region {
    /// Only the values marked in `mask`.
    pub fn of_pixels(mask: Vec<bool>) -> Self {
        Self { mask: Some(mask), radii: None }
    }

    /// A radius for each sample of the batch.
    pub fn of_radii(radii: Vec<Epsilon>) -> Self {
        Self { mask: None, radii: Some(radii) }
    }

    /// Whether it can be one of images of `dimension` = C·H·W pixels.
    pub(crate) fn check(
        &self,
        attack: &'static str,
        norm: Norm,
        dimension: Option<usize>,
    ) -> Result<()> {
        let refuse = |value: String, reason: String| {
            Err(AttackError::Parameter { attack, parameter: "region", value, reason })
        };
        if let Some(mask) = &self.mask {
            let value = || format!("a mask of {} pixels", mask.len());
            match dimension {
                Some(dimension) if dimension != mask.len() => {
                    return refuse(value(), format!("an image has {dimension}; mark each of them"));
                }
                _ if !mask.contains(&true) => {
                    return refuse(value(), "it marks none; mark those that may change".into());
                }
                _ => {}
            }
        }
        let mut radii = self.radii.iter().flatten();
        radii.try_for_each(|radius| radius.check_within("a radius", norm, dimension))
    }

    /// Whether there is a radius for each of so many images.
    pub(crate) fn check_count(&self, images: usize) -> Result<()> {
        match &self.radii {
            Some(radii) if radii.len() != images => {
                Err(AttackError::Count { what: "radii", count: radii.len(), images })
            }
            _ => Ok(()),
        }
    }

    /// Gradients with zeros where nothing may change: `[rows, C, H, W]`.
    pub(crate) fn restrict(&self, gradients: Tensor) -> Result<Tensor> {
        let Some(mask) = &self.mask else { return Ok(gradients) };
        let rows = gradients.shape().first().copied().unwrap_or(0);
        let kept = mask.iter().map(|&free| f32::from(u8::from(free)));
        let kept = Tensor::new(gradients.shape(), kept.collect::<Vec<f32>>().repeat(rows))?;
        // Not a product: what is not finite there is nobody's concern.
        let select = |gradient, kept| if kept > 0.0 { gradient } else { 0.0 };
        Ok(ops::zip_map(&gradients, &kept, select)?)
    }
}
