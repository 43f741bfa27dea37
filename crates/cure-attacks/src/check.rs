//! What must hold before an attack starts, and how logits are judged.

use cure_network::{Classifier, NetworkError};
use cure_tensor::{Tensor, TensorError, ops};

use crate::attack::Attack;
use crate::error::{AttackError, Result};
use crate::streams::Streams;

/// How far outside [0, 1] a pixel may be from rounding in earlier arithmetic (−3e-8 is common).
const ROUNDING: f32 = 1e-6;

/// The images with rounding noise clipped away.
pub(crate) fn pixels(images: &Tensor) -> Result<Tensor> {
    let values = images.host();
    let length = images.shape().iter().skip(1).product::<usize>().max(1);
    // Not a comparison of the opposite kind: NaN must be caught.
    let refused = |value: f32| !(-ROUNDING..=1.0 + ROUNDING).contains(&value);
    if let Some(position) = values.iter().position(|&value| refused(value)) {
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        return Err(AttackError::Pixel {
            sample: position / length,
            value: values[position],
            found: format!("{low} to {high}"),
        });
    }
    if values.iter().all(|value| (0.0..=1.0).contains(value)) {
        return Ok(images.clone());
    }
    Ok(ops::clamp(images.clone(), 0.0, 1.0))
}

/// One label for each image, each a class.
pub(crate) fn labels(classifier: &dyn Classifier, images: &Tensor, labels: &[usize]) -> Result<()> {
    let (classes, input) = (classifier.classes(), classifier.input_shape());
    let count = match images.shape() {
        [count, shape @ ..] if *shape == input => *count,
        found => {
            return Err(NetworkError::Images { expected: input, found: found.to_vec() }.into());
        }
    };
    if labels.len() != count {
        return Err(AttackError::Count { what: "labels", count: labels.len(), images: count });
    }
    match labels.iter().position(|&label| label >= classes) {
        None => Ok(()),
        Some(sample) => Err(AttackError::Label {
            sample,
            label: labels[sample],
            largest: classes.saturating_sub(1),
        }),
    }
}

/// What must hold of every attack's arguments; gives the images with rounding noise clipped away.
pub(crate) fn attack(
    options: &dyn Attack,
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    streams: &Streams<'_>,
) -> Result<Tensor> {
    self::labels(classifier, images, labels)?;
    if streams.len() != labels.len() {
        let (count, images) = (streams.len(), labels.len());
        return Err(AttackError::Count { what: "indices", count, images });
    }
    let dimension = images.shape().iter().skip(1).product();
    options.check(Some(dimension), Some(classifier.classes()))?;
    if let Some(region) = options.region() {
        region.check(dimension, labels.len())?;
        region.check_radii(options.norm(), dimension)?;
    }
    pixels(images)
}

/// Refuses the value of a parameter that is not `accepted`; `reason` says what is.
pub(crate) fn parameter(
    accepted: bool,
    attack: &'static str,
    parameter: &'static str,
    value: impl ToString,
    reason: &str,
) -> Result<()> {
    if accepted {
        return Ok(());
    }
    Err(AttackError::Parameter {
        attack,
        parameter,
        value: value.to_string(),
        reason: reason.into(),
    })
}

/// The logits of `images`, of the shape that was promised.
pub(crate) fn logits_of(classifier: &dyn Classifier, images: &Tensor) -> Result<Tensor> {
    let found = classifier.logits(images)?;
    logits(classifier, &found, images.shape().first().copied().unwrap_or(0))?;
    Ok(found)
}

/// Whether a classifier gave what its trait promises.
pub(crate) fn logits(classifier: &dyn Classifier, logits: &Tensor, count: usize) -> Result<()> {
    let expected = [count, classifier.classes()];
    if logits.shape() == expected {
        return Ok(());
    }
    Err(TensorError::ShapeMismatch {
        operation: "logits",
        expected: format!("{expected:?}"),
        found: logits.shape().to_vec(),
    }
    .into())
}

/// The class of each row of `[N, K]`, K ≥ 1: the first largest logit, or none if a logit is not
/// finite.
pub(crate) fn predictions(logits: &Tensor) -> Vec<Option<usize>> {
    let classes = logits.shape().last().copied().unwrap_or(1).max(1);
    logits.host().chunks_exact(classes).map(prediction).collect()
}

fn prediction(logits: &[f32]) -> Option<usize> {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if !logit.is_finite() {
            return None;
        }
        if logit > logits[best] {
            best = class;
        }
    }
    Some(best)
}
