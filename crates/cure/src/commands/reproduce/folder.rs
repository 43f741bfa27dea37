//! The folder of a reproduction: what it keeps of the commands that wrote it, and that one at a time does.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::items::Item;
use super::scale::Setting;
use crate::commands::pipeline;
use crate::failure::{Failure, Outcome};
use crate::output::write_json;

const RECORD: &str = "setting.json";

/// What a folder keeps of the commands that wrote it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) setting: Setting,
    /// The tables and figures that were asked for.
    pub(super) asked: Vec<String>,
}

impl Record {
    /// With what is asked for now.
    pub(super) fn new(setting: Setting, before: Option<Self>, items: &[&Item]) -> Self {
        let mut asked = before.map(|before| before.asked).unwrap_or_default();
        for item in items {
            if asked.iter().all(|key| key != item.key) {
                asked.push(item.key.to_owned());
            }
        }
        Self { setting, asked }
    }
}

/// What a folder was begun with, if it was.
pub(super) fn read(out: &Path) -> Outcome<Option<Record>> {
    let path = out.join(RECORD);
    let refuse = |reason: String| {
        Failure::Input(format!(
            "{}: {reason}; mend it, or choose another folder with --out",
            path.display()
        ))
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
            refuse(format!("not what this program keeps of a reproduction ({error})"))
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// Makes the folder, or goes on with it; nobody else writes to it meanwhile.
pub(super) fn open(out: &Path, record: &Record) -> Outcome<File> {
    let lock = pipeline::open(out, RECORD)?;
    write_json(&out.join(RECORD), record)?;
    Ok(lock)
}
