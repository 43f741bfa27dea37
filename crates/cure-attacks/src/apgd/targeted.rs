//! Auto-PGD on the targeted DLR loss, class by class.

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use super::ascent::{Ascent, Objective};
use super::{RHO, check_numbers, write_rarer};
use crate::adversarial::{Adversarial, Goal, Search};
use crate::attack::{Attack, AttackSpec};
use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::loss::descending;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

pub(crate) const ENTRY: Entry = Entry {
    name: "apgd-t",
    title: "Auto-PGD on the targeted DLR loss",
    knowledge: Knowledge::Gradients,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2],
    reference: "Croce and Hein 2020",
    cost: "1 forward + targets × restarts × (steps × eot + 1 forwards, steps × eot backwards)",
    parameters: &[
        Parameter::new("norm", "linf", "linf or l2"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("targets", "9", "classes aimed at, the likeliest first; at most all others"),
        Parameter::new("steps", "100", "steps of each restart"),
        Parameter::new("restarts", "1", "independent runs for each target"),
        Parameter::new("rho", "0.75", "share of steps that must raise the loss"),
        Parameter::new("eot", "1", "looks that a gradient is averaged over, for random networks"),
    ],
    parse,
};

/// Classes that the targeted DLR loss compares.
pub(crate) const CLASSES: usize = 4;

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = ApgdTargetedOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(ApgdTargetedOptions {
        targets: given.or("targets", default.targets)?,
        steps: given.or("steps", default.steps)?,
        restarts: given.or("restarts", default.restarts)?,
        rho: given.or("rho", default.rho)?,
        eot: given.or("eot", default.eot)?,
        ..default
    }))
}

/// The parameters of [`apgd_targeted`]. The defaults are those of [`ApgdTargetedOptions::new`], and
/// of AutoAttack.
#[derive(Clone, Debug, PartialEq)]
pub struct ApgdTargetedOptions {
    /// The norm of the ball: ℓ∞ or ℓ2. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// Classes aimed at one after the other, by falling logit of the clean image; where there are
    /// fewer other classes, all of them. Default 9.
    pub targets: usize,
    /// Steps of each restart. Default 100.
    pub steps: usize,
    /// Independent runs for each target, judged sample by sample. Default 1.
    pub restarts: usize,
    /// As in [`ApgdOptions`](crate::ApgdOptions). Default 0.75.
    pub rho: f64,
    /// As in [`ApgdOptions`](crate::ApgdOptions). Default 1.
    pub eot: usize,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl ApgdTargetedOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self { norm, epsilon, targets: 9, steps: 100, restarts: 1, rho: RHO, eot: 1, region: None }
    }
}

impl Attack for ApgdTargetedOptions {
    usual!(apgd_targeted: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        ENTRY.check_norm(self.norm)?;
        self.epsilon.check_within("ε", self.norm, dimension)?;
        if let Some(classes) = classes.filter(|&classes| classes < CLASSES) {
            return Err(AttackError::Parameter {
                attack: ENTRY.name,
                parameter: "targets",
                value: self.targets.to_string(),
                reason: format!(
                    "the targeted DLR loss needs {CLASSES} classes, the network has {classes}; \
                     use apgd:loss=ce"
                ),
            });
        }
        let Self { targets, steps, restarts, rho, eot, .. } = *self;
        let counts = [("targets", targets), ("steps", steps), ("restarts", restarts), ("eot", eot)];
        check_numbers(ENTRY.name, &counts, rho)
    }
}

impl fmt::Display for ApgdTargetedOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm, epsilon, targets, steps, restarts, rho, eot, .. } = self;
        let epsilon = epsilon.notation();
        write!(out, "apgd-t:norm={norm},eps={epsilon},targets={targets},steps={steps}")?;
        write!(out, ",restarts={restarts}")?;
        write_rarer(out, *rho, *eot)
    }
}

/// [`apgd`](crate::apgd) on (z_t − z_y) / (z_π1 − (z_π3 + z_π4)/2), for one target t after the other.
/// Any wrong class is a success. The clean image is judged too, as its logits are needed.
///
/// Source: Croce and Hein 2020, section 4. Cost: a forward, then for each target and restart at most
/// `steps·eot + 1` forwards and `steps·eot` backwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, there are fewer than four classes, or the options are
/// refused by [`Attack::check`].
pub fn apgd_targeted(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &ApgdTargetedOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let centers = images.host();
    let mut ascent = Ascent {
        classifier,
        ball: Ball::new(
            options.norm,
            options.epsilon,
            &centers,
            labels.len(),
            options.region.as_ref(),
        ),
        shape: images.shape(),
        labels,
        steps: options.steps,
        rho: options.rho,
        eot: options.eot,
        cost: [labels.len() as u64, 0],
    };
    let mut search = Search::new(&images, Goal::away_from(labels));
    let logits = check::logits_of(classifier, &images)?;
    let orders: Vec<Vec<usize>> = logits
        .host()
        .chunks_exact(classifier.classes())
        .zip(labels)
        .map(|(row, &label)| descending(row).into_iter().filter(|&c| c != label).collect())
        .collect();
    for target in 0..options.targets.min(classifier.classes() - 1) {
        let objective = Objective::Targeted(orders.iter().map(|order| order[target]).collect());
        if target == 0 {
            let rows = search.unsolved();
            let (losses, _) = objective.evaluate(&rows, &logits, labels)?;
            search.keep(&rows, &images, &logits, &losses)?;
        }
        for restart in 0..options.restarts {
            let rows = search.unsolved();
            // Each run has random numbers of its own.
            let run = target * options.restarts + restart;
            let start = ascent.ball.border_start(&rows, images.shape(), streams, run)?;
            ascent.run(&rows, &start, &objective, &mut search)?;
        }
    }
    let [forward, backward] = ascent.cost;
    search.finish(forward, backward)
}
