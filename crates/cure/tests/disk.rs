//! A disk that fills up while a network is trained: one error, the last checkpoint whole.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const TRAIN: &str = "train --data digits --limit 200 --model mlp --epochs 3 --validation 40 \
                     --validation-attack none --average 0.9 --threads 1 --quiet";

/// Runs `cure ARGUMENTS`, under a limit on the size of a file (in blocks of 512 bytes) if there is
/// one. What a full disk does to a write is what the limit does, but for the reason given.
fn cure(folder: &Path, arguments: &str, limit: Option<u64>) -> Output {
    let binary = env!("CARGO_BIN_EXE_cure");
    // The signal would end the process before it can say anything.
    let limit = limit.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    let script = format!("{}exec {binary} {arguments}", limit.unwrap_or_default());
    Command::new("sh").current_dir(folder).args(["-c", &script]).output().unwrap()
}

#[test]
fn a_full_disk_is_one_error_and_the_run_goes_on_once_there_is_room() {
    let folder = TempDir::new().unwrap();
    let whole = cure(folder.path(), &format!("{TRAIN} --out whole"), None);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    // The first checkpoint holds no chosen weights yet; the next ones do, and are larger.
    let weights = fs::metadata(folder.path().join("whole/weights.safetensors")).unwrap().len();
    let last = folder.path().join("whole/checkpoints/last.safetensors");
    let limit = (fs::metadata(last).unwrap().len() - weights / 2) / 512;

    let full = cure(folder.path(), &format!("{TRAIN} --out full"), Some(limit));
    let message = String::from_utf8(full.stderr).unwrap();
    assert_eq!(full.status.code(), Some(1), "{message}");
    let errors: Vec<&str> = message.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{message}");
    for part in ["cannot write", "full/checkpoints", "checkpoint is intact", "--resume full"] {
        assert!(errors[0].contains(part), "{message}");
    }
    // What was half written is gone.
    let mut left: Vec<String> = fs::read_dir(folder.path().join("full/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["best.safetensors", "last.safetensors"]);

    let resumed = cure(folder.path(), "train --resume full --threads 1 --quiet", None);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    let weights = |run: &str| fs::read(folder.path().join(run).join("weights.safetensors"));
    assert!(weights("full").unwrap() == weights("whole").unwrap());
}

/// Before there is a checkpoint nothing is left behind; after that the way to go on is said.
#[test]
fn a_run_that_cannot_be_begun_leaves_nothing_and_one_that_can_says_how_to_go_on() {
    let folder = TempDir::new().unwrap();
    let failed = |arguments: &str, limit| {
        let output = cure(folder.path(), arguments, limit);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let message = failed(&format!("{TRAIN} --out never"), Some(0));
    assert!(message.contains("cannot write `never/"), "{message}");
    assert!(!folder.path().join("never").exists());

    // The record cannot be written.
    fs::create_dir_all(folder.path().join("run/run.json")).unwrap();
    let message = failed(&format!("{TRAIN} --out run"), None);
    assert!(message.contains("run.json") && !message.contains("intact"), "{message}");
    fs::remove_dir_all(folder.path().join("run")).unwrap();
    assert!(cure(folder.path(), &format!("{TRAIN} --out run"), None).status.success());
    fs::remove_file(folder.path().join("run/run.json")).unwrap();
    fs::create_dir(folder.path().join("run/run.json")).unwrap();
    let message = failed("train --resume run --threads 1 --quiet", None);
    assert!(message.contains("checkpoint is intact") && message.contains("--resume run"));

    // A file is no folder for a run.
    fs::write(folder.path().join("file"), "mine").unwrap();
    let output = cure(folder.path(), &format!("{TRAIN} --out file"), None);
    assert_eq!(output.status.code(), Some(2));
}
