//! Writing to standard output and to files.

use std::io::Write;
use std::path::{Path, PathBuf};

use cure_data::Dataset;
use cure_tensor::Precision;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::arguments::{General, Model};
use crate::failure::{Blame, Failure, Outcome};

/// This program with its version and, where it is known, its commit.
pub(crate) const PROGRAM: &str = concat!("cure ", env!("CURE_VERSION"));

/// Prints to standard output; that a reader went away (`cure … | head`) is no failure.
pub(crate) fn print(text: &str) -> Outcome {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.failed(),
    }
}

/// Writes a value as indented JSON, beside and then renamed.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Outcome {
    let mut text = serde_json::to_string_pretty(value).failed()?;
    text.push('\n');
    cure_report::write_atomically(path, text.as_bytes()).failed()
}

/// What a network is, in results.
pub(crate) fn identity_of(model: &Model) -> Value {
    json!({
        "arch": model.name(),
        "weights_sha256": model.sha256(),
        "normalization": model.normalization().to_string(),
    })
}

/// What results in JSON begin with: what was run, on which network, if it is one, and which data.
pub(crate) fn provenance(
    command: &str,
    general: &General,
    model: Option<&Model>,
    data: &Dataset,
) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("tool".into(), concat!("cure ", env!("CARGO_PKG_VERSION")).into());
    head.insert("command".into(), command.into());
    head.insert("seed".into(), general.seed().into());
    head.insert("device".into(), json!(cure_tensor::device().to_string()));
    if cure_tensor::precision() != Precision::F32 {
        head.insert("precision".into(), cure_tensor::precision().to_string().into());
    }
    if general.plain_sums {
        head.insert("plain_sums".into(), true.into());
    }
    if let Some(model) = model {
        head.insert("model".into(), identity_of(model));
    }
    let data = json!({
        "name": data.name(),
        "split": data.split().to_string(),
        "n": data.len(),
        "sha256": data.sha256(),
    });
    head.insert("data".into(), data);
    head
}

/// Refuses, before any work is done for them, outputs that cannot be written, that would replace one
/// of the inputs (or a file in a folder that is one) or something that is no file, or that are named
/// twice.
pub(crate) fn check_outputs(outputs: &[&Path], inputs: &[&Path]) -> Outcome {
    for (position, path) in outputs.iter().enumerate() {
        let refuse = |reason: String| {
            Err(Failure::Input(format!("{} cannot be written: {reason}", path.display())))
        };
        if *path == Path::new("-") {
            return refuse("results go to a file; name one".into());
        }
        if !folder_of(path).is_dir() {
            return refuse(format!("the folder {} does not exist", folder_of(path).display()));
        }
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return refuse("it is there and is not a plain file; name another".into());
        }
        if inputs.iter().any(|input| same(path, input)) {
            return refuse("it is one of the inputs; name another".into());
        }
        if let Some(folder) = inputs.iter().find(|input| holds(input, path)) {
            let folder = folder.display();
            return refuse(format!("it is a file of the data in {folder}; name another"));
        }
        if outputs[..position].iter().any(|other| same(path, other)) {
            return refuse("two outputs have this name; name them apart".into());
        }
        cure_report::check_writable(path).input()?;
    }
    Ok(())
}

/// [`check_outputs`] for `files` of a folder, which is made where it is not there.
pub(crate) fn check_folder(folder: &Path, files: &[&str], inputs: &[&Path]) -> Outcome {
    if folder.is_dir() {
        let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        return check_outputs(&files, inputs);
    }
    if folder.exists() {
        return Err(Failure::Input(format!("{} is there and is no folder", folder.display())));
    }
    let above = folder.ancestors().skip(1).find(|above| above.is_dir());
    let probe = above.unwrap_or(Path::new(".")).join(folder.file_name().unwrap_or_default());
    cure_report::check_writable(probe).input()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether two paths name one file, be it there or not.
fn same(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| {
        let whole = path.canonicalize();
        whole.ok().or_else(|| Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?)))
    };
    match (resolved(a), resolved(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Whether `file` is there and lies in the folder `input`, at any depth.
fn holds(input: &Path, file: &Path) -> bool {
    match (input.is_dir(), input.canonicalize(), file.canonicalize()) {
        (true, Ok(folder), Ok(file)) => file.starts_with(folder),
        _ => false,
    }
}
