//! What is to be computed, in an order in which it can be.

use super::given::Given;
use super::scale::{Role, Scale, Setting, Subject};

/// A command whose files other steps or the report need.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// Its name, and that of its folder in `steps`.
    pub(super) id: String,
    /// What it does, in a line.
    pub(super) title: String,
    pub(super) kind: Kind,
    /// Steps whose files it reads.
    pub(super) needs: Vec<String>,
    /// Files that somebody gave, by their whole paths. Data are not among them.
    pub(super) reads: Vec<String>,
    /// What follows `cure` on its command line, run in the reproduction's folder.
    pub(super) command: Vec<String>,
    /// The files that are there when it is done, relative to that folder.
    pub(super) makes: Vec<String>,
    /// About how long it takes on two cores, or on a GPU at the paper's scale.
    pub(super) minutes: f64,
}

/// How a step goes on where it was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Training: from its checkpoint.
    Training,
    /// Anything else: the same command line again.
    Measurement,
}

/// Steps, each after those that it needs.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// The folder of a step.
pub(super) fn folder(id: &str) -> String {
    format!("steps/{id}")
}

/// A step's file.
pub(super) fn file(id: &str, name: &str) -> String {
    format!("steps/{id}/{name}")
}

impl Plan {
    /// Adds a step unless it is there, and gives its name.
    pub(super) fn add(&mut self, step: Step) -> String {
        let id = step.id.clone();
        if self.steps.iter().all(|other| other.id != id) {
            self.steps.push(step);
        }
        id
    }

    /// The files of other steps that a step reads.
    pub(super) fn inputs(&self, step: &Step) -> Vec<String> {
        let needed = self.steps.iter().filter(|other| step.needs.contains(&other.id));
        needed.flat_map(|other| other.makes.iter().cloned()).collect()
    }

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

    /// A measurement of a kind, of some networks, which `--weights` names; `rest` is the command line around them.
    pub(super) fn measurement(
        &mut self,
        id: String,
        title: String,
        needs: Vec<String>,
        command: Vec<String>,
        makes: &[&str],
        minutes: f64,
    ) -> String {
        let makes = makes.iter().map(|name| file(&id, name)).collect();
        let (kind, reads) = (Kind::Measurement, Vec::new());
        self.add(Step { id, title, kind, needs, reads, command, makes, minutes })
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

    /// Minutes of what is asked for.
    pub(super) fn minutes(&self) -> f64 {
        // The sum of no numbers is −0.
        self.steps.iter().fold(0.0, |sum, step| sum + step.minutes)
    }
}

/// A network's file in its step's folder.
pub(super) const WEIGHTS: &str = "weights.safetensors";
/// What an evaluation writes.
pub(super) const RESULTS: &str = "results.json";
/// And of each image.
pub(super) const ROWS: &str = "results.csv";

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
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
