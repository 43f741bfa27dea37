//! The demonstration's networks, how each is trained, and how all are attacked.

use std::path::Path;

use cure_attacks::AttackSpec;
use cure_data::{Augmentation, ValidationSize};
use cure_tensor::ops;
use cure_training::{
    CureOptions, LearningRate, Objective, Selection, TrainingConfig, Validation, ValidationAttack,
    ValueSchedule,
};

use crate::commands::run::RunConfig;
use crate::failure::{Blame, Outcome};

/// The data: 8×8 pixels, so that training takes seconds.
pub(super) const DATA: &str = "digits";

/// Images of the 1437 for training that are set aside; the rest are 1200.
const VALIDATION: usize = 237;
/// Steps of the attack on them after each epoch.
pub(super) const VALIDATION_STEPS: usize = 10;
const ORIGINAL_EPOCHS: usize = 30;
const FINETUNING_EPOCHS: usize = 60;

/// h in the end, an ℓ2 length over pixels in [0, 1]: on 64 pixels of which almost all have a
/// gradient, ±0.15 each, the headline's ε.
pub(super) const H: f64 = 1.2;
/// γ and h are from some twenty tried on these data; neighbours do about as well, and the report
/// says that they were picked so.
const GAMMA: f64 = 0.1;
/// h starts small: at once in full it would cost the accuracy first.
const H_RAMP: ValueSchedule = ValueSchedule::Linear { from: 0.1, to: H, over: 16 };

/// What sentences and curves speak of: an ε at which the original falls and something is left to
/// tell networks apart by.
pub(super) const HEADLINE: f64 = 0.15;
/// Radii of the ℓ∞ balls, in pixels of [0, 1]. Almost nothing should stand at the last one: an
/// attack that leaves something even there would not be trusted (Carlini et al. 2019, "On
/// evaluating adversarial robustness").
pub(super) const PGD_EPSILONS: [f64; 5] = [0.05, 0.1, 0.15, 0.2, 0.3];
const FGSM_EPSILONS: [f64; 2] = [0.1, 0.15];

/// One of the three networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Trained as usual.
    Original,
    /// The original, fine-tuned as long as the next one, without the regulariser.
    Control,
    /// The original, fine-tuned with CURE.
    Cure,
}

impl Role {
    /// In the order they are trained and shown.
    pub(super) const ALL: [Self; 3] = [Self::Original, Self::Control, Self::Cure];

    /// The name of its folder and in `results.json`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Control => "control",
            Self::Cure => "cure",
        }
    }

    /// The name in tables and figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Control => "fine-tuned plainly",
            Self::Cure => "fine-tuned with CURE",
        }
    }

    pub(super) fn epochs(self) -> usize {
        match self {
            Self::Original => ORIGINAL_EPOCHS,
            Self::Control | Self::Cure => FINETUNING_EPOCHS,
        }
    }

    /// What its `config.toml` holds, in the demonstration's `folder`.
    pub(super) fn configuration(self, folder: &Path, seed: u64) -> Outcome<RunConfig> {
        let attack: AttackSpec =
            format!("pgd:norm=linf,eps={HEADLINE},steps={VALIDATION_STEPS},random-start=false")
                .parse()
                .failed()?;
        let mut config = RunConfig {
            data: Some(DATA.into()),
            plain_sums: ops::takes_plain_sums(),
            training: TrainingConfig {
                epochs: self.epochs(),
                batch: 64,
                seed,
                learning_rate: LearningRate::Cosine { from: 1e-3, to: 1e-5 },
                // No network is picked for how it fared under attack.
                selection: Selection::Last,
                augmentation: Augmentation::NONE,
                validation: Some(Validation {
                    size: ValidationSize::Count(VALIDATION),
                    seed,
                    attack: Some(ValidationAttack::new(attack)),
                }),
                ..TrainingConfig::default()
            },
            ..RunConfig::default()
        };
        match self {
            Self::Original => {
                config.model = Some("cnn".into());
                config.normalize = Some("none".into());
                config.training.learning_rate = LearningRate::Cosine { from: 2e-3, to: 1e-5 };
            }
            Self::Control | Self::Cure => {
                let original = folder.join(Self::Original.key());
                config.weights = Some(original.join("weights.safetensors"));
            }
        }
        if self == Self::Cure {
            config.training.objective = Objective::Cure(CureOptions::default());
            config.training.h = H_RAMP;
            config.training.gamma = ValueSchedule::Constant(GAMMA);
        }
        Ok(config)
    }
}

/// An attack of the table.
pub(super) struct Plan {
    /// Its family, as tables write it.
    pub(super) family: &'static str,
    pub(super) epsilon: f64,
    pub(super) spec: AttackSpec,
}

impl Plan {
    /// All attacks, in the order of the table.
    pub(super) fn all() -> Outcome<Vec<Self>> {
        let plan = |family, epsilon, text: String| {
            Ok(Self { family, epsilon, spec: text.parse().failed()? })
        };
        let fgsm = FGSM_EPSILONS
            .map(|epsilon| plan("FGSM", epsilon, format!("fgsm:norm=linf,eps={epsilon}")));
        let pgd = PGD_EPSILONS.map(|epsilon| {
            plan("PGD-20", epsilon, format!("pgd:norm=linf,eps={epsilon},steps=20"))
        });
        fgsm.into_iter().chain(pgd).collect()
    }

    /// Whether it is the one that sentences speak of.
    pub(super) fn is_headline(&self) -> bool {
        self.family == "PGD-20" && self.epsilon == HEADLINE
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_attack_is_the_headline_and_every_configuration_is_accepted() {
        assert_eq!(Plan::all().unwrap().iter().filter(|plan| plan.is_headline()).count(), 1);
        for role in Role::ALL {
            role.configuration(Path::new("runs/demo"), 7).unwrap().training.check().unwrap();
        }
    }
}
