//! A run's schedules at an epoch and at a step.

use std::collections::BTreeMap;

use super::parameters::with_values;
use super::warm_up::{check_warm_up, warm_up};
use super::{LearningRate, ValueSchedule};
use crate::config::TrainingConfig;
use crate::error::{Result, TrainingError};
use crate::objective::{EpochValues, Objective};
use crate::optimizer::Rates;

impl TrainingConfig {
    /// Whether every schedule gives what may be given, in every epoch.
    pub(crate) fn check_schedules(&self) -> Result<()> {
        // A schedule made in code rather than read has not been checked yet.
        self.learning_rate.to_string().parse::<LearningRate>()?;
        check_warm_up(self.warm_up, self.epochs)?;
        let factor = self.batch_norm_rate;
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(TrainingError::setting("batch_norm_rate", factor, "0 or more"));
        }
        if self.regularize_every == 0 {
            return Err(TrainingError::setting("regularize_every", 0, "1 or more steps"));
        }
        if self.regularize_every > 1 && !matches!(self.objective, Objective::Cure(_)) {
            let (every, name) = (self.regularize_every, self.objective.name());
            let accepted = format!("1 with the objective {name}: γ is a weight of CURE's");
            return Err(TrainingError::setting("regularize_every", every, accepted));
        }
        for (name, schedule) in [("h", &self.h), ("gamma", &self.gamma)] {
            schedule.to_string().parse::<ValueSchedule>()?;
            if let Some(value) = schedule.extremes().into_iter().find(|&value| value < 0.0) {
                return Err(TrainingError::setting(name, value, "0 or more"));
            }
        }
        for schedule in self.schedules.values() {
            schedule.to_string().parse::<ValueSchedule>()?;
        }
        (0..self.epochs).try_for_each(|epoch| self.objective_at(epoch).map(drop))
    }

    /// h and γ in an epoch, counted from 0.
    pub(crate) fn values_at(&self, epoch: usize) -> EpochValues {
        EpochValues { h: self.h.at(epoch), gamma: self.gamma.at(epoch) }
    }

    /// h and γ in a step of an epoch with so many, both counted from 0. Counted from the start of the
    /// run, γ is in every `regularize_every`-th step, for those that go without.
    pub(crate) fn values_of(&self, epoch: usize, step: usize, steps: usize) -> EpochValues {
        let EpochValues { h, gamma } = self.values_at(epoch);
        let is_lazy = self.is_lazy(epoch, step, steps);
        let gamma = if is_lazy { 0.0 } else { self.regularize_every as f64 * gamma };
        EpochValues { h, gamma }
    }

    /// Whether a step goes without the regulariser.
    pub(crate) fn is_lazy(&self, epoch: usize, step: usize, steps: usize) -> bool {
        !(epoch * steps + step).is_multiple_of(self.regularize_every)
    }

    /// The scheduled parameters of the objective in an epoch, counted from 0.
    pub(crate) fn scheduled_at(&self, epoch: usize) -> BTreeMap<String, f64> {
        let at = |(name, schedule): (&String, &ValueSchedule)| (name.clone(), schedule.at(epoch));
        self.schedules.iter().map(at).collect()
    }

    /// Whether the objective's parameters are in this epoch, counted from 0, what they are in the last.
    pub(crate) fn is_settled(&self, epoch: usize) -> bool {
        let last = self.epochs.saturating_sub(1);
        self.values_at(epoch) == self.values_at(last)
            && self.scheduled_at(epoch) == self.scheduled_at(last)
    }

    /// What is minimised in an epoch, counted from 0.
    ///
    /// # Errors
    /// [`TrainingError::Scheduled`] if the objective does not take a scheduled value, and as
    /// [`Objective::check`].
    pub fn objective_at(&self, epoch: usize) -> Result<Objective> {
        let objective = with_values(&self.objective, &self.scheduled_at(epoch))?;
        objective.check(None)?;
        Ok(objective)
    }

    /// Learning rates of a batch, of `batches` in the epoch; both are counted from 0.
    pub(crate) fn rates(&self, epoch: usize, batch: usize, batches: usize) -> Rates {
        let step = 1.0 / batches.max(1) as f64;
        let time = epoch as f64 + batch as f64 * step;
        let rate = self.learning_rate.at(time, self.epochs as f64);
        Rates { all: rate * warm_up(time, step, self.warm_up), batch_norm: self.batch_norm_rate }
    }
}
