//! Catastrophic overfitting: training against one-step attacks that stops working from one epoch to
//! the next. The network stands against FGSM and falls to PGD (Wong et al. 2020; Andriushchenko
//! and Flammarion 2020).
//!
//! The rule. Both attacks run on the same validation samples at the same ε. Of the measured epochs
//! so far the one with the highest PGD accuracy is the reference (the latest of equals), if that is
//! at least 10 points above the share of their largest class: a network that gives one answer to
//! everything comes to that share under any attack, and is no reference. An epoch is overfitted
//! where its PGD accuracy is below half of the reference's, and at least 10 points below it, while
//! its FGSM accuracy is not below the reference's.
//!
//! Where no epoch was a reference yet, the network may have fallen within the first one, or have been trained so before.
//! An objective that trains on one-step attacks is then overfitted where PGD accuracy is below a quarter of FGSM's, and
//! FGSM's at least 10 points above the share of the largest class; as long as a schedule still leads its parameters to
//! what they end with, it is not asked. (Other objectives say nothing about FGSM: without any, a few images stand
//! against it, and none against PGD.)

use std::fmt;

use serde::{Deserialize, Serialize};

/// The PGD accuracy of an overfitted epoch is below this share of the best.
const SHARE: f64 = 0.5;
/// And this much below the best, so that small accuracies do not count; the reference is as much
/// above chance. (Less what rounding does to a difference of fractions.)
const FALL: f64 = 0.1 - 1e-9;
/// Where there is no best, it is below this share of FGSM's.
const SHARE_OF_FGSM: f64 = 0.25;

/// What is done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnOverfitting {
    /// It is said, and training goes on.
    #[default]
    Warn,
    /// Training ends; the chosen epoch's weights are there as ever.
    Stop,
    /// Weights, their average and the optimiser return to the reference epoch's, and training goes
    /// on with the data of the epoch that comes next; when that has happened `roll_backs` times,
    /// training ends.
    RollBack,
}

impl fmt::Display for OnOverfitting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warn => "warn",
            Self::Stop => "stop",
            Self::RollBack => "roll-back",
        })
    }
}

impl std::str::FromStr for OnOverfitting {
    type Err = crate::TrainingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "warn" => Ok(Self::Warn),
            "stop" => Ok(Self::Stop),
            "roll-back" => Ok(Self::RollBack),
            _ => {
                let accepted = "warn, stop or roll-back";
                Err(crate::TrainingError::setting("on_overfitting", format!("`{text}`"), accepted))
            }
        }
    }
}

/// An epoch under both attacks; accuracies are fractions of the attacked validation samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attacked {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Accuracy under the validation attack.
    pub robust: f64,
    /// Accuracy under FGSM at its ε.
    pub fgsm: f64,
}

impl Attacked {
    /// Whether this epoch can be the reference, where the largest class has a share of `chance`.
    pub(crate) fn can_be_reference(&self, chance: f64) -> bool {
        self.robust - chance >= FALL
    }

    /// Whether this epoch is overfitted, by the rule above, if `best` is the reference.
    pub fn is_overfitted(&self, best: &Self) -> bool {
        self.robust < SHARE * best.robust
            && best.robust - self.robust >= FALL
            && self.fgsm >= best.fgsm
    }

    /// Whether this epoch of an objective that trains on one-step attacks is overfitted, by the rule above, if none
    /// before it could be the reference.
    pub fn is_overfitted_from_the_start(&self, chance: f64) -> bool {
        self.robust < SHARE_OF_FGSM * self.fgsm && self.fgsm - chance >= FALL
    }
}

/// What was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// Training goes on.
    Warned,
    /// Training ended.
    Stopped,
    /// Training goes on from the reference epoch.
    RolledBack,
}

/// Catastrophic overfitting, found and acted on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overfitting {
    /// The overfitted epoch.
    pub at: Attacked,
    /// The reference; none where no epoch ever was one.
    pub best: Option<Attacked>,
    /// What was done.
    pub consequence: Consequence,
    /// Roll-backs of the run so far, this one included.
    pub roll_backs: usize,
}

impl fmt::Display for Overfitting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let at = self.at;
        write!(
            formatter,
            "catastrophic overfitting in epoch {}: {} stand under the validation attack",
            at.epoch,
            percent(at.robust)
        )?;
        if let Some(best) = self.best {
            write!(formatter, ", after {} in epoch {}", percent(best.robust), best.epoch)?;
        }
        write!(formatter, ", while FGSM leaves {}", percent(at.fgsm))?;
        match self.best {
            Some(best) => write!(formatter, " (then {}); ", percent(best.fgsm))?,
            None => write!(formatter, "; ")?,
        }
        match self.consequence {
            Consequence::Warned => {
                write!(formatter, "training goes on (on_overfitting = \"warn\")")
            }
            Consequence::Stopped => write!(formatter, "training ends here"),
            Consequence::RolledBack => write!(
                formatter,
                "back to the weights of epoch {}, for the {}. time",
                self.best.map_or(0, |best| best.epoch),
                self.roll_backs
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The epochs named in a history of (PGD, FGSM), in percent, where the largest class has 5 %.
    fn named(history: &[(u32, u32)]) -> Vec<usize> {
        let mut best: Option<Attacked> = None;
        let mut found = Vec::new();
        for (index, &(robust, fgsm)) in history.iter().enumerate() {
            let share = |percent: u32| f64::from(percent) / 100.0;
            let now = Attacked { epoch: index + 1, robust: share(robust), fgsm: share(fgsm) };
            if best.is_some_and(|best| now.is_overfitted(&best)) {
                found.push(now.epoch);
            }
            if best.is_none_or(|best| now.robust >= best.robust) && now.can_be_reference(0.05) {
                best = Some(now);
            }
        }
        found
    }

    #[test]
    fn a_collapse_is_named_and_nothing_else() {
        // As in Wong et al.'s figures: PGD to zero within an epoch, FGSM up.
        assert_eq!(named(&[(20, 30), (38, 47), (40, 50), (0, 86), (1, 90), (25, 60)]), [4, 5]);
        // Half is not below half; FGSM falls as well; both are small; a slow fall that is one.
        assert!(named(&[(40, 50), (20, 80)]).is_empty());
        assert!(named(&[(40, 50), (0, 49)]).is_empty());
        assert!(named(&[(9, 12), (0, 60)]).is_empty());
        assert_eq!(named(&[(40, 50), (30, 60), (19, 70)]), [3]);
        // Ten points that rounding makes a little less.
        assert_eq!(named(&[(17, 20), (7, 20)]), [2]);
        assert!(named(&[]).is_empty());
        // A collapsed network answers one class, whatever the attack; then another one.
        assert!(named(&[(14, 14), (2, 20)]).is_empty());
        assert_eq!(named(&[(15, 15), (2, 20)]), [2]);
    }

    #[test]
    fn what_never_stood_is_named_too() {
        let is_named =
            |robust, fgsm| Attacked { epoch: 1, robust, fgsm }.is_overfitted_from_the_start(0.1);
        assert!(is_named(0.0, 0.2) && is_named(0.1, 0.6));
        assert!(!is_named(0.15, 0.6) && !is_named(0.0, 0.19) && !is_named(0.4, 0.5));
        let at = Attacked { epoch: 1, robust: 0.0, fgsm: 0.25 };
        let consequence = Consequence::Stopped;
        let said = Overfitting { at, best: None, consequence, roll_backs: 0 }.to_string();
        assert_eq!(
            said,
            "catastrophic overfitting in epoch 1: 0.0 % stand under the validation attack, while FGSM leaves 25.0 %; \
             training ends here"
        );
    }
}
