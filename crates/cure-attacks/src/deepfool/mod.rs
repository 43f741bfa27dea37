//! DeepFool (Moosavi-Dezfooli et al. 2016), in the variants of three programs.

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::{Adversarial, Goal, Nearest};
use crate::boundary::{Boundaries, rivals};
use crate::check;
use crate::epsilon::Norm;
use crate::error::Result;
use crate::streams::Streams;

mod options;

pub(crate) use options::ENTRY;
pub use options::{DeepFoolOptions, Preset};

/// Steps to the nearest of the class boundaries as they look from where it stands: r ← |f_k −
/// f_y|/‖w‖*, along w/‖w‖ in ℓ2 and sign(w) in ℓ∞, w = ∇(f_k − f_y). A sample leaves at its first
/// misclassified iterate. Nothing is random.
///
/// Cost: at most 2·steps + 1 forwards and steps·(candidates − 1) backwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by
/// [`Attack::check`](crate::Attack::check).
pub fn deepfool(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &DeepFoolOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let mut nearest = Nearest::new(&images, options.norm, Goal::away_from(labels));
    if labels.is_empty() {
        return nearest.finish(0, 0);
    }
    let clean = images.host();
    let length = clean.len() / labels.len();
    let (mut forward, mut backward) = (labels.len() as u64, 0);

    let mut rows: Vec<usize> = (0..labels.len()).collect();
    let logits = check::logits_of(classifier, &images)?;
    let met = nearest.judge(&rows, &images, &logits);
    rows.retain(|&row| !met[row]);
    let mut rivals = rivals(labels, &logits);
    if options.preset != Preset::TrueLabel {
        rivals.iter_mut().for_each(|rivals| rivals.truncate(options.candidates - 1));
    }
    let mut points = ops::select(&images, &rows)?;
    // r of each sample: without the overshoot, and before any clip.
    let mut totals = vec![vec![0.0; length]; labels.len()];
    for _ in 0..options.steps {
        if rows.is_empty() {
            break;
        }
        let network = classifier.linearize(&points)?;
        check::logits(classifier, network.logits(), rows.len())?;
        let against: Vec<&[usize]> = rows.iter().map(|&row| &rivals[row][..]).collect();
        let boundaries = Boundaries::nearest(
            &*network,
            &rows,
            labels,
            &against,
            options.norm,
            options.preset.tiny(),
            options.region.as_ref(),
            &mut nearest,
        )?;
        forward += rows.len() as u64;
        backward += (rows.len() * against.first().map_or(0, |rivals| rivals.len())) as u64;

        let from = points.host();
        let keep = boundaries.known_slots();
        let mut values = Vec::with_capacity(keep.len() * length);
        for &slot in &keep {
            let row = rows[slot];
            let point = &from[slot * length..][..length];
            let center = &clean[row * length..][..length];
            move_on(options, &boundaries, slot, point, center, &mut totals[row], &mut values);
        }
        rows = keep.iter().map(|&slot| rows[slot]).collect();
        let mut shape = images.shape().to_vec();
        shape[0] = rows.len();
        points = Tensor::new(&shape, values)?;
        if rows.is_empty() {
            break;
        }
        let judged = ops::clamp(points.clone(), 0.0, 1.0);
        let logits = check::logits_of(classifier, &judged)?;
        forward += rows.len() as u64;
        let met = nearest.judge(&rows, &judged, &logits);
        let keep: Vec<usize> = (0..rows.len()).filter(|&slot| !met[slot]).collect();
        rows = keep.iter().map(|&slot| rows[slot]).collect();
        points = ops::select(&points, &keep)?;
    }
    nearest.finish(forward, backward)
}

/// Adds one sample's step to its `total`, and its next iterate to `out`.
fn move_on(
    options: &DeepFoolOptions,
    boundaries: &Boundaries,
    slot: usize,
    point: &[f32],
    center: &[f32],
    total: &mut [f64],
    out: &mut Vec<f32>,
) {
    let preset = options.preset;
    let distance = boundaries.distances[slot] + preset.extra();
    let unit = distance / (boundaries.sizes[slot] + preset.tiny());
    let beyond = 1.0 + options.overshoot;
    for (i, &w) in boundaries.normal(slot).iter().enumerate() {
        let step = match options.norm {
            Norm::Linf if w == 0.0 => 0.0,
            Norm::Linf => distance * f64::from(w.signum()),
            Norm::L2 | Norm::L1 => unit * f64::from(w),
        };
        total[i] += step;
        let next = match preset {
            Preset::TrueLabel => f64::from(point[i]) + beyond * step,
            Preset::Foolbox | Preset::Paper => f64::from(center[i]) + beyond * total[i],
        } as f32;
        out.push(if preset == Preset::Paper { next } else { next.clamp(0.0, 1.0) });
    }
}
