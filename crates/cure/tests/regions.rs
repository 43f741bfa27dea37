//! `--mask` and `--budgets`, end to end on the digits.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use cure::data::{DataSpec, Dataset, Split};
use serde_json::Value;
use tempfile::TempDir;

const COUNT: usize = 20;
const LENGTH: usize = 64;
const ATTACKS: [&str; 5] = [
    "fgsm:eps=0.3",
    "pgd:steps=5,eps=0.3",
    "square:queries=30,eps=0.3",
    "deepfool:norm=linf",
    AUTO,
];
const AUTO: &str = "autoattack:eps=0.3,version=custom,members=noise+apgd+fab";

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("cure").unwrap();
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder with `net.safetensors`, a small network trained on the digits.
fn trained() -> TempDir {
    let folder = TempDir::new().unwrap();
    let train = "train --data digits --model cnn --epochs 4 --batch 32 --learning-rate 2e-3 --augment false \
         --out run --quiet";
    let (code, _, error) = run(folder.path(), &train.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{error}");
    let weights = folder.path().join("run/weights.safetensors");
    fs::copy(weights, folder.path().join("net.safetensors")).unwrap();
    folder
}

const BASE: [&str; 8] =
    ["evaluate", "--weights", "net.safetensors", "--data", "digits", "--limit", "20", "-q"];

fn evaluate(folder: &Path, attacks: &[&str], more: &[&str]) -> String {
    let attacks = attacks.iter().flat_map(|attack| ["--attack", attack]);
    let arguments: Vec<&str> =
        BASE.into_iter().chain(attacks).chain(more.iter().copied()).collect();
    let (code, text, error) = run(folder, &arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
    text
}

/// As `numpy.save` writes it.
fn npy(path: &Path, descr: &str, shape: &str, data: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

/// Half of the pixels, other ones in each row.
fn may(pixel: usize) -> bool {
    (pixel + pixel / 8).is_multiple_of(2)
}

fn png(path: &Path, side: u32, value: impl Fn(usize) -> u8) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..(side * side) as usize).map(value).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

fn budgets() -> Vec<f64> {
    (0..COUNT).map(|image| 0.02 + 0.01 * (image) as f64).collect()
}

fn digits(spec: &str) -> Dataset {
    let data: DataSpec = spec.parse().unwrap();
    data.load(Split::Test).unwrap().limit(COUNT).unwrap()
}

fn pixels(data: &Dataset) -> Vec<f32> {
    let all: Vec<usize> = (0..COUNT).collect();
    data.batch(&all).unwrap().images.into_vec()
}

/// For each attack the images saved.
fn saved(folder: &Path, attacks: usize) -> Vec<Vec<f32>> {
    let name = |number: usize| folder.join(format!("a-{number}.npz")).display().to_string();
    (1..=attacks).map(|number| pixels(&digits(&format!("npz:{}", name(number))))).collect()
}

#[test]
fn nothing_changes_off_the_mask_and_batches_do_not_matter() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let folder = trained();
    let place = folder.path();
    png(&place.join("one.png"), 8, |pixel| if may(pixel) { 255 } else { 0 });
    let bytes: Vec<u8> = (0..LENGTH).map(|pixel| u8::from(may(pixel))).collect();
    npy(&place.join("same.npy"), "|b1", "(8, 8)", &bytes);
    // Of every second image the other half.
    let each: Vec<f32> = (0..COUNT * LENGTH)
        .map(|value| f32::from(may(value % LENGTH) == (value / LENGTH).is_multiple_of(2)))
        .collect();
    let bytes: Vec<u8> = each.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy(&place.join("each.npy"), "<f4", "(20, 1, 8, 8)", &bytes);
    let clean = pixels(&digits("digits"));
    let mut outcomes = Vec::new();
    for mask in ["one.png", "same.npy", "each.npy"] {
        let more = ["--mask", mask, "--save", "a.npz", "--json", "r.json", "--csv"];
        let text = evaluate(place, &ATTACKS, &[&more[..], &["whole.csv"]].concat());
        assert!(text.contains(&format!("mask {mask}: 32 of 64 pixel values")), "{text}");
        let results: Value =
            serde_json::from_slice(&fs::read(place.join("r.json")).unwrap()).unwrap();
        assert_eq!(results["mask"]["file"], mask);
        assert_eq!(
            (&results["mask"]["free_min"], &results["mask"]["pixels"]),
            (&32.into(), &64.into())
        );
        assert_eq!(results["mask"]["sha256"].as_str().unwrap().len(), 64);
        for (images, attack) in saved(place, ATTACKS.len()).iter().zip(ATTACKS) {
            let mut changed = 0;
            for (value, (a, b)) in clean.iter().zip(images).enumerate() {
                let free =
                    if mask == "each.npy" { each[value] == 1.0 } else { may(value % LENGTH) };
                assert!(free || a == b, "{attack} changed value {value} off {mask}");
                changed += usize::from(a != b);
            }
            assert!(changed > 0, "{attack}");
        }
        let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
        for batch in if mask == "each.npy" { &["1", "7"][..] } else { &["7"] } {
            evaluate(place, &ATTACKS, &["--mask", mask, "--csv", "part.csv", "--batch", batch]);
            assert_eq!(read("whole.csv"), read("part.csv"), "{mask} {batch}");
        }
        outcomes.push(read("whole.csv"));
    }
    assert_eq!(outcomes[0], outcomes[1], "one mask in two files");
    assert_ne!(outcomes[1], outcomes[2]);
    let curve = "curve --network a=net.safetensors --data digits --limit 20 -q --eps 0.1,0.2 --attack \
                 fgsm:norm=linf --mask one.png --out curve";
    let (code, _, error) = run(place, &curve.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{error}");
    let numbers = fs::read_to_string(place.join("curve/curve.csv")).unwrap();
    assert!(numbers.contains("\na,0.1,0.1,") && numbers.starts_with("network,epsilon,pixels,"));
    assert!(fs::read_to_string(place.join("curve/results.json")).unwrap().contains("one.png"));
}

#[test]
fn each_image_keeps_to_its_budget() {
    let folder = trained();
    let place = folder.path();
    let lines: String = budgets().iter().map(|budget| format!("{budget}\n")).collect();
    fs::write(place.join("b.csv"), format!("epsilon\n{lines}")).unwrap();
    let bytes: Vec<u8> = budgets().iter().flat_map(|budget| budget.to_le_bytes()).collect();
    npy(&place.join("b.npy"), "<f8", "(20,)", &bytes);
    let attacks =
        ["fgsm", "pgd:steps=5", "square:queries=30", "autoattack:version=custom,members=apgd+fab"];
    let more = ["--save", "a.npz", "--json", "r.json", "--csv", "whole.csv", "--budgets"];
    let text = evaluate(place, &attacks, &[&more[..], &["b.csv"]].concat());
    assert!(text.contains("budgets b.csv: each image its own ε, 0.02 to 0.21, median"), "{text}");
    let results: Value = serde_json::from_slice(&fs::read(place.join("r.json")).unwrap()).unwrap();
    assert_eq!(results["budgets"]["max"], 0.21);
    assert!((results["budgets"]["median"].as_f64().unwrap() - 0.115).abs() < 1e-12);
    let clean = pixels(&digits("digits"));
    for (images, attack) in saved(place, attacks.len()).iter().zip(attacks) {
        let mut longest = 0.0f64;
        let pairs = clean.chunks_exact(LENGTH).zip(images.chunks_exact(LENGTH));
        for ((a, b), budget) in pairs.zip(budgets()) {
            let change = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
            let share = change.fold(0.0, f64::max) / budget;
            assert!(share <= 1.0 + 1e-6, "{attack}");
            longest = longest.max(share);
        }
        assert!(longest > 0.9, "{attack}: {longest}");
    }
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    for (file, batch) in [("b.npy", "1"), ("b.csv", "7")] {
        evaluate(place, &attacks, &["--budgets", file, "--batch", batch, "--csv", "part.csv"]);
        assert_eq!(read("whole.csv"), read("part.csv"), "{file} {batch}");
    }
    // One budget for all is an ε.
    fs::write(place.join("same.csv"), "0.1\n".repeat(COUNT)).unwrap();
    evaluate(place, &["pgd:steps=5"], &["--budgets", "same.csv", "--csv", "one.csv"]);
    evaluate(place, &["pgd:steps=5,eps=0.1"], &["--csv", "other.csv"]);
    assert_eq!(read("one.csv"), read("other.csv"));
}

#[test]
fn a_journal_is_of_one_mask() {
    let folder = trained();
    let place = folder.path();
    png(&place.join("one.png"), 8, |pixel| if may(pixel) { 255 } else { 0 });
    png(&place.join("other.png"), 8, |pixel| if may(pixel) { 0 } else { 255 });
    fs::write(place.join("b.csv"), "0.1\n".repeat(COUNT)).unwrap();
    let attacks = ["fgsm:eps=0.1"];
    evaluate(place, &attacks, &["--mask", "one.png", "--journal", "j"]);
    evaluate(place, &attacks, &["--mask", "one.png", "--journal", "j"]);
    let before = fs::read(place.join("j")).unwrap();
    let base = [&BASE[..], &["--attack", attacks[0], "--journal", "j"]].concat();
    for more in [&[][..], &["--mask", "other.png"], &["--mask", "one.png", "--budgets", "b.csv"]] {
        let (code, _, error) = run(place, &[&base, more].concat());
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("mask"), "{error}");
    }
    assert_eq!(fs::read(place.join("j")).unwrap(), before);
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let folder = TempDir::new().unwrap();
    let place = folder.path();
    let architecture = cure::network::Architecture::named("cnn", 10, [1, 8, 8]).unwrap();
    let normalization = cure::network::Normalization::none(1);
    let network = cure::network::Network::random(architecture, normalization, 1).unwrap();
    cure::network::save(&place.join("net.safetensors"), &network, None).unwrap();
    png(&place.join("small.png"), 7, |_| 255);
    png(&place.join("grey.png"), 8, |pixel| if pixel == 11 { 128 } else { 255 });
    png(&place.join("black.png"), 8, |_| 0);
    npy(&place.join("few.npy"), "|u1", "(19, 1, 8, 8)", &[1; 19 * LENGTH]);
    npy(&place.join("two.npy"), "|u1", "(8, 8)", &[2; LENGTH]);
    npy(&place.join("short.npy"), "<f4", "(1,)", &0.1f32.to_le_bytes());
    npy(&place.join("zero.npy"), "<f4", "(20,)", &[0; 80]);
    fs::write(place.join("few.csv"), "8/255\n".repeat(COUNT - 1)).unwrap();
    fs::write(place.join("word.csv"), format!("eps\n{}much\n", "8/255\n".repeat(COUNT - 1)))
        .unwrap();
    fs::write(place.join("eight.csv"), "8\n".repeat(COUNT)).unwrap();
    fs::write(place.join("mask.txt"), "1").unwrap();
    for (option, file, parts) in [
        ("--mask", "nowhere.png", &["nowhere.png"][..]),
        ("--mask", "small.png", &["[7, 7]", "[8, 8]"]),
        ("--mask", "grey.png", &["row 1, column 3", "128", "white", "black"]),
        ("--mask", "black.png", &["marks none"]),
        ("--mask", "few.npy", &["[19, 1, 8, 8]", "[20, 1, 8, 8]"]),
        ("--mask", "two.npy", &["2", "0 and 1"]),
        ("--mask", "mask.txt", &[".png", ".npy"]),
        ("--budgets", "short.npy", &["[1]", "[20]"]),
        ("--budgets", "zero.npy", &["image 0", "over 0"]),
        ("--budgets", "few.csv", &["19 numbers for 20 images"]),
        ("--budgets", "word.csv", &["line 21", "much"]),
        ("--budgets", "eight.csv", &["8/255"]),
    ] {
        let attack = ["--attack", "fgsm:eps=0.1", "--json", "r.json", option, file];
        let (code, text, error) = run(place, &[&BASE[..], &attack].concat());
        assert_eq!(code, Some(2), "{file}: {error}");
        assert!(text.is_empty() && error.lines().count() == 1, "{file}: {error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{file}: {error}");
        assert!(!place.join("r.json").exists());
    }
    let over = ["--attack", "fgsm:eps=0.1", "--mask", "grey.png", "--json", "grey.png"];
    let (code, _, error) = run(place, &[&BASE[..], &over].concat());
    assert_eq!(code, Some(2));
    assert!(error.contains("one of the inputs"), "{error}");
}
