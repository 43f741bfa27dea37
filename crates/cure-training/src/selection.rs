//! Which epoch's weights a run chooses, and what that needs.

use serde::{Deserialize, Serialize};

use crate::config::TrainingConfig;
use crate::error::{Result, TrainingError};
use crate::overfitting::OnOverfitting;
use crate::validation::is_due;

/// Which epoch's weights a run chooses. Of equal epochs it is the latest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The best under attack if there is an attack, else by clean accuracy if there are validation
    /// samples, else the last.
    #[default]
    Auto,
    /// The highest accuracy under the validation attack, among epochs where it was measured.
    BestRobust,
    /// The highest clean accuracy on the validation samples.
    BestClean,
    /// The last epoch.
    Last,
}

impl std::str::FromStr for Selection {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "best-robust" => Ok(Self::BestRobust),
            "best-clean" => Ok(Self::BestClean),
            "last" => Ok(Self::Last),
            _ => {
                let accepted = "auto, best-robust, best-clean or last";
                Err(TrainingError::setting("selection", format!("`{text}`"), accepted))
            }
        }
    }
}

impl TrainingConfig {
    /// Whether there is what the selection and the patience go by.
    pub(crate) fn check_selection(&self) -> Result<()> {
        match self.selection {
            Selection::BestRobust if self.attack().is_none() => {
                let accepted = "auto, best-clean or last without a validation attack";
                return Err(TrainingError::setting("selection", "best-robust", accepted));
            }
            Selection::BestClean if self.validation.is_none() => {
                let accepted = "auto or last without validation samples";
                return Err(TrainingError::setting("selection", "best-clean", accepted));
            }
            _ => {}
        }
        if let (Some(patience), Selection::Last) = (self.patience, self.criterion()) {
            let accepted = "none where no epoch is better than another: set validation, and \
                            selection to auto, best-robust or best-clean";
            return Err(TrainingError::setting("patience", patience, accepted));
        }
        let accepted = match self.attack() {
            _ if self.on_overfitting == OnOverfitting::Warn => return Ok(()),
            None => "warn without a validation attack, which is what would find it",
            Some(attack) if attack.fgsm().is_none() => {
                "warn where the validation attack is FGSM itself, beside which it would be found: \
                 validate under a stronger one, as `pgd:eps=8/255,steps=10`"
            }
            Some(_) => return Ok(()),
        };
        Err(TrainingError::setting("on_overfitting", self.on_overfitting, accepted))
    }

    /// Whether what is chosen by is measured after an epoch, counted from 1.
    pub(crate) fn is_measured(&self, epoch: usize) -> bool {
        match (self.criterion(), self.attack()) {
            (Selection::BestRobust, Some(attack)) => is_due(attack.every, epoch, self.epochs),
            (criterion, _) => criterion == Selection::BestClean,
        }
    }

    /// What is chosen by, with `auto` resolved.
    pub(crate) fn criterion(&self) -> Selection {
        match (self.selection, &self.validation, self.attack()) {
            (Selection::Auto, _, Some(_)) => Selection::BestRobust,
            (Selection::Auto, Some(_), None) => Selection::BestClean,
            (Selection::Auto, None, None) => Selection::Last,
            (chosen, ..) => chosen,
        }
    }
}
