//! Checks the PyTorch that the libtorch engine is to be built with.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is how a build script speaks.

use std::process::Command;

/// What torch-sys 0.24 is made for.
const VERSION: &str = "2.11.0";

/// What the environment must say for torch-sys to ask Python for it.
const BY_PYTHON: &str = "LIBTORCH_USE_PYTORCH";

fn main() {
    for name in [BY_PYTHON, "LIBTORCH", "LIBTORCH_BYPASS_VERSION_CHECK", "VIRTUAL_ENV", "PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // Only asked for as a member of the workspace, and not for the engine.
    if std::env::var_os("CARGO_FEATURE_LIBTORCH").is_none() {
        return;
    }
    let is_set = |name: &str| std::env::var_os(name).is_some();
    // Whoever names a libtorch of their own, or wants no check, is trusted.
    if is_set("LIBTORCH") || is_set("LIBTORCH_BYPASS_VERSION_CHECK") {
        return;
    }
    if !is_set(BY_PYTHON) {
        refuse("the feature `libtorch` is to be built with no PyTorch named");
    }
    let python = if is_set("VIRTUAL_ENV") { "python" } else { "python3" };
    let asked = Command::new(python)
        .args(["-c", "import torch; print(torch.__version__.split('+')[0])"])
        .output();
    match asked {
        Ok(answer) if answer.status.success() => {
            let found = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            if found != VERSION {
                refuse(&format!("`{python}` has PyTorch {found}, not {VERSION}"));
            }
        }
        _ => refuse(&format!("`{python}` has no PyTorch")),
    }
}

fn refuse(found: &str) -> ! {
    eprintln!(
        "\n{found}: run scripts/install-torch, then scripts/with-torch cargo build --release --features libtorch\n"
    );
    std::process::exit(1)
}
