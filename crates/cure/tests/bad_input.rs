//! Bad input: one clear sentence, exit code 2, and nothing written.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use cure::network::{Architecture, Network, Normalization, save};
use cure::tensor::Tensor;
use tempfile::TempDir;

fn cure(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder);
    command
}

/// Everything in a folder, at any depth.
fn contents(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Runs `cure ARGUMENTS` in `folder` and expects it to refuse, saying each of `parts`.
fn refused(folder: &TempDir, arguments: &[&str], parts: &[&str]) {
    let before = contents(folder.path());
    let output = cure(folder.path()).args(arguments).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "cure {arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "cure {arguments:?} printed results");
    let errors: Vec<&str> = message.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "cure {arguments:?}: {message}");
    for part in parts {
        assert!(errors[0].contains(part), "cure {arguments:?} does not say `{part}`: {message}");
    }
    assert_eq!(contents(folder.path()), before, "cure {arguments:?} wrote something");
}

fn digits_network(path: &Path) -> Network {
    let architecture = Architecture::named("cnn", 10, [1, 8, 8]).unwrap();
    let network = Network::random(architecture, Normalization::none(1), 1).unwrap();
    save(path, &network, None).unwrap();
    network
}

fn folder_with_network() -> TempDir {
    let folder = TempDir::new().unwrap();
    digits_network(&folder.path().join("net.safetensors"));
    folder
}

const EVALUATE: [&str; 5] = ["evaluate", "--weights", "net.safetensors", "--data", "digits"];

fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [base, more].concat()
}

#[test]
fn data_that_is_not_there_or_damaged() {
    let folder = folder_with_network();
    let base = &EVALUATE[..3];
    refused(&folder, &with(base, &["--data", "cifar10:nowhere"]), &["nowhere"]);
    refused(&folder, &with(base, &["--data", "cifar"]), &["cifar", "cifar10", "digits"]);
    fs::create_dir(folder.path().join("short")).unwrap();
    fs::write(folder.path().join("short/test_batch.bin"), vec![1; 3073 + 100]).unwrap();
    refused(&folder, &with(base, &["--data", "cifar10:short"]), &["test_batch.bin", "3073"]);
    fs::create_dir(folder.path().join("label")).unwrap();
    let mut record = vec![7u8; 3073];
    record[0] = 12;
    fs::write(folder.path().join("label/test_batch.bin"), record).unwrap();
    refused(&folder, &with(base, &["--data", "cifar10:label"]), &["label", "12"]);
    refused(&folder, &with(&EVALUATE, &["--limit", "0"]), &["0"]);
    refused(&folder, &with(&EVALUATE, &["--indices", "5"]), &["A..B"]);
    refused(&folder, &with(&EVALUATE, &["--split", "validate"]), &["validate", "test"]);
}

#[test]
fn weights_that_do_not_fit_or_cannot_be_trusted() {
    let folder = folder_with_network();
    let evaluate = |file| ["evaluate", "--weights", file, "--data", "digits"];
    refused(&folder, &evaluate("missing.pt"), &["missing.pt"]);
    refused(&folder, &evaluate("/dev/zero"), &["no regular file"]);
    refused(&folder, &with(&EVALUATE, &["--normalize", "125/63"]), &["[0, 1]", "255"]);
    refused(&folder, &with(&EVALUATE, &["--model", "mlp"]), &["missing", "fc1.weight"]);
    refused(&folder, &with(&EVALUATE, &["--model", "resnet21"]), &["resnet21", "resnet20"]);
    refused(&folder, &with(&EVALUATE, &["--normalize", "0.5/0"]), &["std"]);

    // os.system("touch owned"), as a pickle.
    let pickle = b"cos\nsystem\n(S'touch owned'\ntR.";
    fs::write(folder.path().join("evil.pkl"), pickle).unwrap();
    refused(&folder, &evaluate("evil.pkl"), &["evil.pkl"]);
    // The same behind the magic numbers of a PyTorch checkpoint.
    let mut legacy =
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00.".to_vec();
    legacy.extend(pickle);
    fs::write(folder.path().join("evil.pt"), legacy).unwrap();
    refused(&folder, &evaluate("evil.pt"), &["system"]);
    assert!(!folder.path().join("owned").exists());

    // A NaN in an otherwise good file: the last value of the file's data.
    let mut bytes = fs::read(folder.path().join("net.safetensors")).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.path().join("nan.safetensors"), bytes).unwrap();
    refused(&folder, &evaluate("nan.safetensors"), &["NaN"]);
}

#[test]
fn attacks_that_cannot_be_meant() {
    let folder = folder_with_network();
    for (attack, parts) in [
        ("pgd:eps=8", &["8/255"][..]),
        ("fgsm:eps=8", &["8/255"]),
        ("pgd:eps=8/255,step=0", &["step"]),
        ("fgsm", &["fgsm: eps must be given"]),
        ("fgsm:eps=1e-50", &["single precision"]),
        ("pgd:eps=8/255,steps=0", &["steps"]),
        ("deepfoul:eps=8/255", &["deepfoul", "fgsm, pgd"]),
        ("pgd:epsilon=8/255", &["epsilon", "eps"]),
    ] {
        refused(&folder, &with(&EVALUATE, &["--attack", attack]), parts);
    }
    refused(&folder, &with(&EVALUATE, &["--batch", "0"]), &["--batch"]);
    refused(&folder, &with(&EVALUATE, &["--threads", "0"]), &["--threads"]);
    refused(&folder, &with(&EVALUATE, &["--device", "cuda"]), &["cuda", "cpu"]);
    refused(&folder, &with(&EVALUATE, &["--json", "no/where/r.json"]), &["no/where"]);
    refused(&folder, &with(&EVALUATE, &["--save", "x.npz"]), &["--attack"]);
    refused(&folder, &with(&EVALUATE, &["--json", "net.safetensors"]), &["one of the inputs"]);
    refused(&folder, &with(&EVALUATE, &["--json", "r", "--csv", "r"]), &["two outputs"]);
    refused(&folder, &with(&EVALUATE, &["--json", "."]), &["not a plain file"]);
    refused(&folder, &with(&EVALUATE, &["--threads", "100000"]), &["1 to 1024"]);
    refused(&folder, &with(&EVALUATE, &["--fast"]), &["--fast", "--help"]);
    refused(&folder, &["evaluate", "--data", "digits"], &["--weights"]);
}

#[test]
fn training_that_cannot_start() {
    let folder = folder_with_network();
    let train = ["train", "--data", "digits", "--model", "mlp", "--out", "run"];
    refused(&folder, &with(&train, &["--epochs", "0"]), &["epochs"]);
    refused(&folder, &with(&train, &["--learning-rate", "fast"]), &["fast", "cosine"]);
    refused(&folder, &with(&train, &["--optimizer", "adamw"]), &["adamw", "adam"]);
    refused(&folder, &with(&train, &["--average", "1"]), &["average is 1", "0.999"]);
    refused(&folder, &with(&train, &["--clip-norm", "0"]), &["clip_norm is 0"]);
    refused(&folder, &with(&train, &["--warm-up", "-1"]), &["warm_up is -1", "0 to 20"]);
    refused(&folder, &with(&train, &["--weight-decay", "-1"]), &["weight_decay is -1"]);
    refused(&folder, &with(&train, &["--selection", "best"]), &["`best`", "best-robust"]);
    refused(&folder, &with(&train, &["--validation-every", "2"]), &["give --validation"]);
    let validated = with(&train, &["--validation", "20"]);
    refused(&folder, &with(&validated, &["--validation-samples", "0"]), &["samples is 0"]);
    refused(&folder, &with(&validated, &["--validation-attack", "ddn"]), &["an attack with an ε"]);
    refused(&folder, &with(&train, &["--schedule", "eps"]), &["--schedule `eps`", "NAME=SCHEDULE"]);
    refused(&folder, &with(&train, &["--schedule", "eps=8/255"]), &["`eps`", "does not take"]);
    refused(&folder, &with(&train, &["--schedule", "eps=1/0"]), &["`1/0`", "linear:FROM..TO"]);
    refused(&folder, &with(&train, &["--on-overfitting", "pray"]), &["`pray`", "roll-back"]);
    refused(&folder, &with(&train, &["--on-overfitting", "stop"]), &["validation attack"]);
    refused(&folder, &with(&train, &["--patience", "3"]), &["patience is 3", "validation"]);
    refused(&folder, &["train", "--data", "digits", "--out", "run"], &["--model"]);
    refused(&folder, &["train", "--data", "digits", "--model", "mlp"], &["--out"]);
    fs::write(folder.path().join("c.toml"), "[training]\nepoch = 3\n").unwrap();
    refused(&folder, &with(&train, &["--config", "c.toml"]), &["c.toml", "epoch"]);
    fs::write(folder.path().join("d.toml"), "[training.objective]\nmethod = \"magic\"\n").unwrap();
    refused(&folder, &with(&train, &["--config", "d.toml"]), &["d.toml", "magic"]);
    refused(&folder, &["train", "--resume", "run"], &["run"]);
    refused(&folder, &["train", "--resume", "run", "--epochs", "3"], &["--resume", "config.toml"]);
    let wide = ["train", "--data", "digits", "--model", "wrn-28-100000", "--out", "run"];
    refused(&folder, &wide, &["wrn-28-100000", "1 to 64"]);
    let finetune = ["finetune", "--weights", "net.safetensors", "--data", "digits", "--out", "run"];
    refused(&folder, &with(&finetune, &["--method", "sure"]), &["sure", "cure"]);
    refused(&folder, &with(&finetune, &["--method", "cure"]), &["--gamma", "--h"]);
    refused(&folder, &with(&finetune, &["--gamma", "4"]), &["--method cure"]);
    refused(&folder, &with(&train, &["--method", "cure"]), &["--gamma", "--h"]);
    refused(&folder, &with(&train, &["--method", "pgd-at"]), &["eps must be given"]);
    refused(&folder, &with(&train, &["--method", "pgd-at:eps=8"]), &["did you mean 8/255"]);
    refused(&folder, &with(&train, &["--method", "pgd-at:eps=30,norm=l2"]), &["√64", "30/255"]);
    refused(&folder, &with(&train, &["--method", "trades:eps=8/255,gamma=1"]), &["gamma", "beta"]);
    let mixed = ["--method", "free:eps=8/255", "--preset", "paper"];
    refused(&folder, &with(&finetune, &mixed), &["--preset is for --method cure"]);
    refused(&folder, &["objectives", "list", "sgd"], &["sgd", "gradient-penalty"]);
    let never = ["--method", "cure", "--gamma", "1", "--h", "linear:0..0@3"];
    refused(&folder, &with(&finetune, &never), &["--gamma", "--h"]);
    refused(&folder, &with(&finetune, &["--images-per-epoch", "99999"]), &["images_per_epoch"]);
    refused(&folder, &["finetune", "--resume", "run", "--seed", "3"], &["--resume goes on"]);
    refused(&folder, &["train", "--resume", "run", "--plain-sums"], &["--resume goes on"]);
    refused(
        &folder,
        &with(&finetune, &["--method", "cure", "--preset", "authors"]),
        &["authors-2021"],
    );
    fs::write(folder.path().join("e.toml"), "").unwrap();
    let both = ["--method", "cure", "--preset", "paper", "--config", "e.toml"];
    refused(&folder, &with(&finetune, &both), &["--preset and --config"]);
}

#[test]
fn a_folder_that_holds_another_run() {
    let folder = TempDir::new().unwrap();
    let train = ["train", "--data", "digits", "--model", "mlp", "--epochs", "1", "--out", "run"];
    cure(folder.path()).args(train).args(["--limit", "200"]).assert().success();
    // What the run was limited to is part of its configuration.
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(config.contains("limit = 200"), "{config}");
    refused(&folder, &train, &["run", "--resume"]);
}

#[test]
fn unfinished_commands_explain_themselves() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["evaluate"][..], &["data"], &["frobnicate"], &["evaluate", "--fast"]] {
        let output = cure(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "cure {arguments:?}");
    }
    let output = cure(folder.path()).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("cure demo") && text.contains("Exit codes"), "{text}");
}

/// A tensor of the wrong size for its kind of file is refused by the writer as well.
#[test]
fn derivatives_refuse_a_length_of_zero() {
    let folder = folder_with_network();
    let base = ["derivatives", "--weights", "net.safetensors", "--data", "digits", "--limit", "4"];
    refused(&folder, &with(&base, &["--h", "0", "--out", "d.safetensors"]), &["--h"]);
    refused(
        &folder,
        &with(&base, &["--scale", "pixels", "--out", "d.safetensors"]),
        &["pixel255", "normalized"],
    );
    assert!(Tensor::new(&[2], vec![1.0]).is_err());
}

/// An output never replaces what is read: the weights, the data's file, a file of the data's
/// folder.
#[test]
fn outputs_that_would_replace_inputs() {
    let folder = folder_with_network();
    fs::create_dir(folder.path().join("cifar")).unwrap();
    fs::write(folder.path().join("cifar/test_batch.bin"), vec![1; 3073]).unwrap();
    let cifar = with(&EVALUATE[..3], &["--data", "cifar10:cifar"]);
    let inside = "cifar/test_batch.bin";
    let derivatives = with(&["derivatives"], &cifar[1..]);
    for (base, option, output, part) in [
        (&EVALUATE[..], "--json", "net.safetensors", "one of the inputs"),
        (&cifar, "--json", inside, "a file of the data"),
        (&cifar, "--csv", "cifar/../cifar/test_batch.bin", "a file of the data"),
        (&derivatives, "--out", inside, "a file of the data"),
    ] {
        refused(&folder, &with(base, &[option, output]), &[output, part]);
    }
    let attacked = with(&cifar, &["--attack", "fgsm:eps=8/255", "--save", inside]);
    refused(&folder, &attacked, &["a file of the data"]);
    fs::write(folder.path().join("data.npz"), b"not read yet").unwrap();
    let file = with(&EVALUATE[..3], &["--data", "npz:data.npz", "--csv", "data.npz"]);
    refused(&folder, &file, &["data.npz", "one of the inputs"]);
    // Two names of one file that is not there yet; a place that takes no file; no file at all.
    refused(&folder, &with(&EVALUATE, &["--json", "a", "--csv", "./a"]), &["two outputs"]);
    let long = "x".repeat(300);
    refused(&folder, &with(&EVALUATE, &["--json", &long]), &["cannot write"]);
    refused(&folder, &with(&EVALUATE, &["--json", "-"]), &["name one"]);
    let twice = ["--attack", "fgsm:eps=8/255", "--attack", "fgsm:eps=4/255", "--save", "s.npz"];
    refused(&folder, &with(&with(&EVALUATE, &twice), &["--json", "s-1.npz"]), &["two outputs"]);
    fs::write(folder.path().join("cifar/results.json"), b"mine").unwrap();
    let curve = ["curve", "--network", "a=net.safetensors", "--data", "cifar10:cifar"];
    refused(&folder, &with(&curve, &["--out", "cifar"]), &["results.json", "a file of the data"]);
}
