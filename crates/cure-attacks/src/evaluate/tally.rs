use serde::{Deserialize, Serialize};

use super::flags::LateRise;
use super::members;
use crate::adversarial::MemberTally;
use crate::attack::AttackSpec;
use crate::warning::Warning;

/// What an attack cost and what was odd about it, over all its batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) forward: u64,
    pub(super) backward: u64,
    pub(super) seconds: f64,
    pub(super) rounded_successes_lost: Option<usize>,
    pub(super) zero_gradient: usize,
    pub(super) non_finite_gradient: usize,
    pub(super) non_finite_logits: usize,
    pub(super) undecided: usize,
    pub(super) unconfirmed: usize,
    pub(super) has_targets: bool,
    /// Samples that reached their target, or without targets were fooled, however far away.
    pub(super) on_target: usize,
    pub(super) rise: LateRise,
    /// For an attack made of several, what each of them did.
    pub(super) members: Vec<MemberTally>,
}

impl Tally {
    /// Takes another batch in.
    pub(super) fn add(&mut self, batch: &Self) {
        self.forward += batch.forward;
        self.backward += batch.backward;
        self.seconds += batch.seconds;
        if let Some(lost) = batch.rounded_successes_lost {
            *self.rounded_successes_lost.get_or_insert(0) += lost;
        }
        self.zero_gradient += batch.zero_gradient;
        self.non_finite_gradient += batch.non_finite_gradient;
        self.non_finite_logits += batch.non_finite_logits;
        self.undecided += batch.undecided;
        self.unconfirmed += batch.unconfirmed;
        self.has_targets |= batch.has_targets;
        self.on_target += batch.on_target;
        self.rise.add(&batch.rise);
        members::add(&mut self.members, &batch.members);
    }

    pub(super) fn warnings(&self, spec: &AttackSpec, attacked: usize) -> Vec<Warning> {
        let attack = || spec.to_string();
        [
            (
                self.zero_gradient,
                Warning::ZeroGradient { attack: attack(), samples: self.zero_gradient, attacked },
            ),
            (
                self.non_finite_gradient,
                Warning::NonFiniteGradient {
                    attack: attack(),
                    samples: self.non_finite_gradient,
                    attacked,
                },
            ),
            (
                self.non_finite_logits,
                Warning::NonFiniteLogits {
                    stage: attack(),
                    samples: self.non_finite_logits,
                    of: attacked,
                },
            ),
            (
                self.undecided,
                Warning::Undecided { attack: attack(), samples: self.undecided, attacked },
            ),
            (
                self.unconfirmed,
                Warning::Unconfirmed { attack: attack(), samples: self.unconfirmed },
            ),
        ]
        .into_iter()
        .filter_map(|(samples, warning)| (samples > 0).then_some(warning))
        .chain(self.rise.warning(spec))
        .collect()
    }
}
