//! The fast adaptive boundary attack (Croce and Hein 2020), untargeted and targeted.

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::adversarial::{Adversarial, Goal, Nearest};
use crate::ball::direction;
use crate::boundary::{Boundaries, rivals};
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::projection::onto_hyperplane;
use crate::region::keep_free;
use crate::streams::Streams;

mod options;

pub use options::FabOptions;
pub(crate) use options::{ENTRY, TARGETED_ENTRY};

/// Added to ‖w‖*, as by the authors.
const TINY: f64 = 1e-12;
/// The least length of a projection where two are weighed against each other, as by the authors.
const SHORTEST: f64 = 1e-8;

/// Projections onto the nearest of the class boundaries as they look from where it stands, inside
/// the box: with d₁ of the iterate and d₂ of the image,
/// x ← (1 − α)(x + η·d₁) + α(x₀ + η·d₂), α = min(‖d₁‖/(‖d₁‖ + ‖d₂‖), α_max).
/// A misclassified iterate goes back to x₀ + β(x − x₀). Aimed at targets ([`FabOptions::targets`])
/// it takes the boundary to one class at a time, by the logits of the clean image. Untargeted it
/// takes, as its authors do, the class that would be the nearest without the box.
///
/// The nearest misclassified point it met is returned, be it an iterate or one on the way back.
///
/// Cost: one forward, and for each target and restart 2·steps forwards and steps backwards an image;
/// untargeted steps·(classes − 1) backwards, which share the forwards.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by
/// [`Attack::check`](crate::Attack::check).
pub fn fab(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &FabOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let mut nearest = Nearest::new(&images, options.norm, Goal::away_from(labels));
    if labels.is_empty() {
        return nearest.finish(0, 0);
    }
    let all: Vec<usize> = (0..labels.len()).collect();
    let logits = check::logits_of(classifier, &images)?;
    nearest.judge(&all, &images, &logits);
    let rivals = rivals(labels, &logits);
    let others = classifier.classes().saturating_sub(1);
    // The rivals of each run: all of them, or one after the other.
    let runs: Vec<std::ops::Range<usize>> = match options.targets {
        None => std::iter::once(0..others).collect(),
        Some(targets) => (0..targets.min(others)).map(|target| target..target + 1).collect(),
    };
    let clean = images.host();
    let mut run = Run {
        options,
        classifier,
        labels,
        clean: &clean,
        length: clean.len() / labels.len(),
        forward: labels.len() as u64,
        backward: 0,
    };
    // A misclassified image has distance 0.
    let enough = |row: usize| options.judged_at(row).map_or(0.0, Epsilon::value);
    for (target, range) in runs.into_iter().enumerate() {
        for restart in 0..options.restarts {
            let rows: Vec<usize> =
                all.iter().copied().filter(|&row| nearest.distance(row) > enough(row)).collect();
            let mut points = ops::select(&images, &rows)?;
            if restart > 0 {
                let number = target * options.restarts + restart;
                points = run.random_starts(&rows, &points, &nearest, streams, number)?;
            }
            let against: Vec<&[usize]> =
                rivals.iter().map(|rivals| &rivals[range.clone()]).collect();
            run.iterate(rows, points, &against, &mut nearest)?;
        }
    }
    nearest.finish(run.forward, run.backward)
}

/// What all restarts share, and what they have cost.
struct Run<'a> {
    options: &'a FabOptions,
    classifier: &'a dyn Classifier,
    labels: &'a [usize],
    /// The images of the whole batch, one after the other.
    clean: &'a [f32],
    length: usize,
    forward: u64,
    backward: u64,
}

impl Run<'_> {
    /// One restart of the samples `rows`; `rivals` is of the whole batch.
    fn iterate(
        &mut self,
        mut rows: Vec<usize>,
        mut points: Tensor,
        rivals: &[&[usize]],
        nearest: &mut Nearest<'_>,
    ) -> Result<()> {
        for _ in 0..self.options.steps {
            if rows.is_empty() {
                break;
            }
            let network = self.classifier.linearize(&points)?;
            self.forward += rows.len() as u64;
            check::logits(self.classifier, network.logits(), rows.len())?;
            nearest.judge(&rows, &points, network.logits());
            let against: Vec<&[usize]> = rows.iter().map(|&row| rivals[row]).collect();
            let boundaries = Boundaries::nearest(
                &*network,
                &rows,
                self.labels,
                &against,
                self.options.norm,
                TINY,
                self.options.region.as_ref(),
                nearest,
            )?;
            self.backward += (rows.len() * against.first().map_or(0, |rivals| rivals.len())) as u64;
            drop(network);

            let keep = boundaries.known_slots();
            rows = keep.iter().map(|&slot| rows[slot]).collect();
            if rows.is_empty() {
                break;
            }
            let from = ops::select(&points, &keep)?;
            points = self.each(&rows, &from, |slot, point, center, out| {
                self.step(&boundaries, keep[slot], point, center, out);
            })?;
            let logits = check::logits_of(self.classifier, &points)?;
            self.forward += rows.len() as u64;
            let met = nearest.judge(&rows, &points, &logits);
            points = self.each(&rows, &points, |slot, point, center, out| {
                let share = if met[slot] { self.options.beta } else { 1.0 };
                for ((out, &x), &center) in out.iter_mut().zip(point).zip(center) {
                    let (x, center) = (f64::from(x), f64::from(center));
                    *out = ((center + share * (x - center)) as f32).clamp(0.0, 1.0);
                }
            })?;
        }
        Ok(())
    }

    /// One sample's next iterate.
    fn step(
        &self,
        boundaries: &Boundaries,
        slot: usize,
        point: &[f32],
        center: &[f32],
        out: &mut [f32],
    ) {
        let &FabOptions { norm, alpha_max, eta, .. } = self.options;
        let normal = boundaries.normal(slot);
        // w·x − b of the linearised boundary, at the iterate and at the image.
        let gap = boundaries.gaps[slot];
        let along = normal.iter().zip(point.iter().zip(center));
        let gap_of_image = gap
            + along
                .map(|(&w, (&x, &center))| f64::from(w) * (f64::from(center) - f64::from(x)))
                .sum::<f64>();
        let (mut first, mut second) = (vec![0.0; self.length], vec![0.0; self.length]);
        onto_hyperplane(norm, point, normal, gap, &mut first);
        onto_hyperplane(norm, center, normal, gap_of_image, &mut second);
        let size = |change: &[f64]| norm.of(change.iter().copied()).max(SHORTEST);
        let (near, far) = (size(&first), size(&second));
        let alpha = (near / (near + far)).min(alpha_max);
        for (i, out) in out.iter_mut().enumerate() {
            let ahead = f64::from(point[i]) + eta * first[i];
            let anchored = f64::from(center[i]) + eta * second[i];
            *out = (((1.0 - alpha) * ahead + alpha * anchored) as f32).clamp(0.0, 1.0);
        }
    }

    /// Random points at half of the distance that is of interest: within ε, and nearer than what
    /// was found.
    fn random_starts(
        &self,
        rows: &[usize],
        points: &Tensor,
        nearest: &Nearest<'_>,
        streams: &Streams<'_>,
        number: usize,
    ) -> Result<Tensor> {
        self.each(rows, points, |slot, _, center, out| {
            let row = rows[slot];
            let length = 0.5 * self.options.radius(row).min(nearest.distance(row));
            let mut unit = vec![0.0; self.length];
            let free =
                self.options.region.as_ref().and_then(|region| region.mask(row, self.length));
            surface(self.options.norm, free, &mut streams.stream(row, number), &mut unit);
            for ((out, &center), unit) in out.iter_mut().zip(center).zip(unit) {
                *out = ((f64::from(center) + length * unit) as f32).clamp(0.0, 1.0);
            }
        })
    }

    /// For each of `rows` what `fill(slot, point, center, out)` writes.
    fn each(
        &self,
        rows: &[usize],
        points: &Tensor,
        fill: impl Fn(usize, &[f32], &[f32], &mut [f32]) + Sync,
    ) -> Result<Tensor> {
        let from = points.host();
        let length = self.length.max(1);
        let mut values = vec![0.0; from.len()];
        values.par_chunks_exact_mut(length).enumerate().for_each(|(slot, out)| {
            let center = &self.clean[rows[slot] * length..][..length];
            fill(slot, &from[slot * length..][..length], center, out);
        });
        Ok(Tensor::new(points.shape(), values)?)
    }
}

/// A random point of norm 1: on the cube's surface in ℓ∞, elsewhere a normal vector's direction; of
/// those pixels that may change.
fn surface(norm: Norm, free: Option<&[bool]>, random: &mut ChaCha8Rng, out: &mut [f64]) {
    if norm == Norm::Linf {
        out.iter_mut().for_each(|value| *value = 2.0 * random.random::<f64>() - 1.0);
    } else {
        direction(Norm::L2, random, out);
    }
    keep_free(free, out);
    let size = norm.of(out.iter().copied()).max(f64::MIN_POSITIVE);
    out.iter_mut().for_each(|value| *value /= size);
}
