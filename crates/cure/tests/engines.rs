//! The same commands under either engine: the same numbers, within rounding, and the same files.
#![cfg(feature = "libtorch")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use cure_network::weights;
use serde_json::Value;
use tempfile::TempDir;

const ENGINES: [&str; 2] = ["cpu", "torch:cpu"];

fn cure(folder: &Path, arguments: &str) -> String {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).args(arguments.split_whitespace());
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

/// The largest relative difference, in ℓ2, of two files' tensors.
fn apart(a: &Path, b: &Path) -> f64 {
    let [a, b] = [a, b].map(|path| weights::read(path).unwrap().tensors);
    assert_eq!(a.len(), b.len());
    let of = |((name, a), (other, b)): (
        &(String, cure_tensor::Tensor),
        &(String, cure_tensor::Tensor),
    )| {
        assert_eq!((name, a.shape()), (other, b.shape()));
        let square = |x: f64| x * x;
        let size: f64 = a.host().iter().map(|&a| square(f64::from(a))).sum();
        let pairs = a
            .host()
            .iter()
            .zip(b.host().iter())
            .map(|(&a, &b)| f64::from(a) - f64::from(b))
            .collect::<Vec<_>>();
        let off: f64 = pairs.into_iter().map(square).sum();
        if size > 0.0 { (off / size).sqrt() } else { off.sqrt() }
    };
    a.iter().zip(&b).map(of).fold(0.0, f64::max)
}

fn trained(folder: &Path, model: &str) {
    let train =
        format!("train --data digits --model {model} --epochs 2 --out {model} --device cpu");
    cure(folder, &train);
}

#[test]
fn derivatives_are_the_same() {
    let folder = TempDir::new().unwrap();
    for model in ["cnn", "cnn+silu"] {
        trained(folder.path(), model);
        let files = ENGINES.map(|engine| {
            let file = format!("{model}-{}.safetensors", engine.replace(':', "-"));
            cure(
                folder.path(),
                &format!(
                    "derivatives --weights {model}/weights.safetensors --data digits --limit 16 --h 0.5 \
                     --device {engine} --out {file}"
                ),
            );
            folder.path().join(file)
        });
        let apart = apart(&files[0], &files[1]);
        assert!(apart < 1e-5, "{model}: {apart}");
    }
}

#[test]
fn an_epoch_of_cure_ends_within_rounding_and_checkpoints_are_for_both() {
    let folder = TempDir::new().unwrap();
    trained(folder.path(), "cnn");
    let tune = "finetune --weights cnn/weights.safetensors --data digits --method cure --h 0.5 --gamma 1 \
                --optimizer sgd --learning-rate 1e-3 --average 0.99";
    for engine in ENGINES {
        let out = engine.replace(':', "-");
        cure(folder.path(), &format!("{tune} --epochs 1 --device {engine} --out {out}"));
    }
    let of = |run: &str| folder.path().join(run).join("weights-last.safetensors");
    let apart_after = apart(&of("cpu"), &of("torch-cpu"));
    assert!(apart_after < 1e-5, "{apart_after}");

    // Interrupted under one engine, gone on with under the other.
    for [begins, goes_on] in [ENGINES, [ENGINES[1], ENGINES[0]]] {
        let out = format!("begun-{}", begins.replace(':', "-"));
        let arguments = format!("{tune} --epochs 12 --device {begins} --out {out}");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_cure"))
            .current_dir(folder.path())
            .args(arguments.split_whitespace())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("epoch 1:")));
        std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        lines.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let run = folder.path().join(&out);
        let rows = || fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count();
        assert!((1..12).contains(&rows()));
        cure(folder.path(), &format!("finetune --resume {out} --device {goes_on}"));
        assert_eq!(rows(), 12);
    }
    let between = apart(&of("begun-cpu"), &of("begun-torch-cpu"));
    // Twelve epochs let differences grow.
    assert!(between < 1e-3, "{between}");
}

#[test]
fn precision_is_said_and_refused_where_it_is_not_had() {
    let folder = TempDir::new().unwrap();
    trained(folder.path(), "cnn");
    let evaluate = "evaluate --weights cnn/weights.safetensors --data digits --attack fgsm:eps=0.05 --json e.json";
    let result = |options: &str| -> Value {
        cure(folder.path(), &format!("{evaluate} {options}"));
        serde_json::from_slice(&fs::read(folder.path().join("e.json")).unwrap()).unwrap()
    };
    let exact = result("--device torch:cpu");
    let coarse = result("--device torch:cpu --precision bf16");
    assert!(exact.get("precision").is_none());
    assert_eq!(coarse["precision"], "bf16");
    // Eight bits in the convolutions: another network, but nearly.
    let clean = |result: &Value| result["clean"]["accuracy"].as_f64().unwrap();
    assert!((clean(&exact) - clean(&coarse)).abs() < 0.03, "{} {}", clean(&exact), clean(&coarse));

    let module =
        "evaluate --model torchscript:net.ts --data digits --device torch:cpu --precision bf16";
    let refused =
        Command::cargo_bin("cure").unwrap().args(module.split_whitespace()).assert().code(2);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("what it was saved with"), "{said}");

    for (options, accepted) in [
        ("--device torch:cpu --precision tf32", "f32 or bf16 on torch:cpu"),
        ("--device cpu --precision bf16", "f32 on cpu"),
    ] {
        let mut command = Command::cargo_bin("cure").unwrap();
        let arguments = format!("{evaluate} {options}");
        command.current_dir(folder.path()).args(arguments.split_whitespace());
        let output = command.assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(accepted), "{said}");
    }
}
