//! `cure reproduce`: what it plans, what it refuses, and that stopping it changes nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cure"));
    command.current_dir(folder).arg("reproduce").args(arguments.split_whitespace());
    command
}

/// What it prints, and where it ends.
fn run(folder: &Path, arguments: &str) -> (String, Option<i32>) {
    let output = command(folder, arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// The sentence with which it refuses.
fn refusal(folder: &Path, arguments: &str) -> String {
    let output = command(folder, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments}");
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_plan_names_its_steps_and_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let (demo, code) = run(place, "all --plan");
    assert_eq!(code, Some(0));
    for step in ["digits-cnn-original", "digits-cnn-cure-steps", "cifar10-cnn-profile", "masking"] {
        assert!(demo.contains(step), "{step} in {demo}");
    }
    // Steps that several items need are there once.
    let trainings = demo.lines().filter(|line| line.starts_with("digits-cnn-original "));
    assert_eq!(trainings.count(), 1);

    fs::create_dir(place.join("data")).unwrap();
    let (paper, _) = run(place, "all --scale paper --cifar10 data --svhn data --plan");
    for step in ["cifar10-wrn28-10-cure", "svhn-resnet18-original", "svhn-resnet18-table3"] {
        assert!(paper.contains(step.trim_end_matches("-table3")), "{step} in {paper}");
    }
    let (cpu, _) = run(place, "table1 --scale cpu --cifar10 data --plan");
    assert!(cpu.contains("cifar10-resnet20-deepfool") && !cpu.contains("masking"), "{cpu}");
    // 45 minutes, 25, and twice 2.
    assert!(cpu.contains("4 steps, 4 to do: about 74 min of 74 min on two cores"), "{cpu}");
    let (nothing, _) = run(place, "fig5 --plan");
    assert!(nothing.contains("0 steps, 0 to do: about 0 s of 0 s"), "{nothing}");
    assert!(!place.join("runs").exists());
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    assert!(refusal(place, "fig16").contains("there are all, table1"));
    assert!(refusal(place, "fig2 --scale cpu").contains("give --cifar10 DIR"));
    assert!(refusal(place, "all --scale cpu").contains("give --cifar10 DIR"));
    assert!(refusal(place, "table3 --scale cpu --cifar10 .").contains("--scale demo"));
    let nothing = refusal(place, "table3 fig12 --scale cpu");
    assert!(nothing.contains("nothing can be measured of table3, fig12: SVHN"), "{nothing}");
    assert!(refusal(place, "fig2 --cifar10 .").contains("built-in data"));
    assert!(refusal(place, "fig2 --scale cpu --cifar10 nowhere").contains("nowhere"));
    // A folder without CIFAR-10's files, before anything is made.
    assert!(refusal(place, "fig2 --scale cpu --cifar10 .").contains("batch"));
    assert!(!place.join("runs").exists());

    fs::create_dir(place.join("mine")).unwrap();
    fs::write(place.join("mine/notes.txt"), "mine").unwrap();
    assert!(refusal(place, "fig5 --out mine").contains("holds something else"));
    assert_eq!(fs::read_dir(place.join("mine")).unwrap().count(), 1);
}

/// Whether there is time for trainings, and their bits are promised: on our own engine.
fn is_own_engine() -> bool {
    let device = std::env::var("CURE_DEVICE").unwrap_or_default();
    let is_own = device.is_empty() || device == "cpu";
    if !is_own {
        eprintln!("skipped: {device} does not promise the same bits twice");
    }
    is_own
}

#[test]
fn a_folder_keeps_to_its_setting_and_takes_more_items() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let (text, code) = run(place, "fig5 --out a --quiet");
    assert_eq!(code, Some(0));
    assert!(text.contains("report.html"), "{text}");
    let html = fs::read_to_string(place.join("a/report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("Fig. 5"));
    assert!(place.join("a/figures/fig5.png").is_file());
    assert!(refusal(place, "fig5 --seed 1 --out a").contains("begun with seed 0"));
    if !is_own_engine() {
        return;
    }
    let (text, code) = run(place, "fig10 --out a --quiet");
    assert_eq!(code, Some(0), "{text}");
    let results = json_of(&place.join("a/results.json"));
    assert_eq!(keys(&results), ["fig5", "fig10"]);
    assert_eq!(results["items"][1]["claims"][0]["verdict"], "agrees");
    let tex = fs::read_to_string(place.join("a/tables/fig10.tex")).unwrap();
    assert!(tex.contains("tabular") && tex.contains("last epoch"), "{tex}");
    // By what and from what each step was made.
    let cure = &results["steps"][1];
    assert_eq!(cure["sessions"][0]["device"], "cpu");
    assert_eq!(cure["sessions"][0]["precision"], "f32");
    let weights = |step: &str| format!("steps/{step}/weights.safetensors");
    let original = &results["steps"][0]["made"][weights("digits-cnn-original")];
    assert_eq!(original.as_str().map(str::len), Some(64));
    assert_eq!(&cure["inputs"][weights("digits-cnn-original")], original);
    let html = fs::read_to_string(place.join("a/report.html")).unwrap();
    assert!(html.contains("cpu, f32"), "{html}");

    // The report is about all that is done in the folder, and says what is not any more.
    fs::write(place.join("a").join(weights("digits-cnn-original")), "other").unwrap();
    let (plan, _) = run(place, "fig10 --out a --plan");
    assert_eq!(plan.matches("to do again").count(), 2, "{plan}");
    fs::remove_file(place.join("a").join(weights("digits-cnn-cure"))).unwrap();
    fs::write(place.join("a/figures/mine.svg"), "mine").unwrap();
    let (text, code) = run(place, "fig5 --out a --quiet");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("not done: fig10"), "{text}");
    assert_eq!(keys(&json_of(&place.join("a/results.json"))), ["fig5"]);
    let is_there = |file: &str| place.join("a").join(file).is_file();
    assert!(!is_there("tables/fig10.tex") && !is_there("figures/fig10.svg"));
    assert!(is_there("figures/fig5.svg") && is_there("figures/mine.svg"));
}

fn keys(results: &Value) -> Vec<&str> {
    results["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect()
}

/// Starts it, and sends `signal` once `file` is there; gives where it ended, and what it said.
fn stop(folder: &Path, arguments: &str, file: &str, signal: &str) -> (Option<i32>, String) {
    let said = folder.join("said.txt");
    let mut child: Child = command(folder, arguments)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !folder.join(file).is_file() && begun.elapsed() < Duration::from_secs(300) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {file} was there");
        std::thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let code = child.wait().unwrap().code();
    (code, fs::read_to_string(said).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn stopped_at_three_places_it_ends_in_the_same_results() {
    if !is_own_engine() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let (_, code) = run(place, "table1 --out whole --quiet");
    assert_eq!(code, Some(0));
    let arguments = "table1 --out parts --quiet";
    let step = |name: &str| format!("parts/steps/{name}");
    // In the first training, after its first epoch; in the second, asked and killed.
    for (file, signal, code) in [
        (step("digits-cnn-original/metrics.jsonl"), "-INT", Some(130)),
        (step("digits-cnn-deepfool/config.toml"), "-TERM", Some(130)),
        (step("digits-cnn-deepfool/metrics.jsonl"), "-KILL", None),
    ] {
        let (ended, said) = stop(place, arguments, &file, signal);
        assert_eq!(ended, code, "{signal}");
        // One process of two says that it stops, and how to go on.
        let times = usize::from(code.is_some());
        assert_eq!(said.matches("stopping").count(), times, "{said}");
        assert_eq!(said.matches("go").count(), times, "{said}");
    }
    assert!(!place.join("parts/report.html").exists());
    let (_, code) = run(place, arguments);
    assert_eq!(code, Some(0));
    let [whole, parts] =
        ["whole", "parts"].map(|name| json_of(&place.join(name).join("results.json")));
    assert_eq!(whole["items"], parts["items"]);
    for name in ["digits-cnn-original", "digits-cnn-deepfool"] {
        let [whole, parts] = ["whole", "parts"].map(|of| {
            let file = place.join(of).join("steps").join(name).join("weights.safetensors");
            fs::read(file).unwrap()
        });
        assert!(whole == parts, "{name}");
    }
}
