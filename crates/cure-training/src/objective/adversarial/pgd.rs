//! Adversarial training by projected gradient descent (Madry et al. 2018): 2·steps + 3 passes, and
//! 3 with adversarial weight perturbation.

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use serde::{Deserialize, Serialize};

use super::super::entry::{
    ATTACK_MODE, AWP, EPS, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, STEP, check_count, is_zero,
};
use super::clean::CLEAN;
use super::{AdversarialOptions, Climbing};
use crate::Result;

pub(in super::super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "pgd-at",
    title: "adversarial training by projected gradient descent",
    reference: "Madry et al. 2018; awp: Wu et al. 2020",
    passes: "17: 2·steps + 3; awp +3",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("steps", "7", "steps of the attack"),
        STEP,
        Parameter::new("random_start", "true", "whether it starts in the ball or at the image"),
        AWP,
        CLEAN,
        LOSS_MODE,
        ATTACK_MODE,
        SMOOTHING,
    ],
};

/// The parameters of adversarial training by projected gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PgdAtOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// Steps. Default 7.
    #[serde(default = "seven")]
    pub steps: usize,
    /// The length of a step in pixels. Default ε/4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// Whether it starts at a random point of the ball. Default yes.
    #[serde(default = "yes")]
    pub random_start: bool,
    /// γ of adversarial weight perturbation: how far each weight tensor goes, as a share of its
    /// norm. Default 0, none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub awp: f64,
    /// The share of the samples that are not attacked. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clean: f64,
    /// What all forms have.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

/// For fields of all objectives that attack.
pub(in super::super) fn linf() -> Norm {
    Norm::Linf
}

fn seven() -> usize {
    7
}

fn yes() -> bool {
    true
}

impl PgdAtOptions {
    /// The defaults at a radius.
    pub fn new(eps: Epsilon) -> Self {
        Self {
            eps,
            norm: linf(),
            steps: seven(),
            step: None,
            random_start: yes(),
            awp: 0.0,
            clean: 0.0,
            common: AdversarialOptions::default(),
        }
    }
}

impl Climbing for PgdAtOptions {
    fn common(&self) -> &AdversarialOptions {
        &self.common
    }

    fn clean(&self) -> f64 {
        self.clean
    }

    fn climb(&self) -> Climb {
        Climb {
            norm: self.norm,
            epsilon: Some(self.eps),
            step: self.step.unwrap_or(self.eps.quarter()),
            steps: self.steps,
            start: self.random_start.then_some(self.eps),
        }
    }

    fn awp(&self) -> f64 {
        self.awp
    }

    fn check_more(&self) -> Result<()> {
        check_count("objective.steps", self.steps)
    }
}
