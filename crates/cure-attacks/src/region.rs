//! Where in its ball an image may be perturbed.

use cure_tensor::Tensor;

use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};

/// What an attack may touch besides what norm and ε say: some pixels only, or a radius of its own
/// for each sample. Specifications have no word for it, so two that differ in it alone are written
/// the same. Attacks on a whole set take theirs from
/// [`EvaluationSet::within`](crate::EvaluationSet::within).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// For each of the C·H·W values of an image whether it may change: once for all samples, or
    /// for each sample, one after the other. None: all may.
    pub mask: Option<Vec<bool>>,
    /// For each sample its own ε in pixels. The options' ε is then only what the step is a share
    /// of: a sample's steps are as much longer as its radius. A minimal-norm attack is judged at
    /// it. None: ε for all.
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

    /// What it is for the samples `rows`, of `length` values each.
    pub(crate) fn select(&self, rows: &[usize], length: usize) -> Self {
        let pick = |radii: &Vec<Epsilon>| rows.iter().map(|&row| radii[row]).collect();
        let mask = self.mask.as_ref().map(|mask| match mask.len() == length {
            true => mask.clone(),
            false => {
                rows.iter().flat_map(|&row| &mask[row * length..][..length]).copied().collect()
            }
        });
        Self { mask, radii: self.radii.as_ref().map(pick) }
    }

    /// The radius of the sample `row`, if it has its own.
    pub(crate) fn radius(&self, row: usize) -> Option<Epsilon> {
        self.radii.as_ref().map(|radii| radii[row])
    }

    /// Which of the `length` values of the sample `row` may change; none if all may.
    pub(crate) fn mask(&self, row: usize, length: usize) -> Option<&[bool]> {
        let mask = self.mask.as_deref()?;
        Some(if mask.len() == length { mask } else { &mask[row * length..][..length] })
    }

    /// Whether it can be one of so many images of `dimension` = C·H·W pixels.
    pub(crate) fn check(&self, dimension: usize, images: usize) -> Result<()> {
        let refuse = |value: String, reason: String| Err(AttackError::Region { value, reason });
        if let Some(mask) = &self.mask {
            let value = || format!("a mask of {} pixels", mask.len());
            if mask.len() != dimension && mask.len() != dimension * images {
                let reason =
                    format!("an image has {dimension}; mark each of them, for one or {images}");
                return refuse(value(), reason);
            }
            let is_empty = |mask: &[bool]| !mask.contains(&true);
            if let Some(image) = mask.chunks_exact(dimension.max(1)).position(is_empty) {
                let of = if mask.len() == dimension { "" } else { &format!(" of image {image}") };
                let reason = format!("it marks none{of}; mark those that may change");
                return refuse(value(), reason);
            }
        }
        match &self.radii {
            Some(radii) if radii.len() != images => {
                Err(AttackError::Count { what: "radii", count: radii.len(), images })
            }
            _ => Ok(()),
        }
    }

    /// Whether no radius is too long for images of `dimension` pixels.
    pub(crate) fn check_radii(&self, norm: Norm, dimension: usize) -> Result<()> {
        let mut radii = self.radii.iter().flatten();
        radii.try_for_each(|radius| radius.check_within("a radius", norm, Some(dimension)))
    }

    /// Puts the pixels of `clean`, the whole batch, where `values`, of the samples `rows`, may not
    /// differ from it.
    pub(crate) fn fix(&self, rows: &[usize], clean: &[f32], values: &mut [f32]) {
        let length = values.len() / rows.len().max(1);
        for (&row, point) in rows.iter().zip(values.chunks_exact_mut(length.max(1))) {
            let Some(mask) = self.mask(row, length) else { return };
            let pixels = point.iter_mut().zip(&clean[row * length..]).zip(mask);
            pixels.filter(|(_, free)| !**free).for_each(|((pixel, &clean), _)| *pixel = clean);
        }
    }
}

/// Zeros where nothing may change.
pub(crate) fn keep_free<T: Default>(mask: Option<&[bool]>, values: &mut [T]) {
    let Some(mask) = mask else { return };
    // Not a product: what is not finite there is nobody's concern.
    let fixed = values.iter_mut().zip(mask).filter(|(_, free)| !**free);
    fixed.for_each(|(value, _)| *value = T::default());
}

/// Gradients of the samples `rows` with zeros where nothing may change.
pub(crate) fn restrict(
    region: Option<&Region>,
    rows: &[usize],
    gradients: Tensor,
) -> Result<Tensor> {
    let Some(region) = region.filter(|region| region.mask.is_some()) else { return Ok(gradients) };
    let shape = gradients.shape().to_vec();
    let mut values = gradients.into_vec();
    let length = values.len() / rows.len().max(1);
    for (&row, gradient) in rows.iter().zip(values.chunks_exact_mut(length.max(1))) {
        keep_free(region.mask(row, length), gradient);
    }
    Ok(Tensor::new(&shape, values)?)
}
