//! Training recipes that the program holds: the files of `recipes/`, read as any configuration.

use std::path::Path;

use cure_training::{parse_configuration, read_configuration};

use crate::commands::run::RunConfig;
use crate::failure::{Blame, Failure, Outcome};

/// A recipe.
pub(crate) struct Recipe {
    /// What `--config` calls it.
    pub(crate) name: &'static str,
    /// The file: TOML with its reasons in comments.
    pub(crate) text: &'static str,
}

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$(Recipe {
            name: $name,
            text: include_str!(concat!("../../../recipes/", $name, ".toml")),
        }),*]
    };
}

/// The paper's, then those for a CPU, then those for the built-in digits.
pub(crate) const RECIPES: &[Recipe] = recipes![
    "cifar10-resnet18-original",
    "cifar10-resnet18-cure",
    "cifar10-resnet18-pgd-at",
    "cifar10-wrn28-10-original",
    "cifar10-wrn28-10-cure",
    "cifar10-wrn28-10-pgd-at",
    "cifar10-resnet18-deepfool",
    "svhn-resnet18-original",
    "svhn-resnet18-cure",
    "svhn-resnet18-deepfool",
    "svhn-resnet18-pgd-at",
    "cifar10-resnet20-original",
    "cifar10-resnet20-cure",
    "cifar10-resnet20-cure-perturbed",
    "cifar10-resnet20-pgd-at",
    "cifar10-resnet20-fgsm-rs",
    "cifar10-resnet20-n-fgsm",
    "cifar10-resnet20-trades",
    "cifar10-resnet20-gradient-penalty",
    "cifar10-resnet20-deepfool",
    "cifar10-resnet20-control",
    "digits-cnn-original",
    "digits-cnn-deepfool",
    "digits-cnn-cure",
    "digits-cnn-cure-steps",
    "digits-cnn-pgd-at",
];

impl Recipe {
    /// What it is: the file's first line.
    pub(crate) fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }

    /// # Errors
    /// If the file is no configuration, which a test excludes.
    pub(crate) fn configuration(&self) -> Outcome<RunConfig> {
        parse_configuration(Path::new(self.name), self.text).input()
    }
}

/// The recipe called `name`.
///
/// # Errors
/// [`Failure::Input`] if there is none.
pub(crate) fn find(name: &str) -> Outcome<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.name == name).ok_or_else(|| {
        Failure::Input(format!("unknown recipe `{name}`; `cure recipes list` shows the known ones"))
    })
}

/// The configuration of a file or, where there is no file of that name, of a recipe.
///
/// # Errors
/// [`Failure::Input`] if it is neither, or the file cannot be read as a configuration.
pub(crate) fn configuration(name: &Path) -> Outcome<RunConfig> {
    let recipe = name.to_str().and_then(|name| find(name).ok());
    match recipe {
        _ if name.is_file() => read_configuration(name).input(),
        Some(recipe) => recipe.configuration(),
        None => Err(Failure::Input(format!(
            "--config `{}` is neither a file nor a recipe; `cure recipes list` shows the recipes",
            name.display()
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use cure_training::{Objective, TrainingConfig, ValueSchedule, preset};

    #[test]
    fn every_file_is_a_recipe_that_can_be_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<String> =
            files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        let mut names: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
        files.sort();
        names.sort_unstable();
        assert_eq!(files, names);
        for recipe in RECIPES {
            let config = recipe.configuration().unwrap_or_else(|error| panic!("{error:?}"));
            config.training.check().unwrap();
            assert!(recipe.title().len() > 20, "{}", recipe.name);
            // A recipe is of no place: data and weights are named by who runs it.
            assert!(config.data.is_none() && config.weights.is_none(), "{}", recipe.name);
            let text = toml::to_string(&config.training.objective).unwrap();
            assert_eq!(toml::from_str::<Objective>(&text).unwrap(), config.training.objective);
        }
    }

    /// What CURE's paper recipes and the preset both say is said alike.
    #[test]
    fn the_papers_cure_is_the_preset() {
        let paper = preset("paper").unwrap();
        for (name, gamma, h) in [
            ("cifar10-resnet18-cure", "4", "linear:0.3..1.5@5"),
            ("cifar10-wrn28-10-cure", "8", "linear:0.3..1.5@5"),
            ("svhn-resnet18-cure", "steps:4x10,8x5,12x5", "1.25"),
        ] {
            let found = find(name).unwrap().configuration().unwrap().training;
            let parse = |text: &str| text.parse::<ValueSchedule>().unwrap();
            assert_eq!((&found.gamma, &found.h), (&parse(gamma), &parse(h)), "{name}");
            let augmentation = found.augmentation;
            let (gamma, h) = (found.gamma.clone(), found.h.clone());
            assert_eq!(found, TrainingConfig { gamma, h, augmentation, ..paper.clone() }, "{name}");
        }
    }

    /// The recipes for ResNet-20 differ in what is minimised, and in how many images that is done
    /// with in their common time, and in nothing else, so that what their runs come to can be
    /// compared.
    #[test]
    fn the_recipes_for_a_cpu_share_start_epochs_and_seed() {
        let common = |recipe: &Recipe| {
            let config = recipe.configuration().unwrap();
            let blank = TrainingConfig::default();
            let (objective, h, gamma) = (blank.objective, blank.h, blank.gamma);
            let (schedules, images_per_epoch) = (blank.schedules, None);
            let regularize_every = blank.regularize_every;
            let training = config.training;
            assert!(training.images_per_epoch.is_some(), "{}", recipe.name);
            let training = TrainingConfig {
                objective,
                h,
                gamma,
                schedules,
                images_per_epoch,
                regularize_every,
                ..training
            };
            RunConfig { training, ..config }
        };
        let finetunes = |recipe: &&Recipe| !recipe.name.ends_with("-original");
        let all = RECIPES.iter().filter(|recipe| recipe.name.contains("resnet20"));
        let all = all.filter(finetunes);
        let all: Vec<RunConfig> = all.map(common).collect();
        assert!(all.len() >= 2);
        for one in &all {
            assert_eq!(toml::to_string(one).unwrap(), toml::to_string(&all[0]).unwrap());
        }
    }

    #[test]
    fn a_name_that_is_nothing_is_refused() {
        let Err(Failure::Input(message)) = configuration(Path::new("cifar10-resnet18")) else {
            panic!("accepted");
        };
        assert!(message.contains("neither a file nor a recipe"), "{message}");
    }
}
