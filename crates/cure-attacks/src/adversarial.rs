use cure_tensor::Tensor;

use crate::check;
use crate::error::Result;
use crate::loss::Loss;

/// What an attack found for a batch, sample by sample.
#[derive(Clone, Debug)]
pub struct Adversarial {
    /// `[N, C, H, W]`: for each sample a misclassified iterate if one was met, else the iterate
    /// of highest loss; among several misclassified ones that of highest loss.
    pub images: Tensor,
    /// Whether the returned image is misclassified. Logits that are not finite count as such.
    pub solved: Vec<bool>,
    /// The cross-entropy of the returned image, in nats; infinite where its logits are not
    /// finite.
    pub best_loss: Vec<f64>,
    /// Whether the gradient was zero at some iterate.
    pub zero_gradient: Vec<bool>,
    /// Whether the gradient was NaN or infinite at some iterate.
    pub non_finite_gradient: Vec<bool>,
    /// Whether a logit was NaN or infinite at some iterate.
    pub non_finite_logits: Vec<bool>,
    /// Whether the sample is not solved and never had a gradient to follow: the attack says
    /// nothing about it.
    pub undecided: Vec<bool>,
    /// Images sent forward through the classifier.
    pub forward: u64,
    /// Images pulled back to the input.
    pub backward: u64,
}

/// Keeps the best iterate of each sample while an attack runs, and what was odd about it.
pub(crate) struct Search<'a> {
    labels: &'a [usize],
    shape: Vec<usize>,
    images: Vec<f32>,
    /// Until a sample was judged once its loss is −∞.
    loss: Vec<f64>,
    solved: Vec<bool>,
    zero_gradient: Vec<bool>,
    non_finite_gradient: Vec<bool>,
    non_finite_logits: Vec<bool>,
    had_direction: Vec<bool>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(images: &Tensor, labels: &'a [usize]) -> Self {
        let n = labels.len();
        Self {
            labels,
            shape: images.shape().to_vec(),
            images: images.host().into_owned(),
            loss: vec![f64::NEG_INFINITY; n],
            solved: vec![false; n],
            zero_gradient: vec![false; n],
            non_finite_gradient: vec![false; n],
            non_finite_logits: vec![false; n],
            had_direction: vec![false; n],
        }
    }

    /// Whether a misclassified iterate of the batch's sample `row` is known.
    pub(crate) fn is_solved(&self, row: usize) -> bool {
        self.solved[row]
    }

    /// Judges iterates of the samples `rows`; gives the seed of their gradients, ∂loss/∂logits.
    pub(crate) fn judge(
        &mut self,
        rows: &[usize],
        points: &Tensor,
        logits: &Tensor,
        loss: Loss,
    ) -> Result<Tensor> {
        let labels: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
        let (losses, seed) = loss.evaluate(logits, &labels)?;
        let values = points.host();
        let length = values.len() / rows.len().max(1);
        for (slot, (&row, prediction)) in rows.iter().zip(check::predictions(logits)).enumerate() {
            let finite = prediction.is_some();
            self.non_finite_logits[row] |= !finite;
            let solved = prediction != Some(labels[slot]);
            let loss = if finite { losses[slot] } else { f64::INFINITY };
            if (solved, loss) > (self.solved[row], self.loss[row]) {
                (self.solved[row], self.loss[row]) = (solved, loss);
                self.images[row * length..(row + 1) * length]
                    .copy_from_slice(&values[slot * length..(slot + 1) * length]);
            }
        }
        Ok(seed)
    }

    /// Notes the gradients of the samples `rows`; tells which of them point somewhere. (One that
    /// does not leaves its iterate where it is, for good.)
    pub(crate) fn note_gradients(&mut self, rows: &[usize], gradients: &Tensor) -> Vec<bool> {
        let values = gradients.host();
        let length = values.len() / rows.len().max(1);
        let note = |(slot, &row): (usize, &usize)| {
            let gradient = &values[slot * length..(slot + 1) * length];
            let finite = gradient.iter().all(|value| value.is_finite());
            let zero = gradient.iter().all(|&value| value == 0.0);
            self.non_finite_gradient[row] |= !finite;
            self.zero_gradient[row] |= zero;
            self.had_direction[row] |= finite && !zero;
            finite && !zero
        };
        rows.iter().enumerate().map(note).collect()
    }

    pub(crate) fn finish(self, forward: u64, backward: u64) -> Result<Adversarial> {
        let undecided = self.solved.iter().zip(&self.had_direction);
        Ok(Adversarial {
            images: Tensor::new(&self.shape, self.images)?,
            undecided: undecided.map(|(solved, directed)| !solved && !directed).collect(),
            solved: self.solved,
            best_loss: self.loss,
            zero_gradient: self.zero_gradient,
            non_finite_gradient: self.non_finite_gradient,
            non_finite_logits: self.non_finite_logits,
            forward,
            backward,
        })
    }
}
