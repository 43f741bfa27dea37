//! Tells the program which commit it is made from, as `CURE_VERSION`: `0.1.0 (18f09bb1a2c3)`, with
//! `, changed` where sources differ from it, and the version alone where there is no repository.
#![allow(clippy::print_stdout)] // It is how a build script speaks.

use std::path::Path;
use std::process::Command;

/// What the program is made from, below the repository's root.
const SOURCES: [&str; 4] = ["crates", "recipes", "Cargo.toml", "Cargo.lock"];

fn main() {
    // Where cure-tensor found libtorch, so that the program finds it as well.
    if let Ok(library) = std::env::var("DEP_CURE_TORCH_SHIM_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    }
    // Asked for now and not when this was compiled: several checkouts may share one target folder.
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    // A commit builds nothing anew but this crate, on which no other is built.
    SOURCES.iter().for_each(|source| println!("cargo:rerun-if-changed=../../{source}"));
    let version = variable("CARGO_PKG_VERSION");
    match commit(&Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..")) {
        Some(commit) => println!("cargo:rustc-env=CURE_VERSION={version} ({commit})"),
        None => println!("cargo:rustc-env=CURE_VERSION={version}"),
    }
}

/// The commit in short, if `root` is the root of a repository: not where the sources lie unpacked
/// somewhere in another one.
fn commit(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // The commit changes when HEAD names another branch or the branch another commit. A file that
    // is not there must not be watched: it would count as changed every time.
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = git(root, &["rev-parse", "--git-path", name])?;
        let path = root.join(path);
        if path.is_file() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let status = [&["status", "--porcelain", "--"][..], &SOURCES].concat();
    let is_changed = git(root, &status).is_none_or(|changes| !changes.is_empty());
    Some(if is_changed { format!("{commit}, changed") } else { commit })
}

/// What git says; none where it fails or there is no git.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
