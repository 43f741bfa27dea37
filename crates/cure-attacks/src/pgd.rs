//! Projected gradient descent (Madry et al. 2018).

use std::fmt;
use std::str::FromStr;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::{Adversarial, Goal, Search};
use crate::attack::{Attack, AttackSpec};
use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::late::LateGain;
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::{Region, restrict};
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;
use crate::target::Target;
use crate::warning::Warning;

pub(crate) const ENTRY: Entry = Entry {
    name: "pgd",
    title: "projected gradient descent",
    knowledge: Knowledge::Gradients,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    reference: "Madry et al. 2018; momentum: Dong et al. 2018",
    cost: "restarts × (steps + 1 forwards, steps backwards)",
    parameters: &[
        Parameter::new("norm", "linf", "linf, l2 or l1"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("steps", "20", "steps of each restart"),
        Parameter::new("step", "eps/4", "length of a step in pixels"),
        Parameter::new("random-start", "true", "true (in the ball), sphere, or false (the image)"),
        Parameter::new("restarts", "1", "independent runs, judged image by image"),
        Parameter::new("loss", "ce", "ce, ce-f32, margin or dlr"),
        Parameter::new("momentum", "0", "share of the last direction that is kept"),
        Parameter::new("target", "none", "next, least-likely or a class to aim at"),
        Parameter::new("early-stop", "true", "whether solved images leave the batch"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = PgdOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(PgdOptions {
        loss: given.or("loss", default.loss)?,
        steps: given.or("steps", default.steps)?,
        step: given.or("step", default.step)?,
        start: given.or("random-start", default.start)?,
        restarts: given.or("restarts", default.restarts)?,
        momentum: given.or("momentum", default.momentum)?,
        target: given.get("target")?,
        early_stop: given.or("early-stop", default.early_stop)?,
        ..default
    }))
}

/// Where an iteration starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the clean image: `false`.
    Clean,
    /// At a random point of the ball: `true`.
    #[default]
    Ball,
    /// At a random point of its border: `sphere`.
    Sphere,
}

impl fmt::Display for Start {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Clean => "false",
            Self::Ball => "true",
            Self::Sphere => "sphere",
        })
    }
}

impl FromStr for Start {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "false" => Ok(Self::Clean),
            "true" => Ok(Self::Ball),
            "sphere" => Ok(Self::Sphere),
            other => Err(AttackError::Parameter {
                attack: "pgd",
                parameter: "random-start",
                value: other.into(),
                reason: "true, false or sphere is needed".into(),
            }),
        }
    }
}

/// The parameters of [`pgd`]. The defaults are those of [`PgdOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct PgdOptions {
    /// The norm of the ball, and of a step. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// What is climbed. Default the cross-entropy.
    pub loss: Loss,
    /// Steps of each restart. Default 20.
    pub steps: usize,
    /// The length of a step in pixels. Default ε/4, which for ε = 8/255 is the usual 2/255.
    pub step: Epsilon,
    /// Where each restart begins. Default in the ball.
    pub start: Start,
    /// Independent runs, judged sample by sample. Default 1; more need a random start.
    pub restarts: usize,
    /// μ: a step follows g/‖g‖₁ plus μ times the sum before it (MI-FGSM). Default 0, the gradient.
    pub momentum: f64,
    /// The class aimed at: its loss is descended, and reaching it is the success. Default none.
    pub target: Option<Target>,
    /// Whether a solved sample leaves the batch. It changes the cost, and which of several
    /// misclassified iterates is returned, never whether one is found. Default yes.
    pub early_stop: bool,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl PgdOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self {
            norm,
            epsilon,
            loss: Loss::default(),
            steps: 20,
            step: epsilon.quarter(),
            start: Start::Ball,
            restarts: 1,
            momentum: 0.0,
            target: None,
            early_stop: true,
            region: None,
        }
    }
}

impl Attack for PgdOptions {
    usual!(pgd: name, norm, epsilon, region, run);

    fn at(&self, epsilon: Epsilon) -> AttackSpec {
        let step = epsilon.times(self.step.value() / self.epsilon.value());
        AttackSpec::new(Self { epsilon, step, ..self.clone() })
    }

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        self.epsilon.check_within("ε", self.norm, dimension)?;
        // That of the default follows ε, however small.
        if self.step != Self::new(self.norm, self.epsilon).step {
            self.step.check_within("step", self.norm, dimension)?;
        }
        self.loss.check(ENTRY.name, classes)?;
        let refuse = |parameter, value: String, reason: String| {
            Err(AttackError::Parameter { attack: ENTRY.name, parameter, value, reason })
        };
        if self.steps == 0 {
            return refuse("steps", "0".into(), "at least 1 is needed".into());
        }
        if self.restarts == 0 {
            return refuse("restarts", "0".into(), "at least 1 is needed".into());
        }
        if self.restarts > 1 && self.start == Start::Clean {
            let reason = "without a random start all restarts are the same; \
                          set random-start=true or restarts=1";
            return refuse("restarts", self.restarts.to_string(), reason.into());
        }
        if !(self.momentum >= 0.0 && self.momentum.is_finite()) {
            let reason = "a finite number, 0 or more, is needed";
            return refuse("momentum", self.momentum.to_string(), reason.into());
        }
        match (self.target, classes) {
            (Some(Target::Class(class)), Some(classes)) if class >= classes => {
                let reason = format!("the network's classes are 0 to {}", classes - 1);
                refuse("target", class.to_string(), reason)
            }
            _ => Ok(()),
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let (step, epsilon) = (self.step.value(), self.epsilon.value());
        if step > epsilon {
            vec![Warning::StepLargerThanEpsilon { attack: self.to_string() }]
        } else if step * (self.steps as f64) < epsilon * (1.0 - 1e-9) {
            vec![Warning::OutOfReach { attack: self.to_string() }]
        } else {
            Vec::new()
        }
    }
}

impl fmt::Display for PgdOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (epsilon, step) = (self.epsilon.notation(), self.step.notation());
        write!(out, "pgd:norm={},eps={epsilon},steps={},step={step},", self.norm, self.steps)?;
        write!(out, "random-start={},restarts={}", self.start, self.restarts)?;
        if self.momentum != 0.0 {
            write!(out, ",momentum={}", self.momentum)?;
        }
        if let Some(target) = self.target {
            write!(out, ",target={target}")?;
        }
        if !self.early_stop {
            write!(out, ",early-stop=false")?;
        }
        self.loss.write_unless_default(out)
    }
}

/// Projected gradient ascent on the loss: x ← box(ball(x + step·direction(∇ℓ))), where the
/// direction is sign(g) with sign(0) = 0 in ℓ∞ and g/‖g‖ in ℓ2 and ℓ1. Without a random start it is
/// Foolbox's `LinfPGD`/`L2PGD` with `abs_stepsize`.
///
/// Every iterate is judged, the first and the last included; a misclassified one is never lost.
/// Each iterate lies within ε·(1 + 1e-6) of its image, and in [0, 1].
///
/// Cost of a restart: at most `steps + 1` forwards and `steps` backwards an image; a target costs a
/// forward more.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn pgd(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &PgdOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let centers = images.host();
    let region = options.region.as_ref();
    let ball = Ball::new(options.norm, options.epsilon, &centers, labels.len(), region);
    let (mut forward, mut backward) = (0, 0);
    let goal = match options.target {
        None => Goal::away_from(labels),
        Some(target) => {
            forward += labels.len() as u64;
            Goal::towards(target, labels, &check::logits_of(classifier, &images)?)
        }
    };
    let mut search = Search::new(&images, goal);
    let mut late = LateGain::new(options.steps, labels.len());
    for restart in 0..options.restarts {
        // The samples still on their way: positions in the batch.
        let mut rows: Vec<usize> = (0..labels.len())
            .filter(|&row| !(options.early_stop && search.is_solved(row)))
            .collect();
        let mut points = match options.start {
            Start::Clean => ops::select(&images, &rows)?,
            start => {
                ball.random_start(&rows, images.shape(), streams, restart, start == Start::Sphere)?
            }
        };
        let mut centres = some(&images, &rows, labels.len())?;
        let mut velocity: Option<Tensor> = None;
        for step in 0..options.steps {
            if rows.is_empty() {
                break;
            }
            let network = classifier.linearize(&points)?;
            forward += rows.len() as u64;
            check::logits(classifier, network.logits(), rows.len())?;
            let residual = search.judge(&rows, &points, network.logits(), options.loss)?;
            late.note(restart, step, &rows, &search);
            let is_done = |row: usize| options.early_stop && search.is_solved(row);
            if rows.iter().all(|&row| is_done(row)) {
                rows.clear();
                break;
            }
            // ∇ℓ = Jᵀ ∂ℓ/∂logits; for the cross-entropy Jᵀ(p − y)
            let gradients = restrict(region, &rows, network.pullback(&residual)?)?;
            backward += rows.len() as u64;
            let directed = search.note_gradients(&rows, &gradients)?;
            let keep: Vec<usize> = (0..rows.len())
                .filter(|&slot| {
                    directed[slot] && !(options.early_stop && search.is_solved(rows[slot]))
                })
                .collect();
            let all = rows.len();
            rows = keep.iter().map(|&slot| rows[slot]).collect();
            let mut direction = some(&gradients, &keep, all)?;
            if options.momentum > 0.0 {
                let before = velocity.map(|velocity| some(&velocity, &keep, all)).transpose()?;
                direction = accelerated(direction, before, options.momentum)?;
                velocity = Some(direction.clone());
            }
            let from = some(&points, &keep, all)?;
            centres = some(&centres, &keep, all)?;
            points = ball.step(&rows, [&from, &centres, &direction], options.step.value())?;
        }
        if !rows.is_empty() {
            let logits = check::logits_of(classifier, &points)?;
            forward += rows.len() as u64;
            search.judge(&rows, &points, &logits, options.loss)?;
            late.note(restart, options.steps, &rows, &search);
        }
    }
    Ok(Adversarial { late_gain: late.finish(), ..search.finish(forward, backward)? })
}

/// Some of the rows of a tensor that has `all`; no copy where it is all of them in their order.
fn some(x: &Tensor, rows: &[usize], all: usize) -> Result<Tensor> {
    match rows.len() == all {
        true => Ok(x.clone()),
        false => Ok(ops::select(x, rows)?),
    }
}

/// g/‖g‖₁ + μ·before.
fn accelerated(gradients: Tensor, before: Option<Tensor>, momentum: f64) -> Result<Tensor> {
    let sizes = ops::sample_l1(&gradients)?;
    let factors: Vec<f32> =
        sizes.iter().map(|&size| (1.0 / size.max(f64::MIN_POSITIVE)) as f32).collect();
    let unit = ops::scale_samples(&gradients, &factors)?;
    Ok(match before {
        Some(before) => ops::axpy(momentum as f32, &before, unit)?,
        None => unit,
    })
}
