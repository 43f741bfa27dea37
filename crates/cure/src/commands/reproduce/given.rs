//! Networks that somebody trained already, in the place of those that would be trained here.

use std::path::{Path, PathBuf};

use cure_network::{LoadError, LoadOptions};
use serde::{Deserialize, Serialize};

use super::scale::{Role, Setting, Subject};
use crate::arguments::whole;
use crate::commands::pipeline::{Ledger, Plan, is_there};
use crate::failure::{Blame, Failure, Outcome};

/// CIFAR-10's.
const CLASSES: usize = 10;
const INPUT: [usize; 3] = [3, 32, 32];

/// A network's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) file: PathBuf,
    /// What is done to its pixels first, where the file does not say.
    pub(super) normalize: Option<String>,
}

/// The networks that a command line names: `original`, and `networks` as ROLE=FILE.
pub(super) fn named(original: Option<&Path>, networks: &[String]) -> Outcome<Vec<(Role, PathBuf)>> {
    let mut named: Vec<(Role, PathBuf)> = Vec::new();
    if let Some(file) = original {
        named.push((Role::Original, whole(file)?));
    }
    for text in networks {
        let (name, file) = text.split_once('=').unwrap_or((text, ""));
        let role = match name {
            "deepfool" => Role::DeepFool,
            "cure" => Role::Cure,
            "adversarial" | "pgd-at" => Role::Adversarial,
            _ => return Err(unreadable(text)),
        };
        if file.is_empty() {
            return Err(unreadable(text));
        }
        if named.iter().any(|(other, _)| *other == role) {
            return Err(Failure::Input(format!(
                "--network {text}: there is one {} network; leave out all but one",
                role.name()
            )));
        }
        named.push((role, whole(Path::new(file))?));
    }
    Ok(named)
}

fn unreadable(text: &str) -> Failure {
    Failure::Input(format!(
        "--network `{text}`: write ROLE=FILE; roles are deepfool, cure and adversarial (also pgd-at), and the \
         original has --original FILE"
    ))
}

/// Puts the networks that a command line names into the setting of the folder `out`.
pub(super) fn add(
    setting: &mut Setting,
    named: Vec<(Role, PathBuf)>,
    normalize: Option<&str>,
    out: &Path,
) -> Outcome {
    let says = |given: &Given| normalize.is_some() && given.normalize.as_deref() == normalize;
    if named.is_empty() {
        return match normalize {
            Some(text) if !setting.networks.values().any(says) => Err(Failure::Input(format!(
                "--normalize {text} is said of no network; give it with --original FILE or --network ROLE=FILE"
            ))),
            _ => Ok(()),
        };
    }
    let mut is_used = normalize.is_none();
    for (role, file) in named {
        let before = setting.networks.get(&role);
        let is_known = |given: &Given| given.file == file && (normalize.is_none() || says(given));
        if before.is_some_and(is_known) {
            is_used = true;
            continue;
        }
        let given = Given::read(file, normalize, setting, role)?;
        is_used |= given.normalize.is_some();
        let id = setting.recipe(Subject::Cifar10, setting.first(), role);
        if before != Some(&given) && is_there(out, &id) {
            return Err(Failure::Input(format!(
                "{} comes too late: {} has begun its {} network {}; leave it out, or choose another folder with --out",
                given.option(role),
                out.display(),
                role.name(),
                match before {
                    Some(before) => format!("with {}", before.option(role)),
                    None => format!("itself (steps/{id})"),
                }
            )));
        }
        setting.networks.insert(role, given);
    }
    if let Some(text) = normalize.filter(|_| !is_used) {
        tracing::warn!(
            "--normalize {text} is not used: the files say how their pixels are normalised"
        );
    }
    Ok(())
}

/// Whether the networks that are still to be read can be: before hours of work begin.
pub(super) fn check(setting: &Setting, plan: &Plan, ledger: &Ledger<'_>) -> Outcome {
    for (&role, given) in &setting.networks {
        let id = setting.recipe(Subject::Cifar10, setting.first(), role);
        let step = plan.steps.iter().find(|step| step.id == id);
        if step.is_some_and(|step| ledger.done(plan, step).is_none()) {
            given.check(setting, role)?;
        }
    }
    Ok(())
}

impl Given {
    /// A file that is named for the first time.
    fn read(
        file: PathBuf,
        normalize: Option<&str>,
        setting: &Setting,
        role: Role,
    ) -> Outcome<Self> {
        let own = cure_network::normalization_of(&file).input()?;
        let normalize = normalize.filter(|_| own.is_none()).map(str::to_owned);
        let given = Self { file, normalize };
        given.check(setting, role)?;
        Ok(given)
    }

    /// The option that names it.
    fn option(&self, role: Role) -> String {
        let file = self.file.display();
        let option = match role {
            Role::Original => "--original ",
            Role::DeepFool => "--network deepfool=",
            Role::Cure => "--network cure=",
            Role::Adversarial => "--network adversarial=",
        };
        match &self.normalize {
            Some(normalize) => format!("{option}{file} --normalize {normalize}"),
            None => format!("{option}{file}"),
        }
    }

    /// Its file's name, without the place where it lies.
    pub(super) fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Whether it can be read, and is of the architecture that stands for the paper's.
    fn check(&self, setting: &Setting, role: Role) -> Outcome {
        let (expected, scale) = (setting.first(), setting.scale.name());
        let forms = match expected {
            "resnet20" => &["resnet20", "resnet20-conv"][..],
            _ => std::slice::from_ref(&expected),
        };
        let refuse = |what: String| {
            Err(Failure::Input(format!(
                "{}: {what}; --scale {scale} takes {} of {CLASSES} classes as its {} network",
                self.file.display(),
                forms.join(" or "),
                role.name()
            )))
        };
        let options = LoadOptions {
            model: None,
            normalization: self.normalize.clone(),
            classes: CLASSES,
            input: INPUT,
        };
        let loaded = match cure_network::load(&self.file, &options) {
            Err(LoadError::Unrecognised { tensors, .. }) => {
                return refuse(format!("its {tensors} tensors are of no architecture known here"));
            }
            other => other.input()?,
        };
        let found = loaded.network.architecture();
        if !forms.contains(&found.name().as_str()) || found.input != INPUT {
            return refuse(format!("it is {}", found.name()));
        }
        if found.classes != CLASSES {
            return refuse(format!("it is {} of {} classes", found.name(), found.classes));
        }
        let own = cure_network::normalization_of(&self.file).input()?;
        if own.is_none() && self.normalize.is_none() {
            return Err(Failure::Input(format!(
                "{} does not say how its pixels are normalised; give --normalize none, imagenet, cifar10 or \
                 M,M,M/S,S,S",
                self.file.display()
            )));
        }
        Ok(())
    }
}
