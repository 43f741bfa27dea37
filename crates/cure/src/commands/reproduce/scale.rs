//! What a reproduction is made with at each scale: data, networks, recipes and numbers of images.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How large a reproduction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scale {
    /// The built-in digits stand for both of the paper's data sets: minutes.
    Demo,
    /// ResNet-20 on CIFAR-10: hours of a CPU.
    Cpu,
    /// The paper's networks, recipes and numbers of images: for a GPU.
    Paper,
}

/// One of the paper's two data sets, or what stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Cifar10,
    Svhn,
}

/// What was done to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Trained as usual.
    Original,
    /// The original, fine-tuned on DeepFool's examples.
    DeepFool,
    /// The original, fine-tuned with CURE.
    Cure,
    /// The original, fine-tuned on PGD's examples.
    Adversarial,
}

impl Role {
    /// As tables and figures call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::DeepFool => "fine-tuned on DeepFool",
            Self::Cure => "CURE",
            Self::Adversarial => "adversarial training",
        }
    }
}

/// Everything that decides what is computed; kept in the folder, so that what is added to it later is of
/// the same kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) scale: Scale,
    pub(super) seed: u64,
    /// CIFAR-10 as `--data` takes it.
    pub(super) cifar10: Option<String>,
    /// SVHN likewise.
    pub(super) svhn: Option<String>,
    /// The network that everything on CIFAR-10 starts from, where it is not trained here.
    pub(super) original: Option<PathBuf>,
    /// What is done to its pixels first.
    pub(super) normalize: Option<String>,
    /// Plain sums in every convolution.
    pub(super) plain_sums: bool,
}

/// How many images are looked at, and how closely.
pub(super) struct Sizes {
    /// Of tables.
    pub(super) evaluated: usize,
    /// Under AutoAttack.
    pub(super) autoattacked: usize,
    /// Of curves over ε.
    pub(super) curve: usize,
    pub(super) profiled: usize,
    pub(super) aligned: usize,
    /// With a finite difference along every pixel.
    pub(super) aligned_by_columns: usize,
    pub(super) bounded: usize,
    pub(super) masked: usize,
    pub(super) spsa_steps: usize,
    /// Of boundaries and surfaces.
    pub(super) sections: usize,
    /// Of them, those that the report shows.
    pub(super) drawn: usize,
    pub(super) gallery: usize,
}

/// Radii of the ℓ∞ balls, as attacks are told them.
pub(super) struct Radii {
    /// Table 1's: ε = 4 of 255.
    pub(super) small: &'static str,
    /// Table 2's: ε = 8.
    pub(super) main: &'static str,
    /// Table 3's: ε = 12.
    pub(super) large: &'static str,
    /// Of Figs. 6 and 15.
    pub(super) curve: &'static [&'static str],
}

impl Scale {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Cpu => "cpu",
            Self::Paper => "paper",
        }
    }

    pub(super) fn sizes(self) -> Sizes {
        match self {
            Self::Demo => Sizes {
                evaluated: 360,
                autoattacked: 360,
                curve: 360,
                profiled: 100,
                aligned: 360,
                aligned_by_columns: 360,
                bounded: 100,
                masked: 100,
                spsa_steps: 50,
                sections: 20,
                drawn: 2,
                gallery: 6,
            },
            Self::Cpu => Sizes {
                evaluated: 1000,
                autoattacked: 300,
                curve: 1000,
                profiled: 30,
                aligned: 300,
                aligned_by_columns: 20,
                bounded: 100,
                masked: 200,
                spsa_steps: 50,
                sections: 20,
                drawn: 2,
                gallery: 6,
            },
            Self::Paper => Sizes {
                evaluated: 10_000,
                autoattacked: 10_000,
                curve: 2000,
                profiled: 100,
                aligned: 1000,
                aligned_by_columns: 100,
                bounded: 1000,
                masked: 1000,
                spsa_steps: 100,
                sections: 50,
                drawn: 4,
                gallery: 8,
            },
        }
    }

    /// The digits' are those at which their small network falls as the paper's do at 4, 8 and 12 of 255; it needs no
    /// more for the first two.
    pub(super) fn radii(self) -> Radii {
        match self {
            Self::Demo => Radii {
                small: "0.15",
                main: "0.15",
                large: "0.2",
                curve: &["0.05", "0.1", "0.15", "0.2", "0.3"],
            },
            Self::Cpu | Self::Paper => Radii {
                small: "4/255",
                main: "8/255",
                large: "12/255",
                curve: &["1/255", "2/255", "4/255", "6/255", "8/255", "10/255", "12/255"],
            },
        }
    }
}

impl Scale {
    /// The length at which CURE's training ends, over pixels in [0, 1].
    pub(super) fn h(self) -> &'static str {
        if self == Self::Demo { "1.2" } else { "1.5" }
    }
}

impl Subject {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10",
            Self::Svhn => "svhn",
        }
    }

    /// The paper's name.
    pub(super) fn paper(self) -> &'static str {
        match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Svhn => "SVHN",
        }
    }
}

impl Setting {
    /// What stands for the paper's data, as `--data` takes it, if anything does.
    pub(super) fn data(&self, subject: Subject) -> Option<&str> {
        match (self.scale, subject) {
            (Scale::Demo, _) => Some("digits"),
            (Scale::Cpu | Scale::Paper, Subject::Cifar10) => self.cifar10.as_deref(),
            (Scale::Cpu, Subject::Svhn) => None,
            (Scale::Paper, Subject::Svhn) => self.svhn.as_deref(),
        }
    }

    /// What stands for the paper's data, in words.
    pub(super) fn subject_name(&self, subject: Subject) -> String {
        match self.scale {
            Scale::Demo => format!("digits, for {}", subject.paper()),
            Scale::Cpu | Scale::Paper => subject.paper().to_owned(),
        }
    }

    /// Why nothing is measured on `subject`.
    pub(super) fn want(&self, subject: Subject) -> Option<String> {
        if self.data(subject).is_some() {
            return None;
        }
        Some(match (self.scale, subject) {
            (Scale::Cpu, Subject::Svhn) => {
                "SVHN is left to --scale paper; --scale demo has its built-in digits stand for it"
                    .into()
            }
            _ => format!("give --{} DIR; cure data list says where it can be had", subject.key()),
        })
    }

    /// The architectures that stand for the paper's, the one that most of it is about first.
    pub(super) fn architectures(&self, subject: Subject) -> &'static [&'static str] {
        match (self.scale, subject) {
            (Scale::Demo, _) => &["cnn"],
            (Scale::Cpu, _) => &["resnet20"],
            (Scale::Paper, Subject::Cifar10) => &["resnet18", "wrn28-10"],
            (Scale::Paper, Subject::Svhn) => &["resnet18"],
        }
    }

    /// The recipe of a network, which is what its step is called.
    pub(super) fn recipe(&self, subject: Subject, architecture: &str, role: Role) -> String {
        let data = if self.scale == Scale::Demo { "digits" } else { subject.key() };
        let what = match role {
            Role::Original => "original",
            Role::DeepFool => "deepfool",
            // On SVHN the paper fixes h and lets γ rise; the digits do both.
            Role::Cure if self.scale == Scale::Demo && subject == Subject::Svhn => "cure-steps",
            Role::Cure => "cure",
            Role::Adversarial => "pgd-at",
        };
        format!("{data}-{architecture}-{what}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recipes;

    #[test]
    fn every_network_has_a_recipe() {
        for scale in [Scale::Demo, Scale::Cpu, Scale::Paper] {
            let data = Some("cifar10:DIR".to_owned());
            let setting = Setting {
                scale,
                seed: 0,
                cifar10: data.clone(),
                svhn: data,
                original: None,
                normalize: None,
                plain_sums: false,
            };
            for subject in [Subject::Cifar10, Subject::Svhn] {
                if setting.data(subject).is_none() {
                    continue;
                }
                for architecture in setting.architectures(subject) {
                    for role in [Role::Original, Role::Cure, Role::Adversarial] {
                        let name = setting.recipe(subject, architecture, role);
                        let config = recipes::configuration(Path::new(&name)).unwrap();
                        config.training.check().unwrap();
                    }
                }
                let first = setting.architectures(subject)[0];
                recipes::configuration(Path::new(&setting.recipe(subject, first, Role::DeepFool)))
                    .unwrap();
            }
        }
    }
}
