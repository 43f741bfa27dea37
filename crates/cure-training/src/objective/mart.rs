//! MART (Wang et al. 2020): the mean of −log p_y(x′) − log(1 − max p_k(x′)), k ≠ y, plus
//! λ·(1 − p_y(x))·KL(p(x) ‖ p(x′)): attacked images that are misclassified without an attack weigh
//! more. x′ climbs the cross-entropy. All probabilities depend on θ, those of the weight 1 − p_y(x)
//! too. (The authors' code has 1.0001 − p_m(x′) in the logarithm, and 10 steps of 0.007 for
//! ε = 0.031.)
//!
//! Cost: 2·steps passes for the attack, 6 for the two points.

use cure_attacks::{Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::adversarial::{AdversarialOptions, climb_loss, pgd::linf};
use super::batch_norm::Passes;
use super::entry::{
    ATTACK_MODE, EPS, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, START, STEP, check_climb,
    check_count, check_weight, nearby, ten,
};
use super::loss::{count_correct, cross_entropy, divergence, log_probabilities};
use super::pair::{Terms, check_near, near, pair, rows};
use super::part::{Batch, Part};
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "mart",
    title: "adversarial training that weighs misclassified images",
    reference: "Wang et al. 2020",
    passes: "26: 2·steps + 6",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("lambda", "5", "λ, weight of the divergence"),
        Parameter::new("steps", "10", "steps of the attack"),
        STEP,
        START,
        LOSS_MODE,
        ATTACK_MODE,
        SMOOTHING,
    ],
};

/// The parameters of MART.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MartOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// λ, the weight of the divergence. Default 5.
    #[serde(default = "five")]
    pub lambda: f64,
    /// Steps of the attack. Default 10.
    #[serde(default = "ten")]
    pub steps: usize,
    /// The length of a step in pixels. Default ε/4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// The radius in pixels of the ball that the attack's start is drawn from. Default 0.001, or ε
    /// where that is smaller.
    #[serde(default = "nearby")]
    pub start: Epsilon,
    /// What all adversarial training has; `smoothing` is that of −log p_y(x′).
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

fn five() -> f64 {
    5.0
}

impl Minimise for MartOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.common.loss().check()?;
        check_weight("objective.lambda", self.lambda)?;
        check_count("objective.steps", self.steps)?;
        check_near(self.eps, self.start)?;
        let climb = near(self.eps, self.norm, self.steps, self.step, self.start);
        check_climb(&climb, dimension, None)
    }

    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        _: &EpochValues,
    ) -> Result<Option<Tensor>> {
        let passes = Passes::new(network, self.common.attack_mode)?;
        let climb = near(self.eps, self.norm, self.steps, self.step, self.start);
        climb_loss(passes.classifier(), batch, &climb).map(Some)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        pair(self.common.loss_mode, network, batch, |clean, perturbed| {
            self.terms(clean, perturbed, batch.labels)
        })
    }
}

impl MartOptions {
    fn terms(&self, clean: &Tensor, perturbed: &Tensor, labels: &[usize]) -> Result<Terms> {
        let (classes, shape) = (clean.shape()[1], clean.shape());
        let attacked = cross_entropy(perturbed, labels, self.common.smoothing)?;
        let mut loss = attacked.losses.sum();
        let (mut regularizer, mut by_clean) = (0.0, Vec::with_capacity(clean.len()));
        let mut by_perturbed = attacked.residual.host().into_owned();
        let (clean_values, perturbed_values) = (clean.host(), perturbed.host());
        let samples = rows(&clean_values, &perturbed_values, classes).zip(labels);
        for (((p, q), &label), by_perturbed) in samples.zip(by_perturbed.chunks_exact_mut(classes))
        {
            let (log_p, log_q) = (log_probabilities(p), log_probabilities(q));
            let (margin, by_margin) = margin(&log_q, label);
            loss += margin;
            let (value, by_p, by_q) = divergence(&log_p, &log_q);
            let at_label = log_p[label].exp();
            let weight = 1.0 - at_label;
            regularizer += weight * value;
            for class in 0..classes {
                let off = if class == label { 1.0 } else { 0.0 } - log_p[class].exp();
                let by = weight * by_p[class] - value * at_label * off;
                by_clean.push((self.lambda * by) as f32);
                by_perturbed[class] +=
                    (by_margin[class] + self.lambda * weight * by_q[class]) as f32;
            }
        }
        let seeds = [Tensor::new(shape, by_clean)?, Tensor::new(shape, by_perturbed)?];
        let objective = loss + self.lambda * regularizer;
        Ok(Terms { objective, loss, regularizer, correct: count_correct(perturbed, labels), seeds })
    }
}

/// −log(1 − q_m), q_m the largest probability of another class than the label, and its gradient
/// with respect to the logits, q_m/(1 − q_m)·(δ_km − q_k). 1 − q_m is the sum of the others: exact
/// where q_m rounds to 1.
fn margin(log_q: &[f64], label: usize) -> (f64, Vec<f64>) {
    let others = (0..log_q.len()).filter(|&class| class != label);
    let Some(most) = others.max_by(|&a, &b| log_q[a].total_cmp(&log_q[b])) else {
        return (0.0, vec![0.0; log_q.len()]);
    };
    let q = |class: usize| log_q[class].exp();
    let rest: f64 = (0..log_q.len()).filter(|&class| class != most).map(q).sum();
    let odds = q(most) / rest;
    let by = |class: usize| odds * if class == most { rest } else { -q(class) };
    (-rest.ln(), (0..log_q.len()).map(by).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::Objective;
    use super::super::pair::tests::check_seeds;

    #[test]
    fn seeds_are_the_gradients_of_the_objective() {
        let Objective::Mart(options) = "mart:eps=0.1,smoothing=0.1".parse().unwrap() else {
            panic!()
        };
        check_seeds(|clean, perturbed| options.terms(clean, perturbed, &[2, 0]));
    }
}
