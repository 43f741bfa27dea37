//! What happens: each network is trained, read back from its file, attacked and measured.

use std::path::Path;

use cure_attacks::{AttackResult, Evaluation, EvaluationOptions};
use cure_data::Dataset;
use cure_network::{Architecture, LoadOptions, Loaded, Network, Normalization, load};
use cure_training::{
    Control, EpochRow, Event, Outcome as Ended, RunDirectory, TrainingConfig, train,
};
use serde_json::{Map, Value, json};

use super::measure::Curvature;
use super::recipe::{Plan, Role};
use crate::arguments::{Confinement, General, Model};
use crate::commands::evaluate::{results, run_evaluation};
use crate::commands::run::RunConfig;
use crate::failure::{Blame, Failure, Outcome};
use crate::{interrupt, progress};

/// A network and all that is known of it.
pub(super) struct Subject {
    pub(super) role: Role,
    pub(super) loaded: Loaded,
    pub(super) training: TrainingConfig,
    pub(super) rows: Vec<EpochRow>,
    /// On the test images; the attacked images are kept.
    pub(super) evaluation: Evaluation,
    /// Which of the evaluation's attacks sentences speak of.
    pub(super) headline: usize,
    pub(super) curvature: Curvature,
}

impl Subject {
    /// Under the attack that sentences speak of.
    pub(super) fn headline(&self) -> &AttackResult {
        &self.evaluation.attacks[self.headline]
    }
}

/// Everything that the report is written from.
pub(super) struct Story {
    pub(super) seed: u64,
    pub(super) test: Dataset,
    /// Images each network was trained on.
    pub(super) trained_on: usize,
    pub(super) plans: Vec<Plan>,
    /// In the order of [`Role::ALL`].
    pub(super) networks: [Subject; 3],
}

impl Story {
    /// Trains, attacks and measures the three networks.
    pub(super) fn unfold(
        general: &General,
        folder: &Path,
        train: &Dataset,
        test: &Dataset,
    ) -> Outcome<Self> {
        let plans = Plan::all()?;
        let stage = Stage { general, folder, train, test, plans: &plans };
        let original = stage.subject(Role::Original, &[])?;
        let mut trained = vec![original];
        for role in [Role::Control, Role::Cure] {
            trained.push(stage.subject(role, &trained)?);
        }
        let networks = <[Subject; 3]>::try_from(trained)
            .map_err(|_| Failure::Failed("a network is missing".into()))?;
        let (trained_on, _) = networks[0].training.split(train).failed()?;
        let trained_on = trained_on.len();
        Ok(Self { seed: general.seed(), test: test.clone(), trained_on, plans, networks })
    }

    /// What `results.json` holds: for each network what `cure evaluate --json` writes, and its
    /// curvature.
    pub(super) fn results(&self, general: &General) -> Value {
        let networks: Map<String, Value> = self
            .networks
            .iter()
            .map(|subject| {
                let Subject { evaluation, loaded, .. } = subject;
                let model = Model::Ours(loaded.clone());
                let mut value =
                    results("demo", evaluation, &model, &self.test, general, &Map::new());
                if let Some(object) = value.as_object_mut() {
                    object.insert("curvature".into(), json!(subject.curvature));
                }
                (subject.role.key().into(), value)
            })
            .collect();
        json!({
            "tool": concat!("cure ", env!("CARGO_PKG_VERSION")),
            "command": "demo",
            "seed": self.seed,
            "networks": networks,
        })
    }
}

/// What every network goes through.
struct Stage<'a> {
    general: &'a General,
    folder: &'a Path,
    train: &'a Dataset,
    test: &'a Dataset,
    plans: &'a [Plan],
}

impl Stage<'_> {
    /// Trains, attacks and measures one network; `finished` are those before it.
    fn subject(&self, role: Role, finished: &[Subject]) -> Outcome<Subject> {
        let seed = self.general.seed();
        let config = role.configuration(self.folder, seed)?;
        self.say(&match role {
            Role::Original => "training a small network on handwritten digits".into(),
            Role::Control => format!("fine-tuning it plainly, {} epochs", role.epochs()),
            Role::Cure => format!("fine-tuning it with CURE, {} epochs", role.epochs()),
        });
        let (loaded, rows) = self.train(role, &config, finished)?;
        let specs: Vec<_> = self.plans.iter().map(|plan| plan.spec.clone()).collect();
        let settings =
            EvaluationOptions { seed, keep_images: true, ..EvaluationOptions::default() };
        let quiet = self.general.quiet;
        let set = Confinement::default().set(self.test)?;
        let model = Model::Ours(loaded.clone());
        let evaluation = match run_evaluation(&model, &set, &specs, &settings, quiet, None) {
            Err(Failure::Interrupted(_)) => {
                return Err(interrupted(self.folder, "attacking a network", finished));
            }
            other => other?,
        };
        let curvature = Curvature::of(&loaded.network, self.test, seed)?;
        let headline = self.plans.iter().position(Plan::is_headline).unwrap_or(0);
        let training = config.training;
        let subject = Subject { role, loaded, training, rows, evaluation, headline, curvature };
        self.say(&format!(
            "  {}: {:.1} % of {} test images right, {:.1} % under {} at ε = {}",
            role.name(),
            100.0 * subject.evaluation.clean.accuracy,
            self.test.len(),
            100.0 * subject.headline().robust_accuracy,
            self.plans[headline].family,
            self.plans[headline].epsilon,
        ));
        Ok(subject)
    }

    fn train(
        &self,
        role: Role,
        config: &RunConfig,
        finished: &[Subject],
    ) -> Outcome<(Loaded, Vec<EpochRow>)> {
        let (train_on, validation) = config.training.split(self.train).failed()?;
        let network = match finished.first() {
            None => {
                let name = config.model.as_deref().unwrap_or_default();
                let (classes, shape) = (train_on.classes(), train_on.shape());
                let architecture = Architecture::named(name, classes, shape).failed()?;
                let normalization = Normalization::none(shape[0]);
                Network::random(architecture, normalization, config.training.seed).failed()?
            }
            Some(original) => original.loaded.network.clone(),
        };
        let mut run = RunDirectory::create(&self.folder.join(role.key()), config).failed()?;
        let bar = progress::bar(role.epochs() as u64, self.general.quiet);
        bar.set_prefix(role.name());
        let mut watch = |event: &Event<'_>| {
            if let Event::EpochEnded { row, .. } = event {
                bar.set_position(row.epoch as u64);
                bar.set_message(format!("loss {:.3}, L_r {:.3}", row.loss, row.regularizer));
            }
            if interrupt::asked() { Control::Stop } else { Control::Continue }
        };
        let ended =
            train(network, &train_on, validation.as_ref(), &config.training, &mut run, &mut watch);
        bar.finish_and_clear();
        let rows = match ended.failed()? {
            Ended::Finished(finished) => finished.rows,
            Ended::Interrupted(_) => {
                return Err(interrupted(self.folder, "training a network", finished));
            }
        };
        // From its file: what is measured is what others will load.
        let options = LoadOptions {
            model: None,
            normalization: None,
            classes: train_on.classes(),
            input: train_on.shape(),
        };
        Ok((load(&run.weights(), &options).failed()?, rows))
    }

    fn say(&self, line: &str) {
        if !self.general.quiet {
            eprintln!("{line}");
        }
    }
}

/// Stops if somebody asked to.
pub(super) fn check_interrupt(folder: &Path, doing: &str, finished: &[Subject]) -> Outcome {
    if interrupt::asked() { Err(interrupted(folder, doing, finished)) } else { Ok(()) }
}

fn interrupted(folder: &Path, doing: &str, finished: &[Subject]) -> Failure {
    let folder = folder.display();
    let keys: Vec<&str> = finished.iter().map(|subject| subject.role.key()).collect();
    let there = match keys.len() {
        0 => "no finished network".to_owned(),
        _ => format!("the finished training of {}", keys.join(", ")),
    };
    Failure::Interrupted(format!(
        "interrupted while {doing}; {folder} holds {there}, and no report; `cure demo` starts anew \
         in another folder"
    ))
}
