//! `cure bench` on a small network: the structure of what it writes, not the times.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn bench(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).arg("bench").args(arguments).output().unwrap()
}

fn race<'a>(json: &'a Value, row: &str, batch: u64) -> &'a Value {
    let mut races = json["races"].as_array().unwrap().iter();
    races.find(|race| race["row"] == row && race["batch"] == batch).unwrap()
}

#[test]
fn every_row_of_ours_is_measured_and_written() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--models", "resnet8:2", "--rounds", "2", "--repeats", "2", "--threads", "2"];
    let rows = "forward,input-gradient,standard-step,cure-step,cure-step-frozen,pgd-20,deepfool,\
                exact-profile,help,threads";
    let files = ["--rows", rows, "--out", "bench.md", "--json", "bench.json"];
    let output = bench(folder.path(), &[&arguments[..], &files[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.is_empty(), "not silent though no terminal: {said}");

    let json: Value =
        serde_json::from_slice(&fs::read(folder.path().join("bench.json")).unwrap()).unwrap();
    for row in rows.split(',').filter(|row| !["threads", "help"].contains(row)) {
        let contenders = race(&json, row, 2)["contenders"].as_array().unwrap();
        let both = ["forward", "input-gradient", "cure-step", "cure-step-frozen"].contains(&row);
        assert_eq!(contenders.len(), if both { 2 } else { 1 }, "{row}");
        for contender in contenders {
            assert_eq!(contender["program"], "cure");
            let rounds = contender["rounds"].as_array().unwrap();
            assert_eq!(rounds.len(), 2, "{row}");
            for round in rounds {
                let ms = round["ms"].as_array().unwrap();
                let attack = ["pgd-20", "deepfool"].contains(&row);
                assert_eq!(ms.len(), if attack { 1 } else { 2 }, "{row}");
                assert!(ms.iter().all(|ms| ms.as_f64().unwrap() > 0.0), "{row}");
            }
        }
    }
    // 20 gradients of a forward and a pull back each, and a forward to judge the last iterate.
    assert_eq!(race(&json, "pgd-20", 2)["contenders"][0]["rounds"][0]["passes"], 41.0);

    let text = fs::read_to_string(folder.path().join("bench.md")).unwrap();
    assert!(text.starts_with("# Benchmarks\n"), "{text}");
    for part in ["## Side by side", "## Threads", "2 of 2 rounds", "| cure-step | resnet8, 2 |"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    // Without a rival there is nothing to compare with.
    assert!(!text.contains("## Do they compute the same?") && !text.contains("## Peak memory\n"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Side by side"));
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bench.json", "bench.md"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = TempDir::new().unwrap();
    for (arguments, part) in [
        (&["--rows", "backward"][..], "input-gradient"),
        (&["--models", "resnet20"], "resnet18:64"),
        (&["--models", "resnet21:2"], "resnet20"),
        (&["--models", "resnet20:0"], "65536"),
        (&["--models", "resnet20:1,resnet20:2"], "twice"),
        (&["--network", "net.pt"], "resnet18=net.pt"),
        (&["--models", "resnet20:1", "--network", "resnet20=none.pt"], "none.pt"),
        (&["--models", "resnet20:1", "--data", "digits"], "cifar10:DIR"),
        (&["--models", "resnet20:1", "--data", "cifar10:nowhere"], "nowhere"),
        (&["--models", "resnet20:1", "--against", "python3"], "benchmarks/pytorch.py"),
        (&["--models", "resnet20:1", "--out", "nowhere/bench.md"], "nowhere"),
        (&["--rounds", "0"], "--rounds"),
    ] {
        let output = bench(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?} does not say `{part}`: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
