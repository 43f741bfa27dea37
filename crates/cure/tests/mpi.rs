//! Several processes of an MPI job: one result, and none that is lost when one of them dies.
#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// `mpirun -n RANKS cure ARGUMENTS` in `folder`.
fn mpirun(folder: &Path, ranks: usize, arguments: &str) -> Command {
    let mut command = Command::new("mpirun");
    // More ranks than cores, and the user that containers run as.
    command.args(["--oversubscribe", "--allow-run-as-root", "-n", &ranks.to_string()]);
    command.arg(assert_cmd::cargo::cargo_bin("cure"));
    command.args(arguments.split_whitespace()).current_dir(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What one process, or several, say.
fn run(folder: &Path, ranks: usize, arguments: &str) -> Output {
    match ranks {
        1 => {
            let mut command = Command::new(assert_cmd::cargo::cargo_bin("cure"));
            command.args(arguments.split_whitespace()).current_dir(folder).output().unwrap()
        }
        _ => mpirun(folder, ranks, arguments).output().unwrap(),
    }
}

fn succeeds(folder: &Path, ranks: usize, arguments: &str) -> String {
    let output = run(folder, ranks, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

const START: &str = "train --data digits --model cnn --limit 400 --epochs 3 --quiet \
    --threads 1 --out start";
/// SGD, since Adam's first steps are as long for a rounding error as for a gradient.
const FINETUNE: &str = "finetune --data digits --weights start/weights.safetensors --limit 440 --validation 40 \
    --validation-attack pgd:eps=0.05,steps=3 --batch 40 --optimizer sgd --learning-rate 0.01 \
    --method cure:loss_mode=train,regularizer_mode=train --gamma 0.1 --h 0.3 --average 0.9 --quiet";

fn start(folder: &Path) {
    succeeds(folder, 1, START);
}

#[test]
fn a_fine_tuning_run_goes_where_one_process_goes() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    start(place);
    succeeds(place, 1, &format!("{FINETUNE} --epochs 2 --out alone"));
    let expected = rows(&place.join("alone"));
    for ranks in [2, 4] {
        let out = format!("on-{ranks}");
        let text = succeeds(place, ranks, &format!("{FINETUNE} --epochs 2 --out {out}"));
        assert_eq!(text.matches("chosen: epoch").count(), 1, "one rank speaks: {text}");
        let found = rows(&place.join(&out));
        assert_eq!(found.len(), 2);
        for (found, expected) in found.iter().zip(&expected) {
            for key in ["loss", "regularizer"] {
                let (found, expected) =
                    (found[key].as_f64().unwrap(), expected[key].as_f64().unwrap());
                assert!((found / expected - 1.0).abs() < 1e-3, "{ranks}: {key} {found} {expected}");
            }
            assert_eq!(found["images_seen"], expected["images_seen"]);
        }
        let record = fs::read_to_string(place.join(out).join("run.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["sessions"].as_array().unwrap().len(), 1);
        assert_eq!(record["sessions"][0]["ranks"], ranks);
    }
}

/// Waits for a row more than `before`, then kills one of its ranks without a word: the one that writes, or
/// the last.
fn kill_one_rank(job: &mut Child, run: &Path, before: usize, kills_first: bool) {
    for _ in 0..600 {
        if rows(run).len() > before {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", job.id())).unwrap();
    let mut ranks = children.split_whitespace();
    let rank = if kills_first { ranks.next() } else { ranks.next_back() }.unwrap().to_owned();
    assert!(Command::new("kill").args(["-9", &rank]).status().unwrap().success());
}

#[test]
#[cfg(target_os = "linux")]
fn a_rank_that_is_killed_ends_the_job_and_the_run_goes_on() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    start(place);
    let mut done = 0;
    for kills_first in [false, true] {
        let arguments = match kills_first {
            false => format!("{FINETUNE} --epochs 400 --out run"),
            true => "finetune --resume run --quiet".to_owned(),
        };
        let mut job = mpirun(place, 2, &arguments).spawn().unwrap();
        kill_one_rank(&mut job, &place.join("run"), done, kills_first);
        let output = job.wait_with_output().unwrap();
        assert!(!output.status.success());
        let before = std::mem::replace(&mut done, rows(&place.join("run")).len());
        assert!((before + 1..400).contains(&done), "{done} epochs after {before}");
    }
    // Fewer epochs left would be another configuration: go on for a moment, on another number of ranks.
    let mut job = mpirun(place, 4, "finetune --resume run --quiet").spawn().unwrap();
    for _ in 0..600 {
        if rows(&place.join("run")).len() > done {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    job.kill().unwrap();
    job.wait().unwrap();
    let found = rows(&place.join("run"));
    assert!(found.len() > done, "it did not go on from epoch {done}");
    let epochs: Vec<u64> = found.iter().map(|row| row["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, (1..=found.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_evaluation_is_the_same_on_any_number_of_ranks() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    start(place);
    let evaluate = "evaluate --data digits --weights start/weights.safetensors --limit 100 --batch 8 \
        --attack pgd:eps=0.1,steps=5 --attack deepfool:norm=l2";
    succeeds(place, 1, &format!("{evaluate} --csv 1.csv"));
    for ranks in [2, 3] {
        let text =
            succeeds(place, ranks, &format!("{evaluate} --csv {ranks}.csv --journal {ranks}.j"));
        assert_eq!(text.matches("none (clean)").count(), 1);
        let read = |name: String| fs::read_to_string(place.join(name)).unwrap();
        assert_eq!(read(format!("{ranks}.csv")), read("1.csv".into()));
        assert!(!place.join(format!("{ranks}.j.rank-1")).exists());
    }
    // Noted by three ranks, gone on with by two, and then by one.
    let lines = |name: &str| fs::read_to_string(place.join(name)).unwrap().lines().count();
    let whole = lines("3.j");
    let journal = fs::read_to_string(place.join("3.j")).unwrap();
    let mut entries = journal.lines();
    let header = entries.next().unwrap();
    for name in ["k", "k.rank-1", "k.rank-2"] {
        let some: Vec<&str> = std::iter::once(header).chain(entries.by_ref().take(2)).collect();
        fs::write(place.join(name), some.join("\n") + "\n").unwrap();
    }
    succeeds(place, 2, &format!("{evaluate} --csv k.csv --journal k"));
    assert_eq!(lines("k"), whole);
    assert!(!place.join("k.rank-1").exists() && !place.join("k.rank-2").exists());
    succeeds(place, 1, &format!("{evaluate} --csv k1.csv --journal k"));
    assert_eq!(lines("k"), whole);
    for name in ["k.csv", "k1.csv"] {
        assert_eq!(fs::read(place.join(name)).unwrap(), fs::read(place.join("1.csv")).unwrap());
    }
}

#[test]
fn what_ranks_cannot_share_is_refused_by_all() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    start(place);
    let finetune = FINETUNE.replace("--batch 40", "--batch 41");
    for (arguments, part) in [
        ("demo".to_owned(), "start one process"),
        (format!("{finetune} --epochs 1 --out odd"), "a multiple of 2, since 2 ranks share"),
        (
            "evaluate --data digits --weights start/weights.safetensors --attack fgsm:eps=0.1 --save x.npz"
                .to_owned(),
            "for one process",
        ),
    ] {
        let output = run(place, 2, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(part), "{arguments}: {message}");
    }
}
