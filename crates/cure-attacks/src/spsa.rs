//! Simultaneous perturbation stochastic approximation (Uesato et al. 2018): gradients estimated
//! from logits alone.

mod probes;

use std::fmt;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

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
use crate::warning::Warning;

use probes::{Climber, Probes};

pub(crate) const ENTRY: Entry = Entry {
    name: "spsa",
    title: "gradients estimated from logits",
    knowledge: Knowledge::Logits,
    kind: Kind::Budget,
    norms: &[Norm::Linf],
    reference: "Uesato et al. 2018",
    cost: "steps × (2 × samples + 1) + 1 forwards",
    parameters: &[
        Parameter::new("norm", "linf", "linf"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("steps", "100", "steps of Adam"),
        Parameter::new("step", "0.01", "Adam's learning rate: about the pixels of one step"),
        Parameter::new("samples", "128", "random directions of each step; 8192 for publication"),
        Parameter::new("delta", "0.01", "pixels from the iterate to each side along a direction"),
        Parameter::new("loss", "margin", "margin, ce, ce-f32 or dlr"),
        Parameter::new("early-stop", "true", "whether solved images leave the batch"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = SpsaOptions::new(given.epsilon()?);
    Ok(AttackSpec::new(SpsaOptions {
        loss: given.or("loss", default.loss)?,
        steps: given.or("steps", default.steps)?,
        step: given.or("step", default.step)?,
        samples: given.or("samples", default.samples)?,
        delta: given.or("delta", default.delta)?,
        early_stop: given.or("early-stop", default.early_stop)?,
        ..default
    }))
}

/// The number of the stream, apart from those of random starts.
const STREAM: usize = 1 << 20;

/// The parameters of [`spsa`]. The defaults are those of [`SpsaOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct SpsaOptions {
    /// ε, the radius of the ℓ∞ ball in pixels.
    pub epsilon: Epsilon,
    /// What is climbed. Default the margin.
    pub loss: Loss,
    /// Steps of Adam. Default 100.
    pub steps: usize,
    /// Adam's learning rate in pixels. Default 0.01, whatever ε is.
    pub step: Epsilon,
    /// Random directions of each step. Default 128, which a laptop can afford; publications use
    /// 8192, and with few the estimate is mostly noise.
    pub samples: usize,
    /// δ: how far from the iterate the loss is looked at, in pixels. Default 0.01.
    pub delta: Epsilon,
    /// Whether a solved sample leaves the batch. Default yes.
    pub early_stop: bool,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl SpsaOptions {
    /// The defaults at a radius: those of AdverTorch's benchmark, apart from `samples`.
    pub fn new(epsilon: Epsilon) -> Self {
        Self {
            epsilon,
            loss: Loss::Margin,
            steps: 100,
            step: Epsilon::HUNDREDTH,
            samples: 128,
            delta: Epsilon::HUNDREDTH,
            early_stop: true,
            region: None,
        }
    }
}

impl Attack for SpsaOptions {
    usual!(spsa: name, epsilon, at, region, run);

    fn norm(&self) -> Norm {
        Norm::Linf
    }

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        self.epsilon.check_within("ε", Norm::Linf, dimension)?;
        self.step.check_within("step", Norm::Linf, dimension)?;
        self.delta.check_within("delta", Norm::Linf, dimension)?;
        self.loss.check(ENTRY.name, classes)?;
        for (parameter, value) in [("steps", self.steps), ("samples", self.samples)] {
            if value == 0 {
                let reason = "at least 1 is needed".into();
                let (attack, value) = (ENTRY.name, value.to_string());
                return Err(AttackError::Parameter { attack, parameter, value, reason });
            }
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<Warning> {
        // A step of Adam is hardly longer than its rate.
        if self.step.value() * (self.steps as f64) < self.epsilon.value() * (1.0 - 1e-9) {
            vec![Warning::OutOfReach { attack: self.to_string() }]
        } else {
            Vec::new()
        }
    }
}

impl fmt::Display for SpsaOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (epsilon, step) = (self.epsilon.notation(), self.step.notation());
        write!(out, "spsa:norm=linf,eps={epsilon},steps={},step={step},", self.steps)?;
        write!(out, "samples={},delta={}", self.samples, self.delta.notation())?;
        if self.loss != Loss::Margin {
            write!(out, ",loss={}", self.loss)?;
        }
        if self.early_stop { Ok(()) } else { write!(out, ",early-stop=false") }
    }
}

/// Ascent on an estimated gradient (Uesato et al. 2018): for each random v ∈ {−1, 1}ᵈ the loss is
/// looked at on both sides of the current iterate, ℓ(x + δv) and ℓ(x − δv), and the gradient is
/// the mean of [ℓ(x + δv) − ℓ(x − δv)] / 2δv. Adam follows it from the clean image; after each step
/// the perturbation is cut to the ball and the point to the box.
///
/// The points on both sides are cut to [0, 1] as well, and where that moves them the difference is
/// divided by the distance that is left in that pixel, so that the estimate stays unbiased on a
/// linear loss. They may lie up to δ outside the ball; those inside it are examples like any
/// other, and kept where they are misclassified (AdverTorch's SPSA looks at its last iterate
/// only). Differences that are not finite are left out. Samples whose estimates were all zero end
/// undecided.
///
/// The losses are looked at in batches of as many images as are attacked, at least 64: memory,
/// never results.
///
/// Cost: at most `steps · (2 · samples + 1) + 1` forwards an image, no backward.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn spsa(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &SpsaOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let centers = images.host();
    let region = options.region.as_ref();
    let ball = Ball::new(Norm::Linf, options.epsilon, &centers, labels.len(), region);
    let mut search = Search::new(&images, Goal::away_from(labels));
    let mut climbers: Vec<Climber> = (0..labels.len())
        .map(|row| Climber::new(streams.stream(row, STREAM), ball.length))
        .collect();
    let mut probes = Probes::new(classifier, labels, options, &ball);
    // The samples still on their way: positions in the batch.
    let mut rows: Vec<usize> = (0..labels.len()).collect();
    let mut points = images.clone();
    for step in 0..=options.steps {
        if !rows.is_empty() {
            let logits = check::logits_of(classifier, &points)?;
            probes.forward += rows.len() as u64;
            search.judge(&rows, &points, &logits, options.loss)?;
        }
        let is_done = |row: usize| options.early_stop && search.is_solved(row);
        let keep: Vec<usize> = (0..rows.len()).filter(|&slot| !is_done(rows[slot])).collect();
        if step == options.steps || keep.is_empty() {
            break;
        }
        rows = keep.iter().map(|&slot| rows[slot]).collect();
        points = ops::select(&points, &keep)?;
        probes.estimate(&rows, &points, &mut climbers, &mut search)?;
        let rate = options.step.value();
        for &row in &rows {
            climbers[row].climb(rate);
        }
        points = ball.shift(&rows, &points, |row| climbers[row].change())?;
    }
    search.finish(probes.forward, 0)
}
