//! `cure evaluate` and its kin, end to end on the digits.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use cure::data::{DataSpec, Split};
use cure::network::{Architecture, LoadOptions, Network, Normalization, load, save};
use serde_json::Value;
use tempfile::TempDir;

fn cure(folder: &Path, arguments: &[&str]) -> String {
    let output =
        Command::cargo_bin("cure").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cure {arguments:?}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with `net.safetensors`, a small network trained on the digits.
fn trained() -> TempDir {
    let folder = TempDir::new().unwrap();
    let train = "train --data digits --model cnn --epochs 6 --batch 32 --learning-rate 2e-3 --augment false \
         --out run --quiet";
    cure(folder.path(), &train.split(' ').collect::<Vec<_>>());
    fs::copy(folder.path().join("run/weights.safetensors"), folder.path().join("net.safetensors"))
        .unwrap();
    folder
}

fn evaluate(folder: &Path, more: &[&str]) -> String {
    let base = [
        "evaluate",
        "--weights",
        "net.safetensors",
        "--data",
        "digits",
        "--limit",
        "150",
        "-q",
        "--attack",
        "fgsm:eps=0.1",
        "--attack",
        "pgd:eps=0.1,steps=5,restarts=2",
    ];
    cure(folder, &[&base, more].concat())
}

#[test]
fn outcomes_depend_on_neither_batch_size_nor_threads() {
    let folder = trained();
    let run = |name: &str, more: &[&str]| {
        evaluate(folder.path(), &[more, &["--csv", name]].concat());
        fs::read_to_string(folder.path().join(name)).unwrap()
    };
    let whole = run("128.csv", &["--batch", "128", "--threads", "2"]);
    assert_eq!(whole.lines().count(), 1 + 150 * 2);
    assert_eq!(whole, run("1.csv", &["--batch", "1", "--threads", "1"]));
    assert_eq!(whole, run("7.csv", &["--batch", "7"]));
    assert_ne!(whole, run("seed.csv", &["--seed", "1"]), "another seed, other starts");
}

#[test]
fn results_as_json_and_adversarials_as_arrays() {
    let folder = trained();
    let text = evaluate(folder.path(), &["--json", "r.json", "--save", "adversarial.npz"]);
    assert!(text.contains("fgsm:norm=linf,eps=0.1") && text.contains("95 % interval"), "{text}");
    assert!(text.contains("rounding to 8 bits"), "{text}");
    let results: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("r.json")).unwrap()).unwrap();
    for key in
        ["tool", "command", "seed", "device", "model", "data", "clean", "attacks", "warnings"]
    {
        assert!(!results[key].is_null(), "no {key}");
    }
    let clean = results["clean"]["accuracy"].as_f64().unwrap();
    assert!(clean > 0.8, "six epochs should do: {clean}");
    for attack in results["attacks"].as_array().unwrap() {
        assert_eq!(attack["n"], 150);
        let robust = attack["robust_accuracy"].as_f64().unwrap();
        assert!(robust <= clean);
        assert!(attack["max_norm"].as_f64().unwrap() <= 0.1 * (1.0 + 1e-5));
    }
    // The saved images are the ones that were counted: evaluated as data they are misclassified
    // as often.
    let saved = fs::read_dir(folder.path()).unwrap();
    assert!(saved.into_iter().any(|entry| entry.unwrap().file_name() == "adversarial-2.npz"));
    cure(
        folder.path(),
        &[
            "evaluate",
            "--weights",
            "net.safetensors",
            "--data",
            "npz:adversarial-2.npz",
            "--json",
            "again.json",
            "-q",
        ],
    );
    let again: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("again.json")).unwrap())
            .unwrap();
    assert_eq!(again["clean"]["correct"], results["attacks"][1]["robust"]);
}

#[test]
fn conversion_keeps_the_network() {
    let folder = trained();
    let convert =
        "convert --weights net.safetensors --to copy.safetensors --input 1,8,8 --normalize 0.1/0.5";
    cure(folder.path(), &convert.split(' ').collect::<Vec<_>>());
    let options = LoadOptions { model: None, normalization: None, classes: 10, input: [1, 8, 8] };
    let copy = load(&folder.path().join("copy.safetensors"), &options).unwrap();
    let original = load(&folder.path().join("net.safetensors"), &options).unwrap();
    assert_eq!(copy.network.state(), original.network.state());
    assert_eq!(copy.network.normalization().to_string(), "0.1/0.5");
}

#[test]
fn derivatives_are_written_for_every_parameter() {
    let folder = trained();
    cure(
        folder.path(),
        &[
            "derivatives",
            "--weights",
            "net.safetensors",
            "--data",
            "digits",
            "--limit",
            "6",
            "--h",
            "0.3",
            "--squared",
            "false",
            "--out",
            "d.safetensors",
        ],
    );
    let file = cure::network::weights::read(&folder.path().join("d.safetensors")).unwrap();
    let get = |name: &str| file.tensors.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(get("input_gradient").shape(), [6, 1, 8, 8]);
    assert!(get("regularizer").host().iter().all(|&value| value > 0.0));
    let options = LoadOptions { model: None, normalization: None, classes: 10, input: [1, 8, 8] };
    let network = load(&folder.path().join("net.safetensors"), &options).unwrap().network;
    for spec in network.parameters().iter().filter(|spec| spec.role.is_trained()) {
        for kind in ["loss_gradient", "regularizer_gradient"] {
            let gradient = get(&format!("{kind}/{}", spec.name));
            assert_eq!(gradient.shape(), spec.shape);
            assert!(gradient.host().iter().any(|&value| value != 0.0), "{kind}/{}", spec.name);
        }
    }
}

#[test]
fn what_data_there_is() {
    let folder = TempDir::new().unwrap();
    let list = cure(folder.path(), &["data", "list"]);
    assert!(list.contains("cifar10:DIR") && list.contains("digits"), "{list}");
    let info = cure(folder.path(), &["data", "info", "digits"]);
    assert!(info.contains("1437 images") && info.contains("360 images"), "{info}");
    let digits = "digits".parse::<DataSpec>().unwrap().load(Split::Test).unwrap();
    assert!(info.contains(digits.sha256()));
    let json = cure(folder.path(), &["data", "info", "digits", "--split", "test", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()[0]["n"], 360);
}

/// Files that are not the published ones are used, and said in the results.
#[test]
fn altered_data_is_said() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("cifar")).unwrap();
    let records: Vec<u8> = (0..2 * 3073).map(|i| (i % 3073 % 7) as u8).collect();
    fs::write(place.join("cifar/test_batch.bin"), records).unwrap();
    let architecture = Architecture::named("resnet20", 10, [3, 32, 32]).unwrap();
    let network = Network::random(architecture, Normalization::none(3), 1).unwrap();
    save(&place.join("net.safetensors"), &network, None).unwrap();
    let evaluate = ["evaluate", "--weights", "net.safetensors", "--data", "cifar10:cifar"];
    cure(place, &[&evaluate[..], &["-q", "--json", "r.json"]].concat());
    let results: Value = serde_json::from_slice(&fs::read(place.join("r.json")).unwrap()).unwrap();
    let warning = results["warnings"][0].as_str().unwrap();
    assert!(warning.contains("(2 images): not the published files: test_batch.bin"), "{warning}");
}

/// What one run noted in its journal the next one does not do again, and the results are the same;
/// another evaluation does not touch it.
#[test]
fn a_journal_goes_on() {
    let folder = trained();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    evaluate(folder.path(), &["--csv", "plain.csv"]);
    evaluate(folder.path(), &["--csv", "first.csv", "--journal", "j.jsonl", "--batch", "30"]);
    let journal = read("j.jsonl");
    // As if the first run had been interrupted: two of its batches are noted.
    let begun: String = journal.lines().take(3).flat_map(|line| [line, "\n"]).collect();
    fs::write(folder.path().join("j.jsonl"), begun).unwrap();
    evaluate(folder.path(), &["--csv", "second.csv", "--journal", "j.jsonl", "--batch", "30"]);
    assert_eq!(read("plain.csv"), read("first.csv"));
    assert_eq!(read("plain.csv"), read("second.csv"));
    assert_eq!(read("j.jsonl").lines().count(), journal.lines().count());

    let before = read("j.jsonl");
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder.path()).args(["evaluate", "--weights", "net.safetensors"]);
    command.args(["--data", "digits", "--journal", "j.jsonl", "--attack", "fgsm:eps=0.1"]);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("another network, data, attack"), "{message}");
    assert_eq!(read("j.jsonl"), before);
}

#[test]
fn documents_made_by_the_program_are_what_it_says() {
    for name in ["attacks", "objectives"] {
        let document = format!("{}/../../docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
        let document = std::fs::read_to_string(document).unwrap();
        let said = cure(Path::new("."), &[name, "list", "--markdown"]);
        assert!(
            document.ends_with(&said),
            "write what `cure {name} list --markdown` says below the introduction"
        );
    }
}

#[test]
fn a_length_is_shown_in_both_ways() {
    let folder = trained();
    let said = evaluate(folder.path(), &["--attack", "fgsm:eps=0.031", "--json", "both.json"]);
    assert!(said.contains("0.031000 of the pixel range = 7.905/255"), "{said}");
    let json = std::fs::read_to_string(folder.path().join("both.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["attacks"][2]["epsilon"], 0.031);
    assert_eq!(json["attacks"][2]["norm"], "linf");
}

/// How sums are taken belongs to a run: whoever resumes it must take them the same way.
#[test]
fn a_run_records_plain_sums() {
    let folder = TempDir::new().unwrap();
    for (name, flag) in [("plain", "--plain-sums"), ("usual", "--quiet")] {
        let train = "train --data digits --model mlp --limit 64 --epochs 1 --out";
        let train: Vec<&str> = train.split(' ').chain([name, flag]).collect();
        cure(folder.path(), &train);
        let config = fs::read_to_string(folder.path().join(name).join("config.toml")).unwrap();
        assert_eq!(config.contains("plain_sums = true"), name == "plain", "{config}");
    }
}

/// Parts by processes that do not know each other; and what ranks of a larger job left behind.
#[test]
fn shards_are_merged() {
    let folder = trained();
    let place = folder.path();
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    let run = |more: &[&str]| evaluate(place, &[&["--batch", "20"], more].concat());
    run(&["--csv", "plain.csv"]);
    for (shard, journal) in [("1/3", "a"), ("2/3", "b"), ("3/3", "c")] {
        run(&["--shard", shard, "--journal", journal]);
    }
    run(&["--merge", "a", "--merge", "b", "--merge", "c", "--csv", "merged.csv"]);
    assert_eq!(read("merged.csv"), read("plain.csv"));

    fs::rename(place.join("a"), place.join("j")).unwrap();
    fs::rename(place.join("b"), place.join("j.rank-1")).unwrap();
    fs::rename(place.join("c"), place.join("j.rank-7")).unwrap();
    let noted = ["j", "j.rank-1", "j.rank-7"].map(|name| read(name).lines().count() - 1);
    run(&["--journal", "j", "--csv", "again.csv"]);
    assert_eq!(read("again.csv"), read("plain.csv"));
    assert_eq!(
        read("j").lines().count() - 1,
        noted.iter().sum::<usize>(),
        "something was done again"
    );
    assert!(!place.join("j.rank-1").exists() && !place.join("j.rank-7").exists());
}
