//! `cure demo`, end to end: the real demonstration, once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn demo(folder: &Path) -> Output {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).args(["demo", "--quiet", "--out", "story"]).output().unwrap()
}

/// Every file beneath a folder, with what is in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn the_demonstration_shows_what_it_is_for_and_is_not_overwritten() {
    let place = TempDir::new().unwrap();
    let output = demo(place.path());
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert_eq!(message, "", "--quiet and no terminal");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("PGD-20 may change") && text.contains("report.html"), "{text}");

    let folder = place.path().join("story");
    let results = fs::read_to_string(folder.join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    let pgd = |network: &str| {
        let attacks = results["networks"][network]["attacks"].as_array().unwrap();
        let at = |spec: &Value| spec.as_str().unwrap().starts_with("pgd:norm=linf,eps=0.15,");
        attacks.iter().find(|attack| at(&attack["spec"])).unwrap().clone()
    };
    let end = |network: &str, end: usize| pgd(network)["ci95"][end].as_f64().unwrap();
    // Clearly more robust: the intervals do not touch.
    assert!(end("cure", 0) > end("original", 1), "{text}");
    assert!(end("cure", 0) > end("control", 1), "{text}");
    let clean = |network: &str| {
        let accuracy = &results["networks"][network]["clean"]["accuracy"];
        accuracy.as_f64().unwrap()
    };
    assert!(clean("cure") > clean("original") - 0.06, "{text}");

    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    let robust = 100.0 * pgd("cure")["robust_accuracy"].as_f64().unwrap();
    assert!(page.contains(&format!("{robust:.1} %")) && page.contains("<svg"));
    for network in ["original", "control", "cure"] {
        let hash = results["networks"][network]["model"]["weights_sha256"].as_str().unwrap();
        assert!(page.contains(hash), "{network}");
        for file in ["config.toml", "metrics.jsonl", "weights.safetensors"] {
            assert!(folder.join(network).join(file).is_file(), "{network}/{file}");
        }
    }
    for figure in ["robust-accuracy", "training-accuracy", "training-loss", "images"] {
        for extension in ["svg", "png", "csv"] {
            assert!(folder.join(format!("figures/{figure}.{extension}")).is_file(), "{figure}");
        }
    }

    let before = contents(&folder);
    let refused = demo(place.path());
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("not empty") && message.contains("--out"), "{message}");
    assert!(before == contents(&folder), "a refused run must change nothing");
}
