//! Carlini and Wagner's ℓ2 attack (2017).

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use rayon::prelude::*;

use crate::adversarial::{Adversarial, Goal, Nearest};
use crate::check;
use crate::epsilon::Norm;
use crate::error::Result;
use crate::loss::Loss;
use crate::region::restrict;
use crate::streams::Streams;

mod options;
mod state;

pub use options::CarliniWagnerOptions;
pub(crate) use options::ENTRY;
use state::State;

/// From so many constants on, the last repeats the smallest that succeeded, as by the authors.
const REPEAT_FROM: usize = 10;

/// Adam on ‖x − x₀‖² + c·max(0, z_y − max z_j + κ) over w, x = (tanh w + 1)/2, which keeps x in the
/// box. Each sample has its own c, found by a binary search from `initial_const` for the smallest that
/// succeeds, and its own state of Adam. Nothing is random. As the authors' program and Foolbox's
/// `L2CarliniWagnerAttack` on one image at a time, but every iterate is judged, the last included.
///
/// Cost: one forward, and at most search-steps × (steps + 1 forwards, steps backwards) an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by
/// [`Attack::check`](crate::Attack::check).
pub fn carlini_wagner(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &CarliniWagnerOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let goal = || Goal::away_from(labels);
    let mut run = Run {
        options,
        classifier,
        labels,
        images: &images,
        nearest: Nearest::new(&images, Norm::L2, goal()),
        sure: (options.confidence > 0.0).then(|| Nearest::new(&images, Norm::L2, goal())),
        forward: 0,
        backward: 0,
    };
    if labels.is_empty() {
        return run.nearest.finish(0, 0);
    }
    let all: Vec<usize> = (0..labels.len()).collect();
    let clean = check::logits_of(classifier, &images)?;
    run.forward += labels.len() as u64;
    let met = run.judge(&all, &images, &clean)?;
    let rows: Vec<usize> = all.iter().copied().filter(|&row| !met[row]).collect();
    let mut constants = vec![Constant::new(options.initial_const); labels.len()];
    for search in 0..options.search_steps {
        if search + 1 == options.search_steps && options.search_steps >= REPEAT_FROM {
            constants.iter_mut().for_each(Constant::repeat);
        }
        let values: Vec<f64> = constants.iter().map(|constant| constant.value).collect();
        let found = run.descend(&rows, &values)?;
        rows.iter().zip(found).for_each(|(&row, found)| constants[row].learn(found));
    }
    let found = run.nearest.finish(run.forward, run.backward)?;
    match run.sure {
        None => Ok(found),
        Some(sure) => with_sure_ones(found, &sure.finish(0, 0)?),
    }
}

/// `found`, with the images of `sure` where it has some.
fn with_sure_ones(found: Adversarial, sure: &Adversarial) -> Result<Adversarial> {
    let mut values = found.images.host().into_owned();
    let length = (values.len() / sure.solved.len().max(1)).max(1);
    let images = sure.images.host();
    let pairs = values.chunks_exact_mut(length).zip(images.chunks_exact(length));
    for ((image, sure), _) in pairs.zip(&sure.solved).filter(|(_, solved)| **solved) {
        image.copy_from_slice(sure);
    }
    Ok(Adversarial { images: Tensor::new(found.images.shape(), values)?, ..found })
}

/// The binary search of one sample for the smallest constant that succeeds.
#[derive(Clone, Copy)]
struct Constant {
    value: f64,
    lower: f64,
    upper: f64,
}

impl Constant {
    fn new(value: f64) -> Self {
        Self { value, lower: 0.0, upper: f64::INFINITY }
    }

    fn learn(&mut self, found: bool) {
        *if found { &mut self.upper } else { &mut self.lower } = self.value;
        self.value = if self.upper.is_finite() {
            0.5 * (self.lower + self.upper)
        } else {
            10.0 * self.value
        };
    }

    fn repeat(&mut self) {
        if self.upper.is_finite() {
            self.value = self.upper;
        }
    }
}

/// What all constants share, and what they have cost.
struct Run<'a> {
    options: &'a CarliniWagnerOptions,
    classifier: &'a dyn Classifier,
    labels: &'a [usize],
    images: &'a Tensor,
    nearest: Nearest<'a>,
    /// The nearest of those that have the confidence asked for.
    sure: Option<Nearest<'a>>,
    forward: u64,
    backward: u64,
}

impl Run<'_> {
    /// Judges iterates; tells which succeed with the confidence asked for.
    fn judge(&mut self, rows: &[usize], points: &Tensor, logits: &Tensor) -> Result<Vec<bool>> {
        let met = self.nearest.judge(rows, points, logits);
        let Some(sure) = &mut self.sure else {
            return Ok(met);
        };
        let mut values = logits.host().into_owned();
        let classes = values.len() / rows.len().max(1);
        for (slot, &row) in rows.iter().enumerate() {
            values[slot * classes + self.labels[row]] += self.options.confidence as f32;
        }
        Ok(sure.judge(rows, points, &Tensor::new(logits.shape(), values)?))
    }

    /// Adam from each of the images `rows` at its constant; tells which were solved.
    fn descend(&mut self, rows: &[usize], constants: &[f64]) -> Result<Vec<bool>> {
        let images = self.images.host();
        let length = images.len() / self.labels.len().max(1);
        let mut found = vec![false; self.labels.len()];
        let mut states: Vec<State> = rows
            .par_iter()
            .map(|&row| State::new(row, constants[row], &images[row * length..][..length]))
            .collect();
        let tenth = self.options.steps.div_ceil(10);
        for step in 0..self.options.steps {
            if states.is_empty() {
                break;
            }
            let (rows, points) = self.points(&states)?;
            let network = self.classifier.linearize(&points)?;
            self.forward += rows.len() as u64;
            check::logits(self.classifier, network.logits(), rows.len())?;
            let met = self.judge(&rows, &points, network.logits())?;
            rows.iter().zip(met).for_each(|(&row, met)| found[row] |= met);

            let classes: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
            let (margins, seed) = Loss::Margin.evaluate(network.logits(), &classes)?;
            // Where the margin is reached the distance alone counts.
            let active: Vec<usize> =
                (0..rows.len()).filter(|&slot| margins[slot] < self.options.confidence).collect();
            let mut gradients = vec![None; rows.len()];
            let pulled = if active.is_empty() {
                Tensor::zeros(&[0, length])
            } else {
                self.backward += rows.len() as u64;
                let region = self.options.region.as_ref();
                ops::select(&restrict(region, &rows, network.pullback(&seed)?)?, &active)?
            };
            let active_rows: Vec<usize> = active.iter().map(|&slot| rows[slot]).collect();
            let directed = self.nearest.note_gradients(&active_rows, &pulled)?;
            let pulled = pulled.host();
            let mut stuck = vec![false; rows.len()];
            for (index, &slot) in active.iter().enumerate() {
                gradients[slot] = Some(&pulled[index * length..][..length]);
                stuck[slot] = !directed[index];
            }
            let is_check = step % tenth == 0;
            let leaves: Vec<bool> = states
                .par_iter_mut()
                .enumerate()
                .map(|(slot, state)| {
                    let missing = (self.options.confidence - margins[slot]).max(0.0);
                    if stuck[slot] || is_check && !state.progressed(missing) {
                        return true;
                    }
                    state.step(step, self.options.step, gradients[slot]);
                    false
                })
                .collect();
            let mut leaves = leaves.into_iter();
            states.retain(|_| !leaves.next().unwrap_or(false));
        }
        if !states.is_empty() {
            let (rows, points) = self.points(&states)?;
            let logits = check::logits_of(self.classifier, &points)?;
            self.forward += rows.len() as u64;
            let met = self.judge(&rows, &points, &logits)?;
            rows.iter().zip(met).for_each(|(&row, met)| found[row] |= met);
        }
        Ok(rows.iter().map(|&row| found[row]).collect())
    }

    /// Where the samples are now: their positions in the batch and their iterates.
    fn points(&self, states: &[State]) -> Result<(Vec<usize>, Tensor)> {
        let mut values: Vec<f32> = states
            .iter()
            .flat_map(|state| state.pixels.iter().map(|&pixel| (pixel as f32).clamp(0.0, 1.0)))
            .collect();
        if let Some(region) = &self.options.region {
            // The way through arctanh and back is not exact.
            let rows: Vec<usize> = states.iter().map(|state| state.row).collect();
            region.fix(&rows, &self.images.host(), &mut values);
        }
        let mut shape = self.images.shape().to_vec();
        shape[..1].fill(states.len());
        Ok((states.iter().map(|state| state.row).collect(), Tensor::new(&shape, values)?))
    }
}
