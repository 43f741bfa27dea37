//! Decoupled direction and norm (Rony et al. 2019).

use std::f64::consts::PI;
use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use crate::adversarial::{Adversarial, Goal, Nearest};
use crate::attack::{Attack, AttackSpec};
use crate::check;
use crate::epsilon::{Epsilon, Norm, written};
use crate::error::Result;
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::{Region, restrict};
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

pub(crate) const ENTRY: Entry = Entry {
    name: "ddn",
    title: "decoupled direction and norm",
    knowledge: Knowledge::Gradients,
    kind: Kind::Minimal,
    norms: &[Norm::L2],
    reference: "Rony et al. 2019",
    cost: "steps + 1 forwards, steps backwards",
    parameters: &[
        Parameter::new("norm", "l2", "l2"),
        Parameter::new("eps", "none", "radius in pixels that a success is judged at"),
        Parameter::new("steps", "100", "steps"),
        Parameter::new("init-norm", "1", "first length of the perturbation in pixels"),
        Parameter::new("gamma", "0.05", "share by which the length changes each step"),
        Parameter::new("quantize", "false", "whether iterates are rounded to 256 levels"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = DdnOptions::new();
    Ok(AttackSpec::new(DdnOptions {
        epsilon: given.get("eps")?,
        steps: given.or("steps", default.steps)?,
        init_norm: given.or("init-norm", default.init_norm)?,
        gamma: given.or("gamma", default.gamma)?,
        quantize: given.or("quantize", default.quantize)?,
        ..default
    }))
}

/// The parameters of [`ddn`]. The defaults are those of [`DdnOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct DdnOptions {
    /// ε, the radius in pixels that a success is judged at. Default none.
    pub epsilon: Option<Epsilon>,
    /// Steps. Default 100.
    pub steps: usize,
    /// The first length of the perturbation, in pixels. Default 1.
    pub init_norm: f64,
    /// γ, the share by which the length shrinks after a success and grows after a failure. Default
    /// 0.05.
    pub gamma: f64,
    /// Whether every iterate is rounded to the 256 levels of an image file. Default no.
    pub quantize: bool,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl DdnOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            epsilon: None,
            steps: 100,
            init_norm: 1.0,
            gamma: 0.05,
            quantize: false,
            region: None,
        }
    }
}

impl Default for DdnOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Attack for DdnOptions {
    usual!(ddn: name, epsilon, at, region, run);

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        let name = ENTRY.name;
        self.epsilon.map_or(Ok(()), |epsilon| epsilon.check_within("ε", Norm::L2, dimension))?;
        check::parameter(self.steps > 0, name, "steps", self.steps, "at least 1 is needed")?;
        let accepted = self.init_norm > 0.0 && self.init_norm.is_finite();
        let reason = "a finite length in pixels, over 0, is needed";
        check::parameter(accepted, name, "init-norm", self.init_norm, reason)?;
        let accepted = self.gamma > 0.0 && self.gamma < 1.0;
        check::parameter(accepted, name, "gamma", self.gamma, "a share between 0 and 1 is needed")
    }
}

impl fmt::Display for DdnOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ddn:norm=l2,{}steps={}", written(self.epsilon), self.steps)?;
        write!(out, ",init-norm={},gamma={}", self.init_norm, self.gamma)?;
        if self.quantize { write!(out, ",quantize=true") } else { Ok(()) }
    }
}

/// Ascent on the cross-entropy, the length of the perturbation kept apart: each step goes along
/// g/‖g‖ (its length falls from 1 to 0.01 by a cosine), then the perturbation is scaled to a length
/// that shrinks by γ where the iterate is misclassified and grows by γ where it is not, then clipped.
/// Nothing is random. As Foolbox's `DDNAttack`, but the last iterate is judged too, and a sample
/// without a gradient stays where it is, where Foolbox would step in a random direction.
///
/// Cost: steps + 1 forwards and steps backwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn ddn(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &DdnOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let clean = images.host();
    let region = options.region.as_ref();
    let length = clean.len() / labels.len().max(1);
    let (mut forward, mut backward) = (0, 0);
    let mut nearest = Nearest::new(&images, Norm::L2, Goal::away_from(labels));
    let mut rows: Vec<usize> = (0..labels.len()).collect();
    let mut points = images.clone();
    let mut lengths = vec![options.init_norm; labels.len()];
    for step in 0..options.steps {
        if rows.is_empty() {
            break;
        }
        let network = classifier.linearize(&points)?;
        check::logits(classifier, network.logits(), rows.len())?;
        let met = nearest.judge(&rows, &points, network.logits());
        let classes: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        let (_, seed) = Loss::CrossEntropy.evaluate(network.logits(), &classes)?;
        let gradients = restrict(region, &rows, network.pullback(&seed)?)?;
        forward += rows.len() as u64;
        backward += rows.len() as u64;

        let directed = nearest.note_gradients(&rows, &gradients)?;
        // An image that is misclassified as it is cannot be improved on.
        let keep: Vec<usize> = (0..rows.len())
            .filter(|&slot| directed[slot] && nearest.distance(rows[slot]) > 0.0)
            .collect();
        let progress = step as f64 / options.steps as f64;
        let rate = 0.01 + 0.99 * 0.5 * (1.0 + (PI * progress).cos());
        let (from, gradients) = (points.host(), gradients.host());
        let mut values = Vec::with_capacity(keep.len() * length);
        for &slot in &keep {
            let range = slot * length..(slot + 1) * length;
            let center = &clean[rows[slot] * length..][..length];
            let longest = &mut lengths[rows[slot]];
            *longest *= if met[slot] { 1.0 - options.gamma } else { 1.0 + options.gamma };
            // No image is further away than the box's furthest corner.
            let corner = center.iter().map(|&x| f64::from(x).max(1.0 - f64::from(x)));
            *longest = longest.min(Norm::L2.of(corner));
            let change = stepped(&from[range.clone()], center, &gradients[range], rate, *longest);
            let free = region.and_then(|region| region.mask(rows[slot], length));
            let pixels = center.iter().zip(change).enumerate();
            values.extend(pixels.map(|(i, (&center, change))| {
                let pixel = ((f64::from(center) + change) as f32).clamp(0.0, 1.0);
                let is_free = free.is_none_or(|free| free[i]);
                if options.quantize && is_free { (pixel * 255.0).round() / 255.0 } else { pixel }
            }));
        }
        let mut shape = images.shape().to_vec();
        shape[0] = keep.len();
        rows = keep.iter().map(|&slot| rows[slot]).collect();
        points = Tensor::new(&shape, values)?;
    }
    if !rows.is_empty() {
        let logits = check::logits_of(classifier, &points)?;
        forward += rows.len() as u64;
        nearest.judge(&rows, &points, &logits);
    }
    nearest.finish(forward, backward)
}

/// The perturbation after a step of length `rate` along the gradient, scaled to `length`.
fn stepped(point: &[f32], center: &[f32], gradient: &[f32], rate: f64, length: f64) -> Vec<f64> {
    let unit = rate / Norm::L2.of(gradient.iter().map(|&g| f64::from(g)));
    let pixels = point.iter().zip(center).zip(gradient);
    let mut change: Vec<f64> = pixels
        .map(|((&x, &center), &g)| f64::from(x) - f64::from(center) + unit * f64::from(g))
        .collect();
    let size = Norm::L2.of(change.iter().copied());
    // A step that undoes the perturbation exactly leaves nothing to scale.
    if size > 0.0 {
        change.iter_mut().for_each(|value| *value *= length / size);
    }
    change
}
