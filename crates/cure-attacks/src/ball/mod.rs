//! The ε-ball around a clean image, inside the box [0, 1]ᵈ.

mod cut;
mod start;
mod step;

use cure_tensor::Tensor;
use rayon::prelude::*;

use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::region::{Region, keep_free};

pub(crate) use start::direction;

/// All perturbations of norm at most ε of the images of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Ball<'a> {
    pub(crate) norm: Norm,
    pub(crate) epsilon: f64,
    /// The clean images, one after the other.
    pub(crate) centers: &'a [f32],
    /// Pixels of an image, all channels.
    pub(crate) length: usize,
    /// What may change; all of it if there is none.
    pub(crate) region: Option<&'a Region>,
}

impl<'a> Ball<'a> {
    /// Of radius ε around `count` images; of it the part that lies in `region`.
    pub(crate) fn new(
        norm: Norm,
        epsilon: Epsilon,
        centers: &'a [f32],
        count: usize,
        region: Option<&'a Region>,
    ) -> Self {
        let length = centers.len() / count.max(1);
        Self { norm, epsilon: epsilon.value(), centers, length, region }
    }

    /// The radius of one sample: its own, or ε.
    pub(crate) fn radius(&self, row: usize) -> f64 {
        let own = self.region.and_then(|region| region.radius(row));
        own.map_or(self.epsilon, Epsilon::value)
    }

    /// Which pixels of one sample may change; none if all may.
    pub(crate) fn mask(&self, row: usize) -> Option<&'a [bool]> {
        self.region.and_then(|region| region.mask(row, self.length))
    }

    /// The ball of one sample.
    fn of_row(&self, row: usize) -> Self {
        Self { epsilon: self.radius(row), ..*self }
    }

    /// Whether `point` is within ε of the centre of `row`.
    pub(crate) fn contains(&self, row: usize, point: &[f32]) -> bool {
        let center = &self.centers[row * self.length..][..self.length];
        let changes = point.iter().zip(center).map(|(&a, &b)| f64::from(a) - f64::from(b));
        self.norm.of(changes) <= self.radius(row)
    }

    /// For each row the perturbation that `perturb(slot, center, perturbation)` asks for, cut to
    /// the ball, added to the centre and cut to the box.
    pub(crate) fn place(
        &self,
        rows: &[usize],
        perturb: impl Fn(usize, &[f32], &mut [f64]) + Sync,
    ) -> Vec<f32> {
        let mut output = vec![0.0; rows.len() * self.length];
        let slots = output.par_chunks_exact_mut(self.length.max(1)).enumerate();
        slots.for_each_init(
            || vec![0.0; self.length],
            |perturbation, (slot, out)| {
                let center = &self.centers[rows[slot] * self.length..][..self.length];
                perturb(slot, center, perturbation);
                keep_free(self.mask(rows[slot]), perturbation);
                let ball = self.of_row(rows[slot]);
                ball.shorten(perturbation);
                ball.add(center, perturbation, out);
            },
        );
        output
    }
}

/// As many images of a batch of shape `images` as there are rows.
pub(crate) fn some_of(images: &[usize], values: Vec<f32>, rows: usize) -> Result<Tensor> {
    let mut shape = images.to_vec();
    shape[..1].fill(rows);
    Ok(Tensor::new(&shape, values)?)
}

/// 1/length, and 0 of nothing.
pub(crate) fn inverse(length: f64) -> f64 {
    if length > 0.0 { 1.0 / length } else { 0.0 }
}
