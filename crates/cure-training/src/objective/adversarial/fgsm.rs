//! Adversarial training by one step of FGSM, in three forms, 5 passes each:
//!
//! * `fgsm-at` (Goodfellow et al. 2015): ε along the sign at the image. It is known to overfit
//!   catastrophically where ε is large: robust to this one step and to nothing else.
//! * `fgsm-rs` (Wong et al. 2020): from a uniform point of the ball a step of 1.25 ε, cut to the
//!   ball.
//! * `n-fgsm` (de Jorge et al. 2022): from noise uniform within kε, k = 2, a step of ε that no ball
//!   cuts: the point is up to (k + 1)ε away.
//!
//! All are cut to [0, 1].

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use serde::{Deserialize, Serialize};

use super::super::entry::{
    ATTACK_MODE, EPS, Follows, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, check_number, is_zero,
};
use super::clean::CLEAN;
use super::pgd::linf;
use super::{AdversarialOptions, Climbing};
use crate::Result;

const PASSES: &str = "5";

pub(in super::super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "fgsm-at",
    title: "adversarial training by FGSM from the image itself",
    reference: "Goodfellow et al. 2015",
    passes: PASSES,
    parameters: &[EPS, NORM, CLEAN, LOSS_MODE, ATTACK_MODE, SMOOTHING],
};

pub(in super::super) const RANDOM_ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "fgsm-rs",
    title: "adversarial training by FGSM from a random start",
    reference: "Wong et al. 2020",
    passes: PASSES,
    parameters: &[
        EPS,
        NORM,
        Parameter::new("step", "1.25·eps", "length of the step in pixels"),
        CLEAN,
        LOSS_MODE,
        ATTACK_MODE,
        SMOOTHING,
    ],
};

pub(in super::super) const NOISE_ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "n-fgsm",
    title: "adversarial training by FGSM from noise, not projected",
    reference: "de Jorge et al. 2022",
    passes: PASSES,
    parameters: &[
        EPS,
        NORM,
        Parameter::new("noise", "2", "k: the noise is uniform in the ball of k·eps"),
        CLEAN,
        LOSS_MODE,
        ATTACK_MODE,
        SMOOTHING,
    ],
};

/// The parameters of `fgsm-at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FgsmAtOptions {
    /// ε, the length of the step in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// The share of the samples that are not attacked. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clean: f64,
    /// What all forms have.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

impl Climbing for FgsmAtOptions {
    fn common(&self) -> &AdversarialOptions {
        &self.common
    }

    fn clean(&self) -> f64 {
        self.clean
    }

    fn climb(&self) -> Climb {
        one_step(self.norm, Some(self.eps), self.eps, None)
    }
}

/// The parameters of `fgsm-rs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FgsmRsOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// The length of the step in pixels. Default 1.25 ε.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// The share of the samples that are not attacked. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clean: f64,
    /// What all forms have.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

impl Climbing for FgsmRsOptions {
    fn common(&self) -> &AdversarialOptions {
        &self.common
    }

    fn clean(&self) -> f64 {
        self.clean
    }

    fn climb(&self) -> Climb {
        /// Of ε: Wong et al. found it the best.
        const STEP: f64 = 1.25;
        let step = self.step.unwrap_or(self.eps.times(STEP));
        one_step(self.norm, Some(self.eps), step, Some(self.eps))
    }

    fn follows(&self) -> Option<Follows> {
        let (parameter, formula) = ("objective.eps", "the step of 1.25·eps (unless one is given)");
        let given = self.eps.value();
        self.step.is_none().then_some(Follows { length: "step", parameter, given, formula })
    }
}

/// The parameters of `n-fgsm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NFgsmOptions {
    /// ε, the length of the step in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// k, the radius of the noise as a multiple of ε. Default 2.
    #[serde(default = "two")]
    pub noise: f64,
    /// The share of the samples that are not attacked. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clean: f64,
    /// What all forms have.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

fn two() -> f64 {
    2.0
}

impl Climbing for NFgsmOptions {
    fn common(&self) -> &AdversarialOptions {
        &self.common
    }

    fn clean(&self) -> f64 {
        self.clean
    }

    fn climb(&self) -> Climb {
        one_step(self.norm, None, self.eps, Some(self.eps.times(self.noise)))
    }

    fn follows(&self) -> Option<Follows> {
        let (length, formula) = ("the random start", "noise·eps");
        Some(Follows { length, parameter: "objective.noise", given: self.noise, formula })
    }

    fn check_more(&self) -> Result<()> {
        let accepted = || "a finite number above 0 (without noise it is fgsm-at)".into();
        let is_fine = self.noise > 0.0 && self.noise.is_finite();
        check_number("objective.noise", self.noise, is_fine, accepted)
    }
}

fn one_step(norm: Norm, epsilon: Option<Epsilon>, step: Epsilon, start: Option<Epsilon>) -> Climb {
    Climb { norm, epsilon, step, steps: 1, start }
}
