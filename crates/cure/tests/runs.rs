//! Recipes, the record that a run keeps of itself, and runs side by side.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What `cure ARGUMENTS` in `folder` prints.
fn cure(folder: &Path, arguments: &str) -> String {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).args(arguments.split_whitespace());
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// The sentence with which it refuses.
fn refusal(folder: &Path, arguments: &str) -> String {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).args(arguments.split_whitespace());
    let output = command.assert().code(2).get_output().clone();
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

const TRAIN: &str = "train --data digits --model mlp --limit 200 --epochs 2 --validation 40 \
    --validation-attack pgd:eps=8/255,steps=2 --threads 1 --quiet --out";

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn recipes_are_listed_shown_and_used_by_name() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let list = cure(place, "recipes list");
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    for file in fs::read_dir(recipes).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(list.contains(name), "{name}");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(cure(place, &format!("recipes show {name}")), text);
    }
    assert!(refusal(place, "recipes show nothing").contains("cure recipes list"));

    // By its name and from a file of it: the same configuration, which flags override.
    cure(place, &format!("{TRAIN} start"));
    let name = "cifar10-resnet20-control";
    fs::write(place.join("my.toml"), cure(place, &format!("recipes show {name}"))).unwrap();
    for (config, out) in [(name, "by-name"), ("my.toml", "by-file")] {
        let rest = "--weights start/weights.safetensors --data digits --normalize none --epochs 1 \
            --augment false --images-per-epoch 50 --validation 20 --quiet";
        cure(place, &format!("finetune --config {config} {rest} --out {out}"));
    }
    let configuration =
        |out: &str| fs::read_to_string(place.join(out).join("config.toml")).unwrap();
    assert_eq!(configuration("by-name"), configuration("by-file"));
    assert!(configuration("by-name").contains("exponential:0.0008..0.000008"));
    assert!(configuration("by-name").contains("epochs = 1\n"));
    let message = refusal(place, "train --config cifar10 --data digits --out run");
    assert!(message.contains("neither a file nor a recipe"), "{message}");
}

#[test]
fn a_run_keeps_a_record_of_each_session() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    cure(place, &format!("{TRAIN} start"));
    let record = json_of(&place.join("start/run.json"));
    let first = &record["sessions"][0];
    assert!(first["code"].as_str().unwrap().starts_with("cure 0."), "{first}");
    assert!(first["machine"].as_str().unwrap().contains("cores"), "{first}");
    for (key, value) in [
        ("threads", json!(1)),
        ("network", json!("mlp")),
        ("weights_sha256", json!(null)),
        ("training_images", json!(160)),
        ("validation_images", json!(40)),
        ("attacked_images", json!(40)),
        ("epochs_before", json!(0)),
        ("epochs_done", json!(2)),
        ("state", json!("finished")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(first["data_sha256"].as_str().unwrap().len(), 64);
    assert!(first["started"].as_str().unwrap() <= first["ended"].as_str().unwrap());

    // A process that was killed left its session open; the one that resumes closes it as it may.
    let text = fs::read_to_string(place.join("start/run.json")).unwrap();
    let open = text.replace("\"finished\"", "\"running\"");
    fs::write(place.join("start/run.json"), open).unwrap();
    cure(place, "train --resume start --threads 2 --quiet");
    let record = json_of(&place.join("start/run.json"));
    let states: Vec<&Value> =
        record["sessions"].as_array().unwrap().iter().map(|session| &session["state"]).collect();
    assert_eq!(states, ["interrupted", "finished"]);
    assert_eq!(record["sessions"][1]["threads"], 2);
    assert_eq!(record["sessions"][1]["epochs_before"], 2);

    // The starting weights are told by their SHA-256.
    let weights = "--weights start/weights.safetensors --data digits --limit 200";
    cure(place, &format!("finetune {weights} --epochs 1 --quiet --out tuned"));
    let contents = fs::read(place.join("start/weights.safetensors")).unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(contents);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let record = json_of(&place.join("tuned/run.json"));
    assert_eq!(record["sessions"][0]["weights_sha256"], digest);
}

/// What `cure ARGUMENTS` says besides its results, and with which code it ends.
fn remarks(folder: &Path, arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::cargo_bin("cure").unwrap();
    let output = command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_run_goes_on_without_its_starting_weights_and_from_anywhere() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("elsewhere")).unwrap();
    cure(place, &format!("{TRAIN} start"));
    let weights = "--weights start/weights.safetensors --data digits --limit 200";
    cure(place, &format!("finetune {weights} --epochs 1 --quiet --out tuned"));
    let config = fs::read_to_string(place.join("tuned/config.toml")).unwrap();
    assert!(config.contains("data = \"digits\""), "{config}");
    let whole = format!("weights = \"{}\"", place.join("start/weights.safetensors").display());
    assert!(config.contains(&whole), "{config}");

    let exported = || fs::read(place.join("tuned/weights.safetensors")).unwrap();
    let before = exported();
    fs::remove_file(place.join("start/weights.safetensors")).unwrap();
    cure(&place.join("elsewhere"), "finetune --resume ../tuned --quiet");
    assert!(exported() == before);
    let record = json_of(&place.join("tuned/run.json"));
    let hash = |session: usize| record["sessions"][session]["weights_sha256"].clone();
    assert!(hash(0).is_string() && hash(0) == hash(1), "{record}");

    // Another program is said; it does not hinder.
    let text = fs::read_to_string(place.join("tuned/run.json")).unwrap();
    let code = record["sessions"][1]["code"].as_str().unwrap();
    fs::write(place.join("tuned/run.json"), text.replace(code, "cure 0.0.1")).unwrap();
    let (code, message) = remarks(place, "finetune --resume tuned");
    assert_eq!(code, Some(0), "{message}");
    assert!(message.contains("made by cure 0.0.1 so far"), "{message}");
    let (_, message) = remarks(place, "finetune --resume tuned");
    assert!(!message.contains("so far, and going on"), "{message}");
    cure(place, &format!("{TRAIN} other"));
    let text = cure(place, "runs compare tuned other");
    for part in ["other versions of the program", "not trained on the same images"] {
        assert!(text.contains(part), "{text}");
    }

    // Plain sums round otherwise: they are part of the configuration. What had finished stays so.
    let edited = format!("plain_sums = true\n{config}");
    fs::write(place.join("tuned/config.toml"), edited).unwrap();
    let (code, message) = remarks(place, "finetune --resume tuned --quiet");
    assert_ne!(code, Some(0));
    assert!(message.contains("made with another configuration"), "{message}");
    let list = cure(place, "runs list");
    let line = list.lines().find(|line| line.starts_with("tuned")).unwrap();
    assert!(line.contains("finished"), "{list}");
}

#[test]
fn runs_of_any_version_are_listed_and_compared() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    fs::create_dir(place.join("runs")).unwrap();
    cure(place, &format!("{TRAIN} runs/plain"));
    cure(place, &format!("{TRAIN} runs/other --batch 40 --seed 3"));
    // As an older program left it, killed: no record, no weights.
    fs::remove_file(place.join("runs/other/run.json")).unwrap();
    fs::remove_file(place.join("runs/other/weights.safetensors")).unwrap();
    // As a newer program writes: columns that this one does not make; then a line that was cut off.
    let metrics = place.join("runs/plain/metrics.jsonl");
    let rows = fs::read_to_string(&metrics).unwrap();
    let more = "{\"curvature\":{\"frobenius\":2.5,\"gradient_sign\":1.5},\"gradient_norm\":3,";
    fs::write(&metrics, rows.replace('{', more) + "{\"epoch\":3,").unwrap();

    let list = cure(place, "runs list");
    let line = |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    for part in ["standard", "mlp", "2/2", "finished", "pgd:"] {
        assert!(line("runs/plain").contains(part), "{list}");
    }
    assert!(line("runs/other").contains("interrupted"), "{list}");
    assert!(cure(place, "runs list runs").contains("\nplain"));

    let compare = "runs compare runs/plain runs/other --out report.html --json report.json";
    let text = cure(place, compare);
    for part in ["training.batch", "training.seed", "without run.json"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(!text.contains("training.epochs"), "{text}");
    let figures = place.join("report-figures");
    let stems = [
        "attacked-epoch",
        "attacked-time",
        "clean-epoch",
        "clean-time",
        "fgsm-epoch",
        "fgsm-time",
        "loss",
        "frobenius",
        "gradient-sign",
        "gradient-norm",
    ];
    for stem in stems {
        for extension in ["svg", "png", "csv"] {
            assert!(figures.join(format!("{stem}.{extension}")).is_file(), "{stem}.{extension}");
        }
    }
    // Nothing is regularised.
    assert_eq!(fs::read_dir(&figures).unwrap().count(), 3 * stems.len());
    let csv = fs::read_to_string(figures.join("frobenius.csv")).unwrap();
    assert_eq!(csv, "series,x,y,low,high\nplain (standard),1,2.5,,\nplain (standard),2,2.5,,\n");
    // Accuracies with their intervals.
    let csv = fs::read_to_string(figures.join("attacked-epoch.csv")).unwrap();
    for line in csv.lines().skip(1) {
        let numbers: Vec<f64> = line.split(',').skip(2).map(|part| part.parse().unwrap()).collect();
        let [accuracy, low, high] = numbers[..] else { panic!("{line}") };
        assert!(low <= accuracy && accuracy <= high && high - low > 0.05, "{line}");
    }
    let html = fs::read_to_string(place.join("report.html")).unwrap();
    assert!(html.contains("n = 40 validation images under pgd:"), "no caption");
    let results = json_of(&place.join("report.json"));
    assert_eq!(results["runs"][0]["clean"]["n"], 40);
    assert_eq!(results["runs"][0]["rows"].as_array().unwrap().len(), 2);
    assert_eq!(results["differences"]["training.batch"], json!(["128", "40"]));

    // The same runs give the same bytes.
    let read = || {
        let picture = fs::read(figures.join("attacked-time.png")).unwrap();
        (fs::read(place.join("report.html")).unwrap(), picture)
    };
    let before = read();
    cure(place, compare);
    assert!(read() == before);
}

#[test]
fn what_hinders_a_comparison_is_said() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    cure(place, &format!("{TRAIN} one"));
    let other = TRAIN.replace("mlp", "cnn").replace("pgd:eps=8/255,steps=2", "fgsm:eps=8/255");
    cure(place, &format!("{other} two"));
    let text = cure(place, "runs compare one two --out report.html");
    for part in ["The networks differ", "The attacks on the validation images differ"] {
        assert!(text.contains(part), "{text}");
    }
    let html = fs::read_to_string(place.join("report.html")).unwrap();
    assert!(html.contains("(one); fgsm:norm=linf,eps=8/255 (two)"), "no attacks in the caption");
}

#[test]
fn comparisons_that_cannot_be_made() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    cure(place, &format!("{TRAIN} run"));
    fs::create_dir(place.join("empty")).unwrap();
    for (arguments, parts) in [
        ("runs compare run empty", &["`empty` holds no run", "cure runs list"][..]),
        ("runs compare run ./run", &["named twice"]),
        ("runs compare run nowhere", &["`nowhere` holds no run"]),
        ("runs compare run", &["2 values required"]),
        ("runs compare run empty --out none/report.html", &["folder none does not exist"]),
        ("runs list nowhere", &["`nowhere` is no folder"]),
    ] {
        let message = refusal(place, arguments);
        for part in parts {
            assert!(message.contains(part), "{arguments}: {message}");
        }
    }
    assert!(cure(place, "runs list empty").starts_with("no runs below empty"));
    fs::write(place.join("run/config.toml"), "training = [").unwrap();
    assert!(refusal(place, "runs compare run empty").contains("config.toml"));
}
