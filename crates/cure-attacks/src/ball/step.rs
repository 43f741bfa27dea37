//! Steps up a loss that end in the ball.

use cure_tensor::{Tensor, ops};

use super::{Ball, inverse};
use crate::epsilon::Norm;
use crate::error::Result;

impl Ball<'_> {
    /// Each point moved by what `change` says of its row, then back into ball and box.
    ///
    /// # Shapes
    /// `points`: `[rows, C, H, W]`; a change is C·H·W long.
    pub(crate) fn shift<'b>(
        &self,
        rows: &[usize],
        points: &Tensor,
        change: impl Fn(usize) -> &'b [f64] + Sync,
    ) -> Result<Tensor> {
        let from = points.host();
        let values = self.place(rows, |slot, center, perturbation| {
            let from = &from[slot * self.length..(slot + 1) * self.length];
            let places = perturbation.iter_mut().zip(from).zip(center).zip(change(rows[slot]));
            for (((value, &from), &center), change) in places {
                *value = f64::from(from) - f64::from(center) + change;
            }
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// One step of length `step` from each `point` up its loss, then back into ball and box:
    /// along sign(g) in ℓ∞ (sign(0) = 0), along g/‖g‖ in ℓ2 and ℓ1.
    ///
    /// # Shapes
    /// `points`, `centers`, which are those of `rows`, and `gradients`: `[rows, C, H, W]`; gradients finite and not zero.
    pub(crate) fn step(
        &self,
        rows: &[usize],
        [points, centers, gradients]: [&Tensor; 3],
        step: f64,
    ) -> Result<Tensor> {
        if self.norm == Norm::Linf && self.region.is_none() {
            // The same arithmetic, where the tensors are: a device has no need of the host.
            return Ok(ops::sign_step(points, centers, gradients, step, self.epsilon)?);
        }
        let (from, gradients) = (points.host(), gradients.host());
        let values = self.place(rows, |slot, center, perturbation| {
            let range = slot * self.length..(slot + 1) * self.length;
            let (from, gradient) = (&from[range.clone()], &gradients[range]);
            // A sample's own radius takes its step along.
            let step = step * (self.radius(rows[slot]) / self.epsilon);
            self.ascend([from, center, gradient], step, perturbation);
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// APGD's step: with z the end of a step of length `steps[slot]` as in [`Ball::step`], to
    /// x + share·(z − x) + (1 − share)·(x − before), then back into ball and box. Where the gradient
    /// is zero only the second part moves.
    ///
    /// # Shapes
    /// `points`, `before`, `gradients`: `[rows, C, H, W]`, finite.
    pub(crate) fn momentum_step(
        &self,
        rows: &[usize],
        [points, before, gradients]: [&Tensor; 3],
        steps: &[f64],
        share: f64,
    ) -> Result<Tensor> {
        let (from, before, gradients) = (points.host(), before.host(), gradients.host());
        let values = self.place(rows, |slot, center, perturbation| {
            let range = slot * self.length..(slot + 1) * self.length;
            let (from, before) = (&from[range.clone()], &before[range.clone()]);
            self.ascend([from, center, &gradients[range]], steps[slot], perturbation);
            self.of_row(rows[slot]).shorten(perturbation);
            for (i, value) in perturbation.iter_mut().enumerate() {
                let [center, x, before] = [center[i], from[i], before[i]].map(f64::from);
                let z = (center + *value).clamp(0.0, 1.0);
                *value = x - center + share * (z - x) + (1.0 - share) * (x - before);
            }
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// The perturbation a step further up, not cut yet. A zero gradient leaves it where it is.
    fn ascend(&self, [from, center, gradient]: [&[f32]; 3], step: f64, perturbation: &mut [f64]) {
        let unit = match self.norm {
            Norm::Linf => 1.0,
            norm => inverse(norm.of(gradient.iter().map(|&g| f64::from(g)))),
        };
        for (i, value) in perturbation.iter_mut().enumerate() {
            let direction = match self.norm {
                Norm::Linf => sign(gradient[i]),
                Norm::L2 | Norm::L1 => unit * f64::from(gradient[i]),
            };
            *value = f64::from(from[i]) - f64::from(center[i]) + step * direction;
        }
    }
}

fn sign(value: f32) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}
