//! TRADES (Zhang et al. 2019): the mean of ℓ(x) + β·KL(p(x) ‖ p(x′)), x′ the point of the ball that
//! the attack finds by climbing that divergence. Both p(x) and p(x′) depend on θ. (The authors'
//! code has 10 steps of 0.007 for ε = 0.031.)
//!
//! Cost: 2·steps passes for the attack and 1 for p(x) there; 6 for the two points, twice with
//! adversarial weight perturbation. With β = 0 it is the standard objective, at its cost.

use cure_attacks::{Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use super::adversarial::{AdversarialOptions, pgd::linf};
use super::batch_norm::Passes;
use super::entry::{
    ATTACK_MODE, AWP, EPS, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, START, STEP, check_climb,
    check_count, check_share, check_weight, is_zero, nearby, ten,
};
use super::loss::{count_correct, cross_entropy, divergence, log_probabilities};
use super::pair::{Terms, check_near, near, pair, rows};
use super::part::{Batch, Part};
use super::standard::mean_loss;
use super::{EpochValues, Minimise, awp};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "trades",
    title: "the loss and the divergence of an attacked prediction",
    reference: "Zhang et al. 2019; awp: Wu et al. 2020",
    passes: "27: 2·steps + 7; awp +6",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("beta", "6", "β, weight of the divergence"),
        Parameter::new("steps", "10", "steps of the attack"),
        STEP,
        START,
        AWP,
        LOSS_MODE,
        ATTACK_MODE,
        SMOOTHING,
    ],
};

/// The parameters of TRADES.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TradesOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// β, the weight of the divergence. Default 6.
    #[serde(default = "six")]
    pub beta: f64,
    /// Steps of the attack. Default 10.
    #[serde(default = "ten")]
    pub steps: usize,
    /// The length of a step in pixels. Default ε/4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// The radius in pixels of the ball that the attack's start is drawn from. Default 0.001, or ε
    /// where that is smaller. (The authors draw from the normal distribution of that deviation.)
    #[serde(default = "nearby")]
    pub start: Epsilon,
    /// γ of adversarial weight perturbation. Default 0, none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub awp: f64,
    /// What all adversarial training has.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

fn six() -> f64 {
    6.0
}

impl Minimise for TradesOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.common.loss().check()?;
        check_weight("objective.beta", self.beta)?;
        check_share("objective.awp", self.awp)?;
        check_count("objective.steps", self.steps)?;
        check_near(self.eps, self.start)?;
        let climb = near(self.eps, self.norm, self.steps, self.step, self.start);
        check_climb(&climb, dimension, None)
    }

    /// Up KL(p(x) ‖ p(x′)), whose gradient with respect to f(x′) is p(x′) − p(x).
    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        _: &EpochValues,
    ) -> Result<Option<Tensor>> {
        if self.beta == 0.0 {
            return Ok(None);
        }
        let passes = Passes::new(network, self.common.attack_mode)?;
        let classifier = passes.classifier();
        let clean = ops::softmax(&classifier.logits(batch.images)?)?;
        let climb = near(self.eps, self.norm, self.steps, self.step, self.start);
        let gradient = |points: &Tensor| {
            let pass = classifier.linearize(points)?;
            let seed = ops::subtract(&ops::softmax(pass.logits())?, &clean)?;
            Ok(pass.pullback(&seed)?)
        };
        climb.run(batch.images, &batch.attack_streams(), batch.draw(0), gradient).map(Some)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        if self.beta == 0.0 {
            return mean_loss(&self.common.loss(), network, batch, batch.images);
        }
        awp::with_perturbation(self.awp, network, |network| {
            pair(self.common.loss_mode, network, batch, |clean, perturbed| {
                self.terms(clean, perturbed, batch.labels)
            })
        })
    }
}

impl TradesOptions {
    fn terms(&self, clean: &Tensor, perturbed: &Tensor, labels: &[usize]) -> Result<Terms> {
        let loss = cross_entropy(clean, labels, self.common.smoothing)?;
        let (mut regularizer, mut by_clean, mut by_perturbed) = (0.0, Vec::new(), Vec::new());
        for (p, q) in rows(&clean.host(), &perturbed.host(), clean.shape()[1]) {
            let (value, by_p, by_q) = divergence(&log_probabilities(p), &log_probabilities(q));
            regularizer += value;
            by_clean.extend(by_p.iter().map(|by| (self.beta * by) as f32));
            by_perturbed.extend(by_q.iter().map(|by| (self.beta * by) as f32));
        }
        let by_clean = Tensor::new(clean.shape(), by_clean)?;
        let sum = loss.losses.sum();
        Ok(Terms {
            objective: sum + self.beta * regularizer,
            loss: sum,
            regularizer,
            correct: count_correct(clean, labels),
            seeds: [ops::add(by_clean, &loss.residual)?, Tensor::new(clean.shape(), by_perturbed)?],
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::Objective;
    use super::super::pair::tests::check_seeds;

    #[test]
    fn seeds_are_the_gradients_of_the_objective() {
        let Objective::Trades(options) = "trades:eps=0.1,smoothing=0.1".parse().unwrap() else {
            panic!()
        };
        check_seeds(|clean, perturbed| options.terms(clean, perturbed, &[2, 0]));
    }
}
