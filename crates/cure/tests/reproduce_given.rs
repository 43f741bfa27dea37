//! `cure reproduce` with networks that were given, and in folders that take more later. Nothing is trained here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;

use cure::network::weights::{self, Metadata};
use cure::network::{Architecture, Network, Normalization, save};
use cure::tensor::Tensor;
use serde_json::Value;
use tempfile::TempDir;

fn run(folder: &Path, arguments: &str) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_cure"))
        .current_dir(folder)
        .arg("reproduce")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (said, errors, output.status.code())
}

fn done(folder: &Path, arguments: &str) -> String {
    let (said, errors, code) = run(folder, arguments);
    assert_eq!(code, Some(0), "{arguments}: {errors}");
    said
}

/// Expects one sentence that says each of `parts`.
fn refused(folder: &Path, arguments: &str, parts: &[&str]) {
    let (_, errors, code) = run(folder, arguments);
    assert_eq!(code, Some(2), "{arguments}: {errors}");
    let found: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(found.len(), 1, "{arguments}: {errors}");
    for part in parts {
        assert!(found[0].contains(part), "{arguments} does not say `{part}`: {errors}");
    }
}

/// Random layers, and the answer 3 to everything.
fn network(name: &str, classes: usize) -> Network {
    let architecture = Architecture::named(name, classes, [3, 32, 32]).unwrap();
    let normalization = Normalization::parse("cifar10", 3).unwrap();
    let random = Network::random(architecture.clone(), normalization.clone(), 1).unwrap();
    let mut state = random.state();
    for (name, tensor) in &mut state {
        let mut values = vec![0.0; tensor.shape().iter().product()];
        match name.as_str() {
            "linear.weight" => {}
            "linear.bias" => values[3] = 5.0,
            _ => continue,
        }
        *tensor = Tensor::new(tensor.shape(), values).unwrap();
    }
    Network::from_state(architecture, normalization, &state).unwrap()
}

/// A file that says how its pixels are normalised.
fn says(folder: &Path, file: &str, name: &str) {
    save(&folder.join(file), &network(name, 10), None).unwrap();
}

/// A file that does not.
fn does_not_say(folder: &Path, file: &str, name: &str) {
    let state = network(name, 10).state();
    weights::write(&folder.join(file), &state, &Metadata::default()).unwrap();
}

/// CIFAR-10's test images, grey and of class 1, without any to train on.
fn test_images(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let mut record = vec![128; 3073];
    record[0] = 1;
    fs::write(folder.join("test_batch.bin"), record.repeat(1000)).unwrap();
}

fn results(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("results.json")).unwrap()).unwrap()
}

#[test]
fn networks_that_were_given_take_the_place_of_training() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    test_images(&place.join("data"));
    does_not_say(place, "original.safetensors", "resnet20-conv");
    says(place, "deepfool.safetensors", "resnet20-conv");
    says(place, "cure.safetensors", "resnet20");
    done(
        place,
        "table1 fig10 --scale cpu --cifar10 data --original original.safetensors --normalize cifar10 \
         --network deepfool=deepfool.safetensors --network cure=cure.safetensors --out a --quiet",
    );
    let found = results(&place.join("a"));
    assert_eq!(found["items"][0]["tables"][0]["rows"].as_array().map(Vec::len), Some(4));
    let not_measured = found["items"][1]["not_measured"].as_str().unwrap();
    assert!(not_measured.contains("was given with --network"), "{not_measured}");
    let commands: Vec<&str> = found["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["command"].as_str().unwrap())
        .collect();
    assert!(
        commands[0].starts_with("cure convert") && commands[0].ends_with("--normalize cifar10")
    );
    // A file that says how it is normalised is not told otherwise.
    assert!(commands[2].starts_with("cure convert") && !commands[2].contains("--normalize"));
    assert_eq!(commands.len(), 4, "{commands:?}");
    let html = fs::read_to_string(place.join("a/report.html")).unwrap();
    assert!(html.contains("deepfool.safetensors, as it was given"));

    // What is left out later is the folder's, even where it was put away since; nothing is done again.
    fs::remove_file(place.join("original.safetensors")).unwrap();
    assert!(done(place, "table1 --scale cpu --out a --plan").contains("4 steps, 0 to do"));
    done(place, "table1 --scale cpu --out a --quiet");
    // The report still says why there is no fig10: it was asked for.
    assert_eq!(results(&place.join("a"))["items"].as_array().map(Vec::len), Some(2));
    // Other weights in the place of those that were given.
    fs::write(place.join("deepfool.safetensors"), "other").unwrap();
    refused(place, "table1 --scale cpu --out a --plan", &["deepfool.safetensors: "]);
    says(place, "deepfool.safetensors", "resnet20");
    let plan = done(place, "table1 --scale cpu --out a --plan");
    assert_eq!(plan.matches("to do again").count(), 2, "{plan}");
    says(place, "other.safetensors", "resnet20");
    let late = "table1 --scale cpu --out a --network deepfool=other.safetensors";
    refused(place, late, &["comes too late", "--network deepfool="]);
}

#[test]
fn a_file_that_does_not_fit_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("data")).unwrap();
    fs::write(place.join("text.pt"), "no network").unwrap();
    says(place, "deep.safetensors", "resnet32");
    says(place, "net.safetensors", "resnet20");
    does_not_say(place, "silent.safetensors", "resnet20");
    save(&place.join("hundred.safetensors"), &network("resnet20", 100), None).unwrap();
    let with = |rest: &str| format!("table1 --scale cpu --cifar10 data {rest}");
    let cases: [(&str, &[&str]); 9] = [
        ("--original deep.safetensors", &["deep.safetensors", "resnet32", "resnet20-conv"]),
        ("--network deepfool=deep.safetensors", &["resnet32", "fine-tuned on DeepFool"]),
        ("--original hundred.safetensors", &["100 classes", "of 10 classes"]),
        ("--original silent.safetensors", &["silent.safetensors", "--normalize"]),
        ("--original silent.safetensors --normalize gray", &["gray", "accepted are"]),
        ("--original text.pt --normalize none", &["text.pt"]),
        ("--network plain=net.safetensors", &["deepfool, cure and adversarial", "--original FILE"]),
        (
            "--network pgd-at=net.safetensors --network adversarial=net.safetensors",
            &["leave out all but one"],
        ),
        ("--normalize none", &["said of no network"]),
    ];
    for (rest, parts) in cases {
        refused(place, &with(rest), parts);
    }
    let paper = "table1 --scale paper --cifar10 data --original net.safetensors";
    refused(place, paper, &["it is resnet20", "resnet18"]);
    refused(place, "fig2 --network cure=net.safetensors", &["built-in data"]);
    assert!(!place.join("runs").exists());
}

#[test]
fn a_folder_takes_more_data_and_networks_later() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("data")).unwrap();
    fs::create_dir(place.join("other")).unwrap();
    does_not_say(place, "net.safetensors", "resnet20");
    // Fig. 5 needs nothing, and begins a folder.
    done(place, "fig5 --scale cpu --out a --quiet");
    refused(place, "table1 --scale cpu --out a --plan", &["give --cifar10 DIR"]);
    done(place, "fig5 --scale cpu --cifar10 data --out a --quiet");
    assert!(done(place, "table1 --scale cpu --out a --plan").contains("trained on CIFAR-10"));
    refused(place, "fig5 --scale cpu --cifar10 other --out a", &["begun with cifar10", "other"]);
    refused(place, "fig5 --scale paper --out a", &["begun with scale cpu"]);

    let original = "--original net.safetensors --normalize cifar10";
    done(place, &format!("fig5 --scale cpu {original} --out a --quiet"));
    for rest in ["", "--original net.safetensors", original] {
        let plan = done(place, &format!("table1 --scale cpu {rest} --out a --plan"));
        assert!(plan.contains("net.safetensors, as it was given"), "{rest}: {plan}");
    }
    // As long as nothing was done with it another one may be given; then not.
    let other = "--original net.safetensors --normalize none";
    done(place, &format!("table1 --scale cpu {other} --out a --plan"));
    fs::create_dir(place.join("a/steps/cifar10-resnet20-original")).unwrap();
    refused(place, &format!("table1 --scale cpu {other} --out a"), &["comes too late"]);

    done(place, "fig5 --scale cpu --cifar10 data --out b --quiet");
    fs::create_dir(place.join("b/steps/cifar10-resnet20-original")).unwrap();
    let late = format!("table1 --scale cpu {original} --out b");
    refused(place, &late, &["comes too late", "itself (steps/cifar10-resnet20-original)"]);

    fs::write(place.join("b/setting.json"), r#"{"scale": "cpu", "seed": 0}"#).unwrap();
    refused(place, "fig5 --scale cpu --out b", &["setting.json", "another folder"]);
}

#[test]
fn images_to_train_on_are_looked_at_before_training() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    test_images(&place.join("data"));
    refused(place, "table1 --scale cpu --cifar10 data --out a", &["data_batch_1.bin"]);
    assert!(!place.join("a").exists());
}
