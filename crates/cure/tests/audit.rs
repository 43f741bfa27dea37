//! `cure audit`: what it says of a network that attacks work on, and of one that hides its gradients.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use cure::data::write_npz;
use cure::tensor::Tensor;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::TempDir;

fn cure(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cure"));
    command.current_dir(folder).args(arguments.split_whitespace()).arg("--quiet");
    command.output().unwrap()
}

fn done(folder: &Path, arguments: &str) -> String {
    let output = cure(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn refusal(folder: &Path, arguments: &str) -> String {
    let output = cure(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments}");
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// A small network that knows the digits.
fn train(folder: &Path) {
    done(
        folder,
        "train --data digits --model cnn --normalize none --epochs 4 --learning-rate 0.003 --out run",
    );
}

/// The same network with logits so many times as large: no other predictions, and no gradient of the cross-entropy
/// that a number could hold.
fn scaled(from: &Path, to: &Path, factor: f32) {
    let bytes = fs::read(from).unwrap();
    let (_, head) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let last = tensors.names().into_iter().filter(|name| name.starts_with("fc2")).count();
    assert_eq!(last, 2, "{:?}", tensors.names());
    let scale = |name: &str, data: &[u8]| -> Vec<u8> {
        let values = data.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
        let factor = if name.starts_with("fc2") { factor } else { 1.0 };
        values.flat_map(|value| (factor * value).to_le_bytes()).collect()
    };
    let made: Vec<(String, Vec<u8>)> =
        tensors.iter().map(|(name, view)| (name.to_owned(), scale(name, view.data()))).collect();
    let views: HashMap<&str, TensorView<'_>> = made
        .iter()
        .map(|(name, data)| {
            let view = tensors.tensor(name).unwrap();
            (name.as_str(), TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap())
        })
        .collect();
    fs::write(to, safetensors::serialize(&views, head.metadata().clone()).unwrap()).unwrap();
}

fn results(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("results.json")).unwrap()).unwrap()
}

fn answer(results: &Value, question: &str) -> String {
    let checks = results["checks"].as_array().unwrap();
    let of =
        |check: &&Value| check["question"].as_str().is_some_and(|asked| asked.contains(question));
    let found: Vec<&Value> = checks.iter().filter(of).collect();
    assert_eq!(found.len(), 1, "{question}");
    found[0]["answer"].as_str().unwrap().to_owned()
}

#[test]
fn a_network_that_hides_its_gradients_is_called_out_and_an_honest_one_is_not() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    train(place);
    let weights = place.join("run/weights.safetensors");
    scaled(&weights, &place.join("masked.safetensors"), 3e4);
    let audit = "--data digits --eps 0.1 --minutes 0.1";
    let text =
        done(place, &format!("audit --weights run/weights.safetensors {audit} --out honest"));
    let honest = results(&place.join("honest"));
    assert_ne!(honest["verdict"]["trust"], "misleading", "{text}");
    assert_eq!(answer(&honest, "gradients to follow"), "good");
    assert_eq!(answer(&honest, "adapted"), "not-measured");
    assert!(text.contains("stand under noise, FGSM, PGD and AutoAttack"), "{text}");

    let text = done(place, &format!("audit --weights masked.safetensors {audit} --out masked"));
    let masked = results(&place.join("masked"));
    assert_eq!(masked["verdict"]["trust"], "misleading", "{text}");
    assert_eq!(answer(&masked, "gradients to follow"), "bad");
    assert!(text.contains("attacks on it do not work as they should"), "{text}");
    // An image without a gradient was not fooled, and AutoAttack, whose losses have no scale, says how few stand.
    let accuracy = |results: &Value, of: &str| results["found"][of]["value"].as_f64().unwrap();
    let long = masked["found"]["attacks"]["PGD(100), random start"]["value"].as_f64().unwrap();
    assert!(long > accuracy(&masked, "autoattack"), "{masked}");
    // It is the same function: what stands of it is about what stands of the other.
    let apart = accuracy(&masked, "worst_case") - accuracy(&honest, "worst_case");
    assert!(apart.abs() < 0.25, "{apart}");

    for folder in ["honest", "masked"].map(|name| place.join(name)) {
        let html = fs::read_to_string(folder.join("report.html")).unwrap();
        for words in ["Carlini et al.", "Accuracy against ε", "What was cut", "cure evaluate"] {
            assert!(html.contains(words), "{words}");
        }
        assert!(folder.join("figures/curve.png").is_file());
    }

    // What is done is not done again, and another audit is not this one.
    let marker = place.join("honest/steps/autoattack.json");
    let before = fs::metadata(&marker).unwrap().modified().unwrap();
    let again =
        done(place, &format!("audit --weights run/weights.safetensors {audit} --out honest"));
    assert!(again.contains("honest/report.html"));
    assert_eq!(fs::metadata(&marker).unwrap().modified().unwrap(), before);
    assert_eq!(results(&place.join("honest")), honest);
    let other = "audit --weights run/weights.safetensors --data digits --eps 0.2 --minutes 0.1 --out honest";
    assert!(refusal(place, other).contains("was begun with epsilon"));
}

/// Images brighter above or below, class by class where `is_sorted`.
fn write_halves(path: &Path, classes: usize, is_sorted: bool) {
    const IMAGES: usize = 200;
    let label = |image: usize| match is_sorted {
        true => image * classes / IMAGES,
        false => image % classes,
    };
    let pixel = |image: usize, i: usize| {
        let is_bright = i * classes / 64 == label(image);
        (if is_bright { 0.7 } else { 0.3 }) + ((image * 31 + i * 17) % 50) as f32 / 500.0
    };
    let pixels = (0..IMAGES).flat_map(|image| (0..64).map(move |i| pixel(image, i))).collect();
    let labels: Vec<usize> = (0..IMAGES).map(label).collect();
    let indices: Vec<usize> = (0..IMAGES).collect();
    let images = Tensor::new(&[IMAGES, 1, 8, 8], pixels).unwrap();
    write_npz(path, &images, &labels, &indices).unwrap();
}

#[test]
fn few_classes_changed_data_and_sorted_data_are_seen() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let train = |name: &str| {
        let rest = "--model cnn --normalize none --epochs 3 --learning-rate 0.003";
        done(place, &format!("train --data npz:{name}.npz {rest} --out {name}"));
    };
    write_halves(&place.join("two.npz"), 2, false);
    train("two");
    let audit = "audit --weights two/weights.safetensors --data npz:two.npz --minutes 0.05 --out a";
    done(place, audit);
    let log = fs::read_to_string(place.join("a/steps/autoattack.json")).unwrap();
    assert!(log.contains("members=apgd+fab+square"), "{log}");
    write_halves(&place.join("two.npz"), 2, true);
    assert!(refusal(place, audit).contains("data_sha256"));

    write_halves(&place.join("four.npz"), 4, true);
    train("four");
    let audit =
        "audit --weights four/weights.safetensors --data npz:four.npz --minutes 0.05 --out b";
    let text = done(place, audit);
    assert!(text.contains("lack 2 of the classes"), "{text}");
    assert_ne!(results(&place.join("b"))["verdict"]["trust"], "believed");
}

#[test]
fn what_cannot_be_audited_is_refused() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    assert!(refusal(place, "audit --data digits").contains("no network is named"));
    let weights = "audit --weights nowhere.pt --data digits";
    assert!(refusal(place, weights).contains("nowhere.pt"));
    assert!(refusal(place, &format!("{weights} --minutes 0")).contains("accepted is above 0"));
    assert!(refusal(place, &format!("{weights} --eps 8")).contains("8/255"));
    fs::create_dir_all(place.join("mine")).unwrap();
    fs::write(place.join("mine/audit.json"), "{}").unwrap();
    assert!(
        refusal(place, "audit --data digits --weights mine/audit.json --out mine")
            .contains("audit")
    );
    assert!(!place.join("runs").exists());
}
