//! What a folder's results are made with: kept there, so that what is added later is of the same kind.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::given::Given;
use super::scale::{Role, Scale, Subject};
use crate::failure::{Failure, Outcome};

/// Everything that decides what is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) scale: Scale,
    pub(super) seed: u64,
    /// CIFAR-10 as `--data` takes it.
    pub(super) cifar10: Option<String>,
    /// SVHN likewise.
    pub(super) svhn: Option<String>,
    /// The networks on CIFAR-10 that are not trained here.
    pub(super) networks: BTreeMap<Role, Given>,
    /// Plain sums in every convolution.
    pub(super) plain_sums: bool,
}

impl Setting {
    /// This one, a folder's, with what a later call adds; what that leaves out stays the folder's.
    pub(super) fn joined(&self, now: &Self, out: &Path) -> Outcome<Self> {
        let refuse = |name: &str, before: &dyn Display, now: &dyn Display| {
            Err(Failure::Input(format!(
                "{} was begun with {name} {before}, and this command has {now}; give the same, or another \
                 folder with --out",
                out.display()
            )))
        };
        if self.scale != now.scale {
            return refuse("scale", &self.scale.name(), &now.scale.name());
        }
        if self.seed != now.seed {
            return refuse("seed", &self.seed, &now.seed);
        }
        if self.plain_sums != now.plain_sums {
            return refuse("plain sums", &self.plain_sums, &now.plain_sums);
        }
        let mut joined = self.clone();
        let kept = [&mut joined.cifar10, &mut joined.svhn];
        for ((name, kept), given) in
            ["cifar10", "svhn"].into_iter().zip(kept).zip([&now.cifar10, &now.svhn])
        {
            match (kept.as_deref(), given) {
                (Some(before), Some(now)) if before != now => return refuse(name, &before, now),
                (None, Some(now)) => *kept = Some(now.clone()),
                _ => {}
            }
        }
        Ok(joined)
    }

    /// The network that is not trained here but was given, if one was.
    pub(super) fn given(&self, subject: Subject, architecture: &str, role: Role) -> Option<&Given> {
        let is_first = subject == Subject::Cifar10 && self.first() == architecture;
        self.networks.get(&role).filter(|_| is_first)
    }

    /// The architecture on CIFAR-10 that most of the paper is about.
    pub(super) fn first(&self) -> &'static str {
        self.architectures(Subject::Cifar10)[0]
    }

    /// Why the course of CURE's training is not known.
    pub(super) fn want_of_course(&self, subject: Subject) -> Option<String> {
        let architecture = self.architectures(subject)[0];
        self.given(subject, architecture, Role::Cure).map(|_| {
            "CURE's network was given with --network, and the course of its training was not".into()
        })
    }

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
                networks: BTreeMap::new(),
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
