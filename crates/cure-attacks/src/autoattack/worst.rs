//! What the members of an AutoAttack leave behind, sample by sample.

use cure_tensor::Tensor;

use super::AutoAttackOptions;
use crate::adversarial::{Adversarial, MemberTally};
use crate::epsilon::Norm;
use crate::error::Result;

/// The worst that members did to each sample of a batch.
pub(super) struct Worst {
    norm: Norm,
    /// Of each sample.
    radii: Vec<f64>,
    length: usize,
    clean: Vec<f32>,
    images: Vec<f32>,
    loss: Vec<f64>,
    pub(super) solved_by: Vec<Option<usize>>,
    zero_gradient: Vec<bool>,
    non_finite_gradient: Vec<bool>,
    non_finite_logits: Vec<bool>,
    decided: Vec<bool>,
    /// One for each member so far.
    pub(super) tallies: Vec<MemberTally>,
}

impl Worst {
    pub(super) fn new(images: &Tensor, options: &AutoAttackOptions, count: usize) -> Self {
        let clean = images.host().into_owned();
        let region = options.region.as_ref();
        let radius_of =
            |row: usize| region.and_then(|region| region.radius(row)).unwrap_or(options.epsilon);
        Self {
            norm: options.norm,
            // Rounding of single-precision pixels at the border of the ball.
            radii: (0..count).map(|row| radius_of(row).value() * (1.0 + 1e-6)).collect(),
            length: clean.len() / count.max(1),
            images: clean.clone(),
            clean,
            loss: vec![f64::NAN; count],
            solved_by: vec![None; count],
            zero_gradient: vec![false; count],
            non_finite_gradient: vec![false; count],
            non_finite_logits: vec![false; count],
            decided: vec![false; count],
            tallies: Vec::new(),
        }
    }

    /// Takes over what the member at `position` did to `rows`; `decides` says whether it counts that
    /// it had something to follow.
    pub(super) fn add(
        &mut self,
        position: usize,
        rows: &[usize],
        found: &Adversarial,
        confirmed: &[bool],
        decides: bool,
    ) {
        let claims = found.solved.iter().filter(|&&solved| solved).count() as u64;
        let mut tally = MemberTally {
            attacked: rows.len(),
            solved: 0,
            forward: found.forward + claims,
            backward: found.backward,
        };
        let values = found.images.host();
        for (slot, &row) in rows.iter().enumerate() {
            self.zero_gradient[row] |= found.zero_gradient[slot];
            self.non_finite_gradient[row] |= found.non_finite_gradient[slot];
            self.non_finite_logits[row] |= found.non_finite_logits[slot];
            self.decided[row] |= decides && !found.undecided[slot];
            let image = &values[slot * self.length..(slot + 1) * self.length];
            let range = row * self.length..(row + 1) * self.length;
            let changes = image.iter().zip(&self.clean[range.clone()]);
            let norm = self.norm.of(changes.map(|(&a, &b)| f64::from(a) - f64::from(b)));
            // A minimal-norm attack may have succeeded further away.
            let is_within = norm <= self.radii[row];
            if is_within && confirmed[slot] {
                self.solved_by[row] = Some(position);
                tally.solved += 1;
            }
            if is_within && (confirmed[slot] || position == 0) {
                self.images[range].copy_from_slice(image);
                self.loss[row] = found.best_loss[slot];
            }
        }
        self.tallies.push(tally);
    }

    pub(super) fn finish(self, shape: &[usize]) -> Result<Adversarial> {
        let solved: Vec<bool> = self.solved_by.iter().map(Option::is_some).collect();
        let undecided = solved.iter().zip(&self.decided).map(|(s, d)| !s && !d).collect();
        Ok(Adversarial {
            images: Tensor::new(shape, self.images)?,
            undecided,
            solved,
            best_loss: self.loss,
            targets: None,
            zero_gradient: self.zero_gradient,
            non_finite_gradient: self.non_finite_gradient,
            non_finite_logits: self.non_finite_logits,
            forward: self.tallies.iter().map(|tally| tally.forward).sum(),
            backward: self.tallies.iter().map(|tally| tally.backward).sum(),
            late_gain: None,
            solved_by: Some(self.solved_by),
            members: self.tallies,
        })
    }
}
