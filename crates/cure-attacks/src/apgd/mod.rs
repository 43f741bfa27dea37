//! Auto-PGD (Croce and Hein 2020): projected gradient ascent that chooses its own steps.

mod ascent;
mod climber;
mod targeted;

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use crate::adversarial::{Adversarial, Goal, Search};
use crate::attack::{Attack, AttackSpec};
use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

use ascent::{Ascent, Objective};
pub use targeted::{ApgdTargetedOptions, apgd_targeted};
pub(crate) use targeted::{CLASSES, ENTRY as TARGETED_ENTRY};

pub(crate) const ENTRY: Entry = Entry {
    name: "apgd",
    title: "Auto-PGD",
    knowledge: Knowledge::Gradients,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2],
    reference: "Croce and Hein 2020",
    cost: "restarts × (steps × eot + 1 forwards, steps × eot backwards)",
    parameters: &[
        Parameter::new("norm", "linf", "linf or l2"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("loss", "ce", "ce, ce-f32, margin or dlr"),
        Parameter::new("steps", "100", "steps of each restart"),
        Parameter::new("restarts", "1", "independent runs, judged image by image"),
        Parameter::new("rho", "0.75", "share of steps that must raise the loss"),
        Parameter::new("eot", "1", "looks that a gradient is averaged over, for random networks"),
    ],
    parse,
};

/// ρ as its authors choose it.
const RHO: f64 = 0.75;

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = ApgdOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(ApgdOptions {
        loss: given.or("loss", default.loss)?,
        steps: given.or("steps", default.steps)?,
        restarts: given.or("restarts", default.restarts)?,
        rho: given.or("rho", default.rho)?,
        eot: given.or("eot", default.eot)?,
        ..default
    }))
}

/// The parameters of [`apgd`]. The defaults are those of [`ApgdOptions::new`], and of AutoAttack's
/// `standard` version.
#[derive(Clone, Debug, PartialEq)]
pub struct ApgdOptions {
    /// The norm of the ball: ℓ∞ or ℓ2. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// What is climbed. Default the cross-entropy.
    pub loss: Loss,
    /// Steps of each restart. Default 100.
    pub steps: usize,
    /// Independent runs, judged sample by sample. Default 1.
    pub restarts: usize,
    /// ρ: the step is halved where no larger share of the steps since the last checkpoint raised
    /// the loss. Default 0.75.
    pub rho: f64,
    /// Looks at each iterate that its gradient is averaged over, for networks that answer at random
    /// (expectation over transformation). Default 1; with more, solved samples stay in their run.
    pub eot: usize,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl ApgdOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self {
            norm,
            epsilon,
            loss: Loss::default(),
            steps: 100,
            restarts: 1,
            rho: RHO,
            eot: 1,
            region: None,
        }
    }
}

impl Attack for ApgdOptions {
    usual!(apgd: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        ENTRY.check_norm(self.norm)?;
        self.epsilon.check_within("ε", self.norm, dimension)?;
        self.loss.check(ENTRY.name, classes)?;
        let counts = [("steps", self.steps), ("restarts", self.restarts), ("eot", self.eot)];
        check_numbers(ENTRY.name, &counts, self.rho)
    }
}

impl fmt::Display for ApgdOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm, epsilon, loss, steps, restarts, rho, eot, .. } = self;
        let epsilon = epsilon.notation();
        write!(out, "apgd:norm={norm},eps={epsilon},loss={loss},steps={steps}")?;
        write!(out, ",restarts={restarts}")?;
        write_rarer(out, *rho, *eot)
    }
}

/// What both attacks of this family ask of their numbers.
fn check_numbers(attack: &'static str, counts: &[(&'static str, usize)], rho: f64) -> Result<()> {
    let refuse = |parameter, value: String, reason: &str| {
        Err(AttackError::Parameter { attack, parameter, value, reason: reason.into() })
    };
    if let Some((parameter, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return refuse(parameter, "0".into(), "at least 1 is needed");
    }
    if !(0.0..=1.0).contains(&rho) {
        return refuse("rho", rho.to_string(), "a share from 0 to 1 is needed; 0.75 is usual");
    }
    Ok(())
}

fn write_rarer(out: &mut fmt::Formatter<'_>, rho: f64, eot: usize) -> fmt::Result {
    if rho != RHO {
        write!(out, ",rho={rho}")?;
    }
    if eot != 1 {
        write!(out, ",eot={eot}")?;
    }
    Ok(())
}

/// Auto-PGD: with z ← box(ball(x + η·direction(∇ℓ))), x ← box(ball(x + ¾(z − x) + ¼(x − before))).
/// The step η starts at 2ε; at checkpoints it is halved, and the search returns to the iterate of
/// highest loss, where the loss rose too rarely or its maximum did not move. Starts are random on
/// the border of the ball.
///
/// Every iterate is judged, the first and the last included; a misclassified one is never lost.
/// Each iterate lies within ε·(1 + 1e-6) of its image, and in [0, 1].
///
/// The start's loss takes part in the first checkpoint, as in the paper. (The authors' program
/// compares the first step's loss with 0 there.)
///
/// Source: Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
/// diverse parameter-free attacks", algorithm 1. Cost of a restart: at most `steps·eot + 1` forwards
/// and `steps·eot` backwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn apgd(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &ApgdOptions,
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
        cost: [0, 0],
    };
    let objective = Objective::Loss(options.loss);
    let mut search = Search::new(&images, Goal::away_from(labels));
    for restart in 0..options.restarts {
        let rows = search.unsolved();
        let start = ascent.ball.border_start(&rows, images.shape(), streams, restart)?;
        ascent.run(&rows, &start, &objective, &mut search)?;
    }
    let [forward, backward] = ascent.cost;
    search.finish(forward, backward)
}
