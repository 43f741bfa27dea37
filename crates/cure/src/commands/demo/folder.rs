//! Where the demonstration writes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// Where it writes when nobody says.
const RUNS: &str = "runs";

/// Makes the folder asked for, which must be new or empty, or a new one in `runs`.
pub(super) fn make(asked: Option<&Path>) -> Outcome<PathBuf> {
    match asked {
        Some(folder) => make_asked(folder),
        None => make_next(Path::new(RUNS)),
    }
}

fn make_asked(folder: &Path) -> Outcome<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(folder.to_owned()),
            Some(_) => Err(Failure::Input(format!(
                "`{}` is not empty and stays as it is; choose a new or an empty folder with --out",
                folder.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(folder).map_err(|error| refused(folder, &error))?;
            Ok(folder.to_owned())
        }
        Err(error) => Err(refused(folder, &error)),
    }
}

/// `demo` in `runs`, else `demo-2`, `demo-3`, …: the first that is not there.
fn make_next(runs: &Path) -> Outcome<PathBuf> {
    std::fs::create_dir_all(runs).map_err(|error| refused(runs, &error))?;
    let mut number = 1_u32;
    loop {
        let folder = match number {
            1 => runs.join("demo"),
            _ => runs.join(format!("demo-{number}")),
        };
        // Made, not looked for: of two processes only one succeeds.
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(refused(&folder, &error)),
        }
    }
}

fn refused(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::Input(format!(
        "the folder `{}` cannot be made: {error}; choose another one with --out",
        folder.display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_it_takes_the_next_number() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path().join("runs");
        for name in ["demo", "demo-2", "demo-3"] {
            assert_eq!(make_next(&runs).unwrap(), runs.join(name));
        }
    }

    #[test]
    fn a_named_folder_is_new_or_empty() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        assert_eq!(make_asked(&folder).unwrap(), folder);
        assert_eq!(make_asked(&folder).unwrap(), folder);
        std::fs::write(folder.join("notes.txt"), "mine").unwrap();
        for taken in [folder.clone(), folder.join("notes.txt")] {
            let refusal = make_asked(&taken).unwrap_err();
            assert!(matches!(&refusal, Failure::Input(text) if text.contains("--out")));
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}
