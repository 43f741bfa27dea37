//! `cure runs list`.

use std::path::{Path, PathBuf};

use super::folder::{Run, is_run};
use super::tables;
use crate::failure::{Failure, Outcome};
use crate::output::print;

pub(super) fn run(folder: &Path) -> Outcome {
    if !folder.is_dir() {
        return Err(Failure::Input(format!("`{}` is no folder", folder.display())));
    }
    let mut paths = Vec::new();
    find(folder, &mut paths).map_err(|error| {
        Failure::Input(format!("cannot look into `{}`: {error}", folder.display()))
    })?;
    paths.sort();
    let mut runs = Vec::with_capacity(paths.len());
    for path in paths {
        let below = path.strip_prefix(folder).unwrap_or(&path);
        let name = if below.as_os_str().is_empty() { path.as_path() } else { below };
        match Run::read(name.display().to_string(), &path) {
            Ok(run) => runs.push(run),
            // One damaged folder must not hide the others.
            Err(Failure::Input(reason)) => tracing::warn!("{reason}"),
            Err(other) => return Err(other),
        }
    }
    if runs.is_empty() {
        return print(&format!("no runs below {}\n", folder.display()));
    }
    print(&(tables::list(&runs).to_text() + tables::ACCURACIES))
}

/// The runs in `folder` and below. Links are not followed, nor hidden folders entered.
fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if is_run(folder) {
        found.push(folder.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !is_hidden {
            let path = entry.path();
            if let Err(error) = find(&path, found) {
                tracing::warn!("cannot look into `{}`: {error}", path.display());
            }
        }
    }
    Ok(())
}
