//! The steps of a reproduction: networks, and what is measured of them.

use super::given::Given;
use super::scale::{Role, Scale, Setting, Subject};
use crate::commands::pipeline::{Kind, Plan, RESULTS, ROWS, Step, WEIGHTS, file, folder, words};

impl Plan {
    /// The steps that make a network, and the name of the last.
    pub(super) fn network(
        &mut self,
        setting: &Setting,
        subject: Subject,
        architecture: &str,
        role: Role,
    ) -> String {
        if let Some(given) = setting.given(subject, architecture, role) {
            return self.converted(setting, architecture, role, given);
        }
        let id = setting.recipe(subject, architecture, role);
        let data = setting.data(subject).unwrap_or_default();
        let mut needs = Vec::new();
        let mut command: Vec<String>;
        let title;
        if role == Role::Original {
            title = format!("{architecture}, trained on {}", setting.subject_name(subject));
            command = words(&["train", "--config", &id, "--data", data, "--out", &folder(&id)]);
        } else {
            title = format!("{architecture}, {}, {}", setting.subject_name(subject), role.name());
            let original = self.network(setting, subject, architecture, Role::Original);
            command = words(&["finetune", "--config", &id, "--weights", &file(&original, WEIGHTS)]);
            command.extend(words(&["--data", data, "--out", &folder(&id)]));
            needs.push(original);
        }
        command.extend(words(&["--seed", &setting.seed.to_string()]));
        // Figs. 10 and 14 follow the run; the digits' recipe measures both itself.
        if role == Role::Cure && setting.scale != Scale::Demo {
            command.extend(words(&["--curvature-every", "1"]));
        }
        if role == Role::Cure && setting.scale == Scale::Paper {
            let radius = setting.scale.radii().main;
            let attack = format!("pgd:eps={radius},steps=20,random-start=false");
            command.extend(words(&["--validation", "1000", "--validation-samples", "1000"]));
            command.extend(words(&["--validation-attack", &attack, "--selection", "last"]));
        }
        let minutes = training_minutes(setting.scale, architecture, role);
        let (kind, reads, makes) = (Kind::Training, Vec::new(), vec![file(&id, WEIGHTS)]);
        self.add(Step { id, title, kind, needs, reads, command, makes, minutes })
    }

    /// A network that somebody trained, in the place of the step that would train it.
    fn converted(
        &mut self,
        setting: &Setting,
        architecture: &str,
        role: Role,
        given: &Given,
    ) -> String {
        let id = setting.recipe(Subject::Cifar10, architecture, role);
        let path = given.file.to_string_lossy().into_owned();
        let to = file(&id, WEIGHTS);
        let mut command = words(&["convert", "--weights", &path, "--to", &to]);
        if let Some(normalize) = &given.normalize {
            command.extend(words(&["--normalize", normalize]));
        }
        let title = format!("{architecture}, {}: {}, as it was given", role.name(), given.name());
        self.add(Step {
            id,
            title,
            kind: Kind::Measurement,
            needs: Vec::new(),
            reads: vec![path],
            command,
            makes: vec![to],
            minutes: 0.01,
        })
    }

    /// `cure evaluate` of one network.
    pub(super) fn evaluation(
        &mut self,
        setting: &Setting,
        (subject, architecture, role): (Subject, &str, Role),
        what: &str,
        attacks: &[String],
        images: usize,
        minutes: f64,
    ) -> String {
        let network = self.network(setting, subject, architecture, role);
        let id = format!("{network}-{what}");
        let mut command = words(&["evaluate", "--weights", &file(&network, WEIGHTS)]);
        command.extend(words(&["--data", setting.data(subject).unwrap_or_default()]));
        command.extend(words(&["--limit", &images.to_string()]));
        for attack in attacks {
            command.extend(words(&["--attack", attack]));
        }
        command.extend(words(&["--seed", &setting.seed.to_string()]));
        command.extend(words(&["--journal", &file(&id, "journal.jsonl")]));
        command.extend(words(&["--json", &file(&id, RESULTS), "--csv", &file(&id, ROWS)]));
        let title = format!("{network}: {what}, {images} images");
        self.measurement(id, title, vec![network], command, &[RESULTS, ROWS], minutes)
    }

    /// `cure geometry` of some networks; `label` tells apart measurements of one kind.
    pub(super) fn geometry(
        &mut self,
        setting: &Setting,
        subject: Subject,
        roles: &[Role],
        (what, label): (&str, &str),
        options: &[&str],
        minutes: f64,
    ) -> String {
        let architecture = setting.architectures(subject)[0];
        let id = format!("{}-{architecture}-{what}{label}", subject.key());
        let mut command = words(&["geometry", what]);
        let mut needs = Vec::new();
        for &role in roles {
            let network = self.network(setting, subject, architecture, role);
            let named = format!("{}={}", role.name(), file(&network, WEIGHTS));
            command.extend(words(&["--weights", &named]));
            needs.push(network);
        }
        command.extend(words(&["--data", setting.data(subject).unwrap_or_default()]));
        command.extend(words(options));
        command.extend(words(&["--seed", &setting.seed.to_string(), "--out", &folder(&id)]));
        let title =
            format!("{}: {what} of {} networks", setting.subject_name(subject), roles.len());
        let [json, rows] = [format!("{what}.json"), format!("{what}-samples.csv")];
        self.measurement(id, title, needs, command, &[&json, &rows], minutes)
    }
}

/// Seen on two cores for the first two scales; for a GPU from numbers of passes, and never seen.
fn training_minutes(scale: Scale, architecture: &str, role: Role) -> f64 {
    match (scale, role) {
        (Scale::Demo, _) => 0.2,
        (Scale::Cpu, Role::Original) => 45.0,
        (Scale::Cpu, _) => 25.0,
        (Scale::Paper, role) => {
            let network = if architecture == "resnet18" { 1.0 } else { 8.0 };
            let passes = match role {
                Role::Original => 60.0 * 3.0,
                Role::DeepFool => 20.0 * 40.0,
                Role::Cure => 20.0 * 12.0,
                Role::Adversarial => 20.0 * 24.0,
            };
            network * passes * 0.05
        }
    }
}
