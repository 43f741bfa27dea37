use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::epsilon::Norm;
use crate::error::Result;
use crate::loss::Loss;
use crate::target::Target;

/// What an attack found for a batch, sample by sample.
#[derive(Clone, Debug)]
pub struct Adversarial {
    /// `[N, C, H, W]`. A budget attack: for each sample a misclassified iterate if one was met, else
    /// the iterate of highest loss; among several misclassified ones that of highest loss. A
    /// minimal-norm attack: the nearest misclassified iterate if one was met, else the image itself.
    pub images: Tensor,
    /// Whether the returned image is misclassified, or, for a targeted attack, classified as its
    /// target. Logits that are not finite count as such.
    pub solved: Vec<bool>,
    /// The loss of the returned image, where the attack has one (NaN where it has none); infinite
    /// where its logits are not finite.
    pub best_loss: Vec<f64>,
    /// The classes a targeted attack aimed at.
    pub targets: Option<Vec<usize>>,
    /// Whether the gradient was zero at some iterate.
    pub zero_gradient: Vec<bool>,
    /// Whether the gradient was NaN or infinite at some iterate.
    pub non_finite_gradient: Vec<bool>,
    /// Whether a logit was NaN or infinite at some iterate.
    pub non_finite_logits: Vec<bool>,
    /// Whether the sample is not solved and never had a gradient to follow: the attack says
    /// nothing about it.
    pub undecided: Vec<bool>,
    /// How much the best loss rose over the last tenth of the steps, where the attack has such
    /// steps; NaN for samples that did not take all of them.
    pub late_gain: Option<Vec<f64>>,
    /// For an attack made of several: which of its members solved the sample, as a position in
    /// [`Attack::members`](crate::Attack::members).
    pub solved_by: Option<Vec<Option<usize>>>,
    /// For an attack made of several: what each member did. Empty for others.
    pub members: Vec<MemberTally>,
    /// Images sent forward through the classifier.
    pub forward: u64,
    /// Images pulled back to the input.
    pub backward: u64,
}

/// What one member of an attack made of several did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberTally {
    /// Samples it was run on: those that no member before it solved.
    pub attacked: usize,
    /// Those of them that it solved, by a fresh forward pass.
    pub solved: usize,
    /// Images it sent forward, the fresh pass included.
    pub forward: u64,
    /// Images it pulled back.
    pub backward: u64,
}

/// What an attack wants of each sample of a batch.
pub(crate) struct Goal<'a> {
    labels: &'a [usize],
    targets: Option<Vec<usize>>,
}

impl<'a> Goal<'a> {
    /// Any class but the label.
    pub(crate) fn away_from(labels: &'a [usize]) -> Self {
        Self { labels, targets: None }
    }

    /// The class that `target` names, by the clean images' logits.
    pub(crate) fn towards(target: Target, labels: &'a [usize], logits: &Tensor) -> Self {
        let classes = logits.shape().last().copied().unwrap_or(1).max(1);
        let rows = logits.host();
        let aims =
            rows.chunks_exact(classes).zip(labels).map(|(row, &label)| target.of(label, row));
        Self { labels, targets: Some(aims.collect()) }
    }

    /// Whether a prediction of the batch's sample `row` is what is wanted.
    pub(crate) fn is_met(&self, row: usize, prediction: Option<usize>) -> bool {
        match (&self.targets, prediction) {
            (_, None) => true,
            (None, Some(class)) => class != self.labels[row],
            (Some(targets), Some(class)) => class == targets[row],
        }
    }

    /// The loss to climb at each of `rows`, and its gradient with respect to the logits.
    fn evaluate(&self, rows: &[usize], logits: &Tensor, loss: Loss) -> Result<(Vec<f64>, Tensor)> {
        let classes = self.targets.as_deref().unwrap_or(self.labels);
        let classes: Vec<usize> = rows.iter().map(|&row| classes[row]).collect();
        let (mut losses, mut seed) = loss.evaluate(logits, &classes)?;
        if self.targets.is_some() {
            losses.iter_mut().for_each(|loss| *loss = -*loss);
            seed = ops::scale(-1.0, seed);
        }
        Ok((losses, seed))
    }
}

/// What was odd about a sample while it was attacked.
#[derive(Clone, Copy, Default)]
struct Oddities {
    zero_gradient: bool,
    non_finite_gradient: bool,
    non_finite_logits: bool,
    had_direction: bool,
}

/// Keeps the best iterate of each sample while an attack runs, and what was odd about it.
pub(crate) struct Search<'a> {
    goal: Goal<'a>,
    images: Tensor,
    /// Until a sample was judged once its loss is −∞.
    loss: Vec<f64>,
    solved: Vec<bool>,
    odd: Vec<Oddities>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(images: &Tensor, goal: Goal<'a>) -> Self {
        let n = goal.labels.len();
        Self {
            goal,
            images: images.clone(),
            loss: vec![f64::NEG_INFINITY; n],
            solved: vec![false; n],
            odd: vec![Oddities::default(); n],
        }
    }

    /// Whether an iterate of the batch's sample `row` that meets the goal is known.
    pub(crate) fn is_solved(&self, row: usize) -> bool {
        self.solved[row]
    }

    /// The highest loss known of the batch's sample `row`; of several iterates that meet the goal
    /// theirs.
    pub(crate) fn best_loss(&self, row: usize) -> f64 {
        self.loss[row]
    }

    /// The samples for which none is known: positions in the batch.
    pub(crate) fn unsolved(&self) -> Vec<usize> {
        (0..self.solved.len()).filter(|&row| !self.solved[row]).collect()
    }

    /// Judges iterates of the samples `rows`; gives the seed of their gradients, ∂loss/∂logits.
    pub(crate) fn judge(
        &mut self,
        rows: &[usize],
        points: &Tensor,
        logits: &Tensor,
        loss: Loss,
    ) -> Result<Tensor> {
        let (losses, seed) = self.goal.evaluate(rows, logits, loss)?;
        self.keep(rows, points, logits, &losses)?;
        Ok(seed)
    }

    /// Keeps those of the iterates that are better than what is known: ones that meet the goal
    /// before others, then those of higher loss.
    pub(crate) fn keep(
        &mut self,
        rows: &[usize],
        points: &Tensor,
        logits: &Tensor,
        losses: &[f64],
    ) -> Result<()> {
        // Slots of the better ones, and their rows.
        let (mut better, mut whose) = (Vec::new(), Vec::new());
        for (slot, (&row, prediction)) in rows.iter().zip(check::predictions(logits)).enumerate() {
            let finite = prediction.is_some();
            self.odd[row].non_finite_logits |= !finite;
            let solved = self.goal.is_met(row, prediction);
            let loss = if finite { losses[slot] } else { f64::INFINITY };
            if (solved, loss) > (self.solved[row], self.loss[row]) {
                (self.solved[row], self.loss[row]) = (solved, loss);
                better.push(slot);
                whose.push(row);
            }
        }
        if better.is_empty() {
            return Ok(());
        }
        // Where the images are: a device need not wait for a copy to the host.
        let points = match better.len() == rows.len() {
            true => points.clone(),
            false => ops::select(points, &better)?,
        };
        let images = std::mem::replace(&mut self.images, Tensor::zeros(&[0]));
        self.images = ops::replace_rows(images, &whose, &points)?;
        Ok(())
    }

    /// Notes the gradients of the samples `rows`; tells which of them point somewhere. (One that
    /// does not leaves its iterate where it is, for good.)
    pub(crate) fn note_gradients(
        &mut self,
        rows: &[usize],
        gradients: &Tensor,
    ) -> Result<Vec<bool>> {
        note_gradients(&mut self.odd, rows, gradients)
    }

    /// For attacks without gradients: whatever was tried says something about these samples.
    pub(crate) fn note_tried(&mut self, rows: &[usize]) {
        rows.iter().for_each(|&row| self.odd[row].had_direction = true);
    }

    /// Notes that an estimate of the gradient at the sample `row` met something not finite.
    pub(crate) fn note_non_finite(&mut self, row: usize) {
        self.odd[row].non_finite_gradient = true;
    }

    pub(crate) fn finish(self, forward: u64, backward: u64) -> Result<Adversarial> {
        Ok(finish(
            self.images,
            self.solved,
            self.loss,
            self.goal.targets,
            &self.odd,
            [forward, backward],
        ))
    }
}

/// Keeps the nearest iterate of each sample that meets the goal: for minimal-norm attacks.
pub(crate) struct Nearest<'a> {
    goal: Goal<'a>,
    norm: Norm,
    clean: &'a Tensor,
    images: Vec<f32>,
    /// Infinite until an iterate met the goal.
    distance: Vec<f64>,
    odd: Vec<Oddities>,
}

impl<'a> Nearest<'a> {
    pub(crate) fn new(clean: &'a Tensor, norm: Norm, goal: Goal<'a>) -> Self {
        let n = goal.labels.len();
        Self {
            goal,
            norm,
            clean,
            images: clean.host().into_owned(),
            distance: vec![f64::INFINITY; n],
            odd: vec![Oddities::default(); n],
        }
    }

    /// The least distance found for the batch's sample `row`, infinite before the first.
    pub(crate) fn distance(&self, row: usize) -> f64 {
        self.distance[row]
    }

    /// Judges iterates of the samples `rows`; tells which of them meet the goal.
    pub(crate) fn judge(&mut self, rows: &[usize], points: &Tensor, logits: &Tensor) -> Vec<bool> {
        let (values, clean) = (points.host(), self.clean.host());
        let length = values.len() / rows.len().max(1);
        let judge = |(slot, (&row, prediction)): (usize, (&usize, Option<usize>))| {
            self.odd[row].non_finite_logits |= prediction.is_none();
            let met = self.goal.is_met(row, prediction);
            let (point, center) = (
                &values[slot * length..(slot + 1) * length],
                &clean[row * length..(row + 1) * length],
            );
            let changes = point.iter().zip(center);
            let distance = self.norm.of(changes.map(|(&a, &b)| f64::from(a) - f64::from(b)));
            if met && distance < self.distance[row] {
                self.distance[row] = distance;
                self.images[row * length..(row + 1) * length].copy_from_slice(point);
            }
            met
        };
        rows.iter().zip(check::predictions(logits)).enumerate().map(judge).collect()
    }

    /// As [`Search::note_gradients`].
    pub(crate) fn note_gradients(
        &mut self,
        rows: &[usize],
        gradients: &Tensor,
    ) -> Result<Vec<bool>> {
        note_gradients(&mut self.odd, rows, gradients)
    }

    pub(crate) fn finish(self, forward: u64, backward: u64) -> Result<Adversarial> {
        let images = Tensor::new(self.clean.shape(), self.images)?;
        let solved = self.distance.iter().map(|distance| distance.is_finite()).collect();
        let losses = vec![f64::NAN; self.distance.len()];
        Ok(finish(images, solved, losses, self.goal.targets, &self.odd, [forward, backward]))
    }
}

fn note_gradients(odd: &mut [Oddities], rows: &[usize], gradients: &Tensor) -> Result<Vec<bool>> {
    let note = |(&row, largest): (&usize, f64)| {
        let (finite, zero) = (largest.is_finite(), largest == 0.0);
        odd[row].non_finite_gradient |= !finite;
        odd[row].zero_gradient |= zero;
        odd[row].had_direction |= finite && !zero;
        finite && !zero
    };
    Ok(rows.iter().zip(ops::sample_linf(gradients)?).map(note).collect())
}

fn finish(
    images: Tensor,
    solved: Vec<bool>,
    best_loss: Vec<f64>,
    targets: Option<Vec<usize>>,
    odd: &[Oddities],
    [forward, backward]: [u64; 2],
) -> Adversarial {
    let each = |of: fn(&Oddities) -> bool| odd.iter().map(of).collect();
    Adversarial {
        images,
        undecided: solved
            .iter()
            .zip(odd)
            .map(|(solved, odd)| !solved && !odd.had_direction)
            .collect(),
        solved,
        best_loss,
        targets,
        zero_gradient: each(|odd| odd.zero_gradient),
        non_finite_gradient: each(|odd| odd.non_finite_gradient),
        non_finite_logits: each(|odd| odd.non_finite_logits),
        late_gain: None,
        solved_by: None,
        members: Vec::new(),
        forward,
        backward,
    }
}
