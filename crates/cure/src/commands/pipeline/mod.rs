//! Work in steps: what is to be done, in an order in which it can be, and how it is done once whatever interrupts it.
//! Steps are command lines of this program; `reproduce` and `audit` are made of them.

mod execute;
mod files;
mod ledger;
mod marker;
mod outlook;

use std::fs::File;
use std::path::Path;

use crate::failure::{Failure, Outcome};

pub(in crate::commands) use execute::{run, shell};
pub(in crate::commands) use files::{Files, lacks};
pub(in crate::commands) use ledger::{Ledger, State};
pub(in crate::commands) use marker::{Done, Session, is_there};
pub(in crate::commands) use outlook::describe;

/// A command whose files other steps or the report need.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::commands) struct Step {
    /// Its name, and that of its folder in `steps`.
    pub(in crate::commands) id: String,
    /// What it does, in a line.
    pub(in crate::commands) title: String,
    pub(in crate::commands) kind: Kind,
    /// Steps whose files it reads.
    pub(in crate::commands) needs: Vec<String>,
    /// Files that somebody gave, by their whole paths. Data are not among them.
    pub(in crate::commands) reads: Vec<String>,
    /// What follows `cure` on its command line, run in the plan's folder.
    pub(in crate::commands) command: Vec<String>,
    /// The files that are there when it is done, relative to that folder.
    pub(in crate::commands) makes: Vec<String>,
    /// About how long it takes on two cores, or on a GPU at the paper's scale.
    pub(in crate::commands) minutes: f64,
}

/// How a step goes on where it was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Kind {
    /// Training: from its checkpoint.
    Training,
    /// Anything else: the same command line again.
    Measurement,
}

/// Steps, each after those that it needs.
#[derive(Debug, Default)]
pub(in crate::commands) struct Plan {
    pub(in crate::commands) steps: Vec<Step>,
}

/// The folder of a step.
pub(in crate::commands) fn folder(id: &str) -> String {
    format!("steps/{id}")
}

/// A step's file.
pub(in crate::commands) fn file(id: &str, name: &str) -> String {
    format!("steps/{id}/{name}")
}

impl Plan {
    /// Adds a step unless it is there, and gives its name.
    pub(in crate::commands) fn add(&mut self, step: Step) -> String {
        let id = step.id.clone();
        if self.steps.iter().all(|other| other.id != id) {
            self.steps.push(step);
        }
        id
    }

    /// The files of other steps that a step reads.
    pub(in crate::commands) fn inputs(&self, step: &Step) -> Vec<String> {
        let needed = self.steps.iter().filter(|other| step.needs.contains(&other.id));
        needed.flat_map(|other| other.makes.iter().cloned()).collect()
    }

    /// A measurement of a kind, of some networks, which `--weights` names; `rest` is the command line around them.
    pub(in crate::commands) fn measurement(
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

    /// Minutes of what is asked for.
    pub(in crate::commands) fn minutes(&self) -> f64 {
        // The sum of no numbers is −0.
        self.steps.iter().fold(0.0, |sum, step| sum + step.minutes)
    }
}

/// A network's file in its step's folder.
pub(in crate::commands) const WEIGHTS: &str = "weights.safetensors";
/// What an evaluation writes.
pub(in crate::commands) const RESULTS: &str = "results.json";
/// And of each image.
pub(in crate::commands) const ROWS: &str = "results.csv";

pub(in crate::commands) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// What a plan's folder holds from the start.
const OWN: [&str; 3] = ["steps", "logs", ".lock"];

/// Makes the folder `out`, or goes on with it where it holds the file `record`; nobody else writes to it as long as what
/// this returns is kept.
///
/// # Errors
/// [`Failure::Input`] if it holds something else, cannot be written, or somebody is at work in it.
pub(in crate::commands) fn open(out: &Path, record: &str) -> Outcome<File> {
    // What this function makes itself is nobody else's, should the program have been killed before it wrote the record.
    let is_own = |name: &std::ffi::OsStr| OWN.iter().any(|own| name == *own);
    let is_other = std::fs::read_dir(out)
        .is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| !is_own(&file.file_name()))))
        && !out.join(record).is_file();
    if is_other {
        return Err(Failure::Input(format!(
            "`{}` holds something else and stays as it is; choose a new folder with --out",
            out.display()
        )));
    }
    let refuse = |error: std::io::Error| Failure::Input(format!("{}: {error}", out.display()));
    for folder in &OWN[..2] {
        std::fs::create_dir_all(out.join(folder)).map_err(refuse)?;
    }
    let lock = File::create(out.join(".lock")).map_err(refuse)?;
    if lock.try_lock().is_err() {
        return Err(Failure::Input(format!(
            "another process is at work in {}; wait for it, or choose another folder with --out",
            out.display()
        )));
    }
    Ok(lock)
}
