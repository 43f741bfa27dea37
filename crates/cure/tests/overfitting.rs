//! Catastrophic overfitting, provoked: FGSM without a random start, a large ε, a high learning rate.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn it_comes_is_named_and_ends_the_run() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: it comes in the same epoch where the bits are the same, on the CPU engine"
        );
    }
    let folder = TempDir::new().unwrap();
    let arguments = "train --data digits --model cnn --method fgsm-at:eps=0.3 --optimizer sgd \
        --learning-rate one-cycle:0.2@0.3 --epochs 40 --batch 64 --validation 200 \
        --validation-attack pgd:eps=0.3,steps=20,random-start=false --on-overfitting stop --out run";
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder.path()).args(arguments.split_whitespace());
    let output = command.assert().success().get_output().clone();
    let (said, summary) =
        (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    let rows = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    // It comes: PGD wins where it lost before, FGSM does not. (Same bits, so in the same epoch, on
    // every machine.)
    let of = |row: &Value, key: &str| row[key].as_f64().unwrap();
    let (pgd, fgsm) = ("validation_robust_accuracy", "validation_fgsm_accuracy");
    let best = rows.iter().max_by(|a, b| of(a, pgd).total_cmp(&of(b, pgd))).unwrap();
    let last = rows.last().unwrap();
    assert!(of(best, pgd) > 0.25 && of(last, pgd) < 0.1, "{best} {last}");
    assert!(of(last, fgsm) > of(best, fgsm) && of(last, fgsm) > 0.5, "{best} {last}");
    // Training itself does not show it: the loss falls.
    assert!(of(last, "loss") < of(best, "loss"));

    // It is named, the run ends, and the weights are those from before.
    let epoch = rows.len();
    assert!(epoch < 40);
    assert!(said.contains(&format!("catastrophic overfitting in epoch {epoch}")), "{said}");
    assert!(summary.contains("ended early"), "{summary}");
    assert!(summary.contains(&format!("chosen: epoch {}", best["epoch"])), "{summary}");
    assert!(
        last["overfitting"].is_object()
            && rows[..epoch - 1].iter().all(|row| row["overfitting"].is_null())
    );

    // Training on from there, nothing ever stands: the first epoch says so.
    let arguments = "finetune --weights run/weights-last.safetensors --data digits --method fgsm-at:eps=0.3 \
        --optimizer sgd --learning-rate 1e-3 --epochs 1 --batch 64 --validation 200 \
        --validation-attack pgd:eps=0.3,steps=20,random-start=false --out on";
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder.path()).args(arguments.split_whitespace());
    let said = String::from_utf8(command.assert().success().get_output().stderr.clone()).unwrap();
    assert!(said.contains("catastrophic overfitting in epoch 1"), "{said}");
}
