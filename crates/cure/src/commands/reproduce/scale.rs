//! What a reproduction is made with at each scale: data, networks, recipes and numbers of images.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(super) use super::setting::Setting;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// What `--plan` tells times of.
    pub(super) fn machine(self) -> &'static str {
        match self {
            Self::Demo | Self::Cpu => "on two cores",
            Self::Paper => "on a GPU, from numbers of passes: never seen",
        }
    }

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
