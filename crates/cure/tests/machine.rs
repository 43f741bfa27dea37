//! What the program says of itself and of the machine: oracles, completions, manual pages.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn cure(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cure"));
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

#[test]
fn all_oracles_hold_here() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let output = cure(place, "selftest --json found.json");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let found: Value =
        serde_json::from_slice(&fs::read(place.join("found.json")).unwrap()).unwrap();
    let oracles = found["oracles"].as_array().unwrap();
    assert_eq!(oracles.len(), 9);
    for oracle in oracles {
        assert_eq!(oracle["holds"], true, "{oracle}");
    }
    assert_eq!(found["holds"], true);
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    for shell in ["bash", "zsh", "fish"] {
        let script =
            String::from_utf8(cure(place, &format!("completions {shell}")).stdout).unwrap();
        for word in ["evaluate", "reproduce", "selftest", "normalize"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    assert_eq!(cure(place, "completions tcsh").status.code(), Some(2));
    assert_eq!(cure(place, "man pages").status.code(), Some(0));
    let page = fs::read_to_string(place.join("pages/cure-evaluate.1")).unwrap();
    assert!(page.contains("cure evaluate") && page.contains("attack"), "{page}");
    for name in ["cure", "cure-geometry-profile", "cure-data-fetch"] {
        assert!(place.join(format!("pages/{name}.1")).is_file(), "{name}");
    }
    fs::write(place.join("file"), "").unwrap();
    assert_eq!(cure(place, "man file").status.code(), Some(2));
}
