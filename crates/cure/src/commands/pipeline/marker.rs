//! What lies beside a step's folder: that it was begun, or is done, by what, from which bytes and to which.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{Blame, Outcome};
use crate::output::PROGRAM;

/// SHA-256 of files, by their names in the reproduction's folder, or whole paths.
pub(in crate::commands) type Sums = BTreeMap<String, String>;

/// By what a step was worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct Session {
    /// Program, version and commit.
    pub(in crate::commands) program: String,
    pub(in crate::commands) device: String,
    pub(in crate::commands) precision: String,
    /// What the command line had besides the step's own words.
    pub(in crate::commands) flags: Vec<String>,
}

/// `steps/ID.begun.json`: what a step was begun with, so that it goes on from what it left only where that is the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct Begun {
    pub(in crate::commands) command: Vec<String>,
    /// Of the files it reads.
    pub(in crate::commands) inputs: Sums,
    /// Each that differs from those before it.
    pub(in crate::commands) sessions: Vec<Session>,
}

/// `steps/ID.json`: a step is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct Done {
    #[serde(flatten)]
    pub(in crate::commands) begun: Begun,
    /// Of the files it made.
    pub(in crate::commands) made: Sums,
    /// Of the last process, where it took several.
    pub(in crate::commands) seconds: f64,
}

impl Session {
    /// This process's, and so that of the steps it starts; `flags` are what it hands on to them.
    pub(in crate::commands) fn now(flags: &[String]) -> Self {
        let says_nothing = |flag: &&String| !["--quiet", "--verbose"].contains(&flag.as_str());
        Self {
            program: PROGRAM.to_owned(),
            device: cure_tensor::device().to_string(),
            precision: cure_tensor::precision().to_string(),
            flags: flags.iter().filter(says_nothing).cloned().collect(),
        }
    }
}

/// Where a step's marker is, in the reproduction's folder.
pub(in crate::commands) fn done(out: &Path, id: &str) -> PathBuf {
    out.join("steps").join(format!("{id}.json"))
}

/// Where it is while the step is not done.
pub(in crate::commands) fn begun(out: &Path, id: &str) -> PathBuf {
    out.join("steps").join(format!("{id}.begun.json"))
}

/// Whether anything was done for a step.
pub(in crate::commands) fn is_there(out: &Path, id: &str) -> bool {
    let folder = out.join("steps").join(id);
    done(out, id).exists() || begun(out, id).exists() || folder.exists()
}

/// A marker, if it is there and can be read.
pub(in crate::commands) fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Removes what may not be there.
pub(in crate::commands) fn remove(path: &Path) -> Outcome {
    match std::fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path).failed(),
        Ok(_) => std::fs::remove_file(path).failed(),
    }
}

/// Sums of files, each taken once.
#[derive(Debug, Default)]
pub(in crate::commands) struct Taken(RefCell<HashMap<PathBuf, Option<String>>>);

impl Taken {
    /// That of a file; none where it cannot be read.
    pub(in crate::commands) fn of(&self, path: &Path) -> Option<String> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let sum = sum(path);
        self.0.borrow_mut().insert(path.to_owned(), sum.clone());
        sum
    }

    /// What is in `folder` is about to change, or has.
    pub(in crate::commands) fn forget(&self, folder: &Path) {
        self.0.borrow_mut().retain(|path, _| !path.starts_with(folder));
    }
}

fn sum(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut sum = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).ok()? {
            0 => return Some(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => sum.update(&block[..read]),
        }
    }
}
