//! Writing to standard output and to files.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::failure::{Blame, Failure, Outcome};

/// Prints to standard output; a reader that went away (`cure … | head`) ends the program quietly.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.failed(),
    }
}

/// Writes a value as indented JSON, beside and then renamed.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Outcome {
    let mut text = serde_json::to_string_pretty(value).failed()?;
    text.push('\n');
    cure_report::write_atomically(path, text.as_bytes()).failed()
}

/// Refuses a path whose folder is not there, before any work is done for it.
pub(crate) fn check_parent(path: &Path) -> Outcome {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(parent) if !parent.is_dir() => Err(Failure::Input(format!(
            "{} cannot be written: the folder {} does not exist",
            path.display(),
            parent.display()
        ))),
        _ if path.is_dir() => {
            Err(Failure::Input(format!("{} is a folder, not a file", path.display())))
        }
        _ => Ok(()),
    }
}
