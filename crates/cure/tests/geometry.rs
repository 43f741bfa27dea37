//! `cure geometry`, end to end on the digits.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with `a.safetensors` and `b.safetensors`, small networks trained on the digits.
static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    for (name, more) in [("a", "--epochs 4"), ("b", "--epochs 5 --seed 1")] {
        let train = format!(
            "train --data digits --model mlp --batch 32 --learning-rate 2e-3 --augment false {more} \
             --threads 1 --quiet --out {name}"
        );
        cure(folder.path(), &train);
        let weights = folder.path().join(name).join("weights.safetensors");
        fs::copy(weights, folder.path().join(format!("{name}.safetensors"))).unwrap();
    }
    folder
});

const NETWORKS: &str = "--data digits --weights a.safetensors --weights second=b.safetensors -q";

fn output(folder: &Path, arguments: &str) -> std::process::Output {
    let mut command = Command::cargo_bin("cure").unwrap();
    command.current_dir(folder).args(arguments.split_whitespace()).output().unwrap()
}

/// What `cure ARGUMENTS` in `folder` prints.
fn cure(folder: &Path, arguments: &str) -> String {
    let output = output(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cure {arguments}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// `cure geometry …` of both networks into a folder of its own; gives that.
fn geometry(arguments: &str) -> (TempDir, String) {
    let out = TempDir::new().unwrap();
    let place = out.path().display();
    let text = cure(TRAINED.path(), &format!("geometry {arguments} {NETWORKS} --out {place}"));
    (out, text)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file of a folder, without the seconds in its JSON.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = fs::read(folder.join(&name)).unwrap();
        let timed = |line: &&[u8]| !String::from_utf8_lossy(line).contains("\"seconds\"");
        let bytes = match name.ends_with(".json") {
            true => bytes.split(|&byte| byte == b'\n').filter(timed).collect::<Vec<_>>().concat(),
            false => bytes,
        };
        (name, bytes)
    };
    names(folder).into_iter().map(read).collect()
}

fn assert_same(a: &Path, b: &Path) {
    assert_eq!(names(a), names(b));
    for ((name, a), (_, b)) in contents(a).iter().zip(contents(b)) {
        assert!(*a == b, "{name} differs");
    }
}

/// Each command with its files and what is in the results' summaries.
const COMMANDS: [(&str, &str, &[&str]); 12] = [
    ("profile --limit 3 --h 0.2", "profile", &["largest", "smallest", "frobenius", "asymmetry"]),
    ("profile --limit 3 --operator exact", "profile", &["trace", "factor", "zero"]),
    ("profile --limit 4 --top 2 --bottom 3", "ends", &["zero", "relative_residual"]),
    ("profile --limit 4 --density --steps 8", "density", &["zero", "share_below_zero"]),
    ("profile --limit 2 --h-sweep 0.01..1@3 --draws 4", "sweep", &["sweep"]),
    ("frobenius --limit 5 --draws 12 --deflated", "frobenius", &["frobenius", "gradient_sign"]),
    ("alignment --limit 5", "alignment", &["alignment", "largest", "converged"]),
    ("alignment --limit 3 --operator columns --h 0.3", "alignment", &["gradient_bends_more"]),
    ("bounds --limit 6", "bounds", &["standings", "violations", "of_bounded"]),
    ("surface --limit 2 --points 9", "surface", &["distance", "largest_loss"]),
    ("boundary --limit 2 --points 9 --places 7", "boundary", &["curvature", "flatness_share"]),
    ("gallery --limit 3", "gallery", &["norm", "attacked_confidence"]),
];

#[test]
fn every_measurement_writes_its_files_and_says_what_it_is() {
    for (arguments, name, keys) in COMMANDS {
        let (out, text) = geometry(arguments);
        let results = json_of(&out.path().join(format!("{name}.json")));
        for key in ["tool", "command", "seed", "device", "data", "scale", "dimension", "options"] {
            assert!(!results[key].is_null(), "{arguments}: no {key}");
        }
        let command = format!("geometry {}", arguments.split(' ').next().unwrap());
        assert_eq!(results["command"], command);
        let networks = results["networks"].as_array().unwrap();
        assert_eq!(networks.len(), 2);
        assert_eq!(networks[0]["name"], "a");
        assert_eq!(networks[1]["name"], "second");
        for network in networks {
            assert_eq!(network["weights_sha256"].as_str().unwrap().len(), 64);
            for key in keys {
                assert!(!network["summary"][key].is_null(), "{arguments}: no {key}: {network}");
            }
            let left_out: u64 = network["left_out"]
                .as_object()
                .unwrap()
                .values()
                .map(|n| n.as_u64().unwrap())
                .sum();
            let measured = network["summary"]["measured"].as_u64().unwrap();
            assert_eq!(measured + left_out, network["n"].as_u64().unwrap(), "{arguments}");
        }
        let names = names(out.path());
        for ending in ["svg", "png", "csv"] {
            assert!(names.iter().any(|file| file.ends_with(ending)), "{arguments}: {names:?}");
        }
        assert!(!names.iter().any(|file| file == "geometry.jsonl"), "{arguments}");
        let rows = fs::read_to_string(out.path().join(format!("{name}-samples.csv"))).unwrap();
        assert!(rows.starts_with("network,index,label,predicted,loss,left_out,"), "{rows}");
        assert!(rows.lines().count() > 2 * results["data"]["n"].as_u64().unwrap() as usize);
        for file in names.iter().filter(|file| file.ends_with("png")) {
            assert!(text.contains(file.as_str()), "{arguments} does not name {file}: {text}");
        }
    }
}

/// A difference along any direction is no matrix: its search may end, but finds no eigenvector, and the
/// gradient's own curvature shows it. The matrix of its columns has them.
#[test]
fn what_is_not_an_eigenvector_is_not_called_one() {
    let summary = |operator: &str| {
        let (out, _) = geometry(&format!(
            "alignment --limit 6 --operator {operator} --h 0.5 --tolerance 1e-5"
        ));
        json_of(&out.path().join("alignment.json"))["networks"][0]["summary"].clone()
    };
    let (columns, forward) = (summary("columns"), summary("forward"));
    assert_eq!(columns["converged"], columns["measured"]);
    assert_eq!(columns["gradient_bends_more"], 0);
    assert_eq!(forward["converged"], 0);
}

#[test]
fn samples_nobody_can_measure_are_counted() {
    // Under this threshold every image's loss is over it, or it is misclassified.
    let (out, text) = geometry("bounds --limit 8 --threshold 1e-9");
    let results = json_of(&out.path().join("bounds.json"));
    let standings = &results["networks"][0]["summary"]["standings"];
    let count = |key: &str| standings[key].as_u64().unwrap();
    assert_eq!(count("bounded") + count("concave") + count("not-finite"), 0, "{standings}");
    assert_eq!(count("over-threshold") + count("misclassified") + count("no-gradient"), 8);
    assert!(text.contains("over t (c < 0)"), "{text}");

    // Every image of a class that the network does not know is misclassified.
    let wrong = Path::new("wrong.npz");
    let labels = "evaluate --data digits --limit 4 --weights a.safetensors -q --attack pgd:eps=0.5,steps=5 --save";
    cure(TRAINED.path(), &format!("{labels} {}", wrong.display()));
    let out = TempDir::new().unwrap();
    let text = cure(
        TRAINED.path(),
        &format!(
            "geometry surface --data npz:wrong.npz --weights a.safetensors --points 5 -q --out {}",
            out.path().display()
        ),
    );
    assert!(text.contains("left out: ") && text.contains(" misclassified"), "{text}");
    let results = json_of(&out.path().join("surface.json"));
    assert!(results["networks"][0]["left_out"]["misclassified"].as_u64().unwrap() > 0);
}

#[test]
fn results_go_where_they_are_asked_to() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("new");
    let copy = out.join("copy.json");
    let (place, json) = (out.display(), copy.display());
    let base = format!("geometry frobenius --limit 2 --draws 4 {NETWORKS} --out {place} --json");
    cure(TRAINED.path(), &format!("{base} {json}"));
    assert_eq!(json_of(&copy), json_of(&out.join("frobenius.json")));
    let output = output(TRAINED.path(), &format!("{base} {}", out.join("frobenius.png").display()));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("has this name"));
}

#[test]
fn results_depend_on_neither_batch_size_nor_threads() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    for command in ["frobenius --limit 5 --draws 6", "bounds --limit 5", "profile --limit 2"] {
        let (one, _) = geometry(&format!("{command} --batch 1 --threads 1"));
        let (other, _) = geometry(&format!("{command} --batch 64 --threads 2"));
        assert_same(one.path(), other.path());
    }
}

#[test]
fn shards_joined_are_the_whole() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    for (arguments, ..) in COMMANDS {
        let (whole, _) = geometry(arguments);
        let parts: Vec<TempDir> =
            (1..=3).map(|i| geometry(&format!("{arguments} --shard {i}/3")).0).collect();
        for part in &parts {
            assert_eq!(names(part.path()), ["command.json", "geometry.jsonl"]);
        }
        let merged = TempDir::new().unwrap();
        let folders: Vec<String> =
            parts.iter().map(|part| part.path().display().to_string()).collect();
        let place = merged.path().display();
        let text =
            cure(TRAINED.path(), &format!("geometry merge {} --out {place}", folders.join(" ")));
        assert!(text.contains(".json"), "{text}");
        assert_same(whole.path(), merged.path());
    }
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let command = "frobenius --limit 40 --draws 4 --shard";
    let (first, _) = geometry(&format!("{command} 1/2"));
    let (second, _) = geometry(&format!("{command} 2/2"));
    let (other, _) = geometry(&format!("{command} 2/2 --h 0.3"));
    let out = TempDir::new().unwrap();
    let refusal = |folders: &[&Path]| {
        let folders: Vec<String> = folders.iter().map(|path| path.display().to_string()).collect();
        let place = out.path().join("merged");
        let arguments = format!("geometry merge {} --out {}", folders.join(" "), place.display());
        let output = output(TRAINED.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(!place.exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let (first, second, other) = (first.path(), second.path(), other.path());
    assert!(refusal(&[first]).contains("part 2/2 is missing"));
    assert!(refusal(&[first, first]).contains("both part 1/2"));
    assert!(refusal(&[first, other]).contains("they differ in options.operator.h (0.1 and 0.3)"));
    assert!(refusal(&[first, out.path()]).contains("command.json"));
    let journal = second.join("geometry.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&journal, lines[..2].join("\n") + "\n").unwrap();
    assert!(refusal(&[first, second]).contains("part 2/2 is not finished"));
}

/// A journal cut in the middle of a line is what a killed process leaves.
#[test]
fn a_killed_measurement_goes_on_to_the_same_result() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: the same bits in every run are a promise of the CPU engine");
    }
    for command in
        ["profile --limit 9", "frobenius --limit 40 --draws 4", "boundary --limit 3 --points 9"]
    {
        let (whole, _) = geometry(command);
        let (killed, _) = geometry(&format!("{command} --shard 1/1"));
        let journal = killed.path().join("geometry.jsonl");
        let bytes = fs::read(&journal).unwrap();
        fs::write(&journal, &bytes[..bytes.len() / 2]).unwrap();
        fs::remove_file(killed.path().join("command.json")).unwrap();
        let place = killed.path().display();
        cure(TRAINED.path(), &format!("geometry {command} {NETWORKS} --out {place}"));
        assert_same(whole.path(), killed.path());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_measurement_keeps_its_journal() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: the same bits in every run are a promise of the CPU engine");
    }
    use std::process::{Command, Stdio};
    let command = "profile --limit 60 --h 0.2";
    let out = TempDir::new().unwrap();
    let arguments = format!("geometry {command} {NETWORKS} --out {}", out.path().display());
    let mut child = Command::new(env!("CARGO_BIN_EXE_cure"))
        .current_dir(TRAINED.path())
        .args(arguments.split_whitespace())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let journal = out.path().join("geometry.jsonl");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    while lines() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    let code = child.wait().unwrap().code();
    // The last lines may have been written before the signal came.
    assert_eq!(code, Some(130));
    assert!(lines() >= 3);
    let other = output(TRAINED.path(), &arguments.replace("--h 0.2", "--h 0.3"));
    assert_eq!(other.status.code(), Some(2), "another measurement's journal");
    cure(TRAINED.path(), &arguments);
    let (whole, _) = geometry(command);
    assert_same(whole.path(), out.path());
}

#[test]
fn bad_input_is_one_sentence() {
    let out = TempDir::new().unwrap();
    let place: PathBuf = out.path().join("new");
    for (arguments, part) in [
        ("profile --h 0", "--h is 0"),
        ("profile --h nan", "--h is NaN"),
        ("frobenius --h 1e-9", "single precision"),
        ("profile --h-sweep 1e-9..1@3", "single precision"),
        ("profile --operator exact --h 1", "of finite differences"),
        ("profile --operator magic", "accepted are forward, central, columns, exact, factor"),
        ("alignment --h 1", "say of which"),
        ("profile --top 2 --h 1", "say of which"),
        ("frobenius --h 1e30", "at most"),
        ("frobenius --draws 99999999999999", "at most"),
        ("profile --top 2 --tolerance inf", "0 to 1"),
        ("profile --h-sweep 0.1..1@3 --operator columns", "of finite differences"),
        ("surface --scale normalized", "in pixels"),
        ("bounds --scale normalized", "in pixels"),
        ("surface --span 1e300", "at most"),
        ("boundary --places 100000000000", "3 to"),
        ("profile --scale metre", "accepted are pixel, pixel255, normalized"),
        ("profile --top 65", "at most 64"),
        ("profile --top 4 --steps 3", "at least the number of eigenvalues"),
        ("profile --top 0 --bottom 0", "1 or more"),
        ("profile --steps 3", "--steps is an option of --top"),
        ("profile --top 3 --probes 3", "--probes is an option of --density"),
        ("profile --density --tolerance 0.1", "--tolerance is an option of --top"),
        ("profile --draws 9", "--draws is an option of --h-sweep"),
        ("profile --h-sweep 1..0.1@4", "A..B@COUNT"),
        ("profile --h-sweep 0.1..1@4 --operator exact", "of finite differences"),
        ("profile --density --probes 0", "1 or more"),
        ("frobenius --draws 1", "2 or more"),
        ("frobenius --draws 5 --deflated", "6 or more"),
        ("alignment --steps 0", "at least the number of eigenvalues"),
        ("alignment --batch 0", "--batch is 0"),
        ("alignment --shard 3/2", "3/2"),
        ("bounds --attack pgd:eps=8/255", "smallest ℓ2 perturbation"),
        ("bounds --threshold=-1", "above 0"),
        ("surface --points 2", "3 to 1001"),
        ("surface --span 0", "a length above 0"),
        ("boundary --width 0", "a share above 0"),
        ("gallery --limit 200", "at most 100"),
        ("gallery --attack nothing", "nothing"),
        ("gallery --indices 3", "write A..B"),
        ("gallery --weights a.safetensors", "two networks are called `a`"),
    ] {
        let arguments = format!("geometry {arguments} {NETWORKS} --out {}", place.display());
        let output = output(TRAINED.path(), &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "cure {arguments}: {message}");
        assert_eq!(message.lines().count(), 1, "cure {arguments}: {message}");
        assert!(message.contains(part), "cure {arguments} does not say `{part}`: {message}");
        assert!(!place.exists(), "cure {arguments} wrote something");
    }
    // Nothing that is read is replaced.
    fs::copy(TRAINED.path().join("a.safetensors"), out.path().join("profile.csv")).unwrap();
    let weights = out.path().join("profile.csv");
    let arguments = format!(
        "geometry profile --data digits --weights {} --out {}",
        weights.display(),
        out.path().display()
    );
    let output = output(TRAINED.path(), &arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("one of the inputs"), "{message}");
}
