//! `cure runs`: what training runs there are, and several side by side.

mod compare;
mod differences;
mod figures;
mod folder;
mod list;
mod tables;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Outcome;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The runs below a folder: how far each is, and what it came to on its validation images.
    List {
        /// The folder, searched at any depth.
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Runs side by side: where their configurations differ, what they came to and at what cost,
    /// and, with --out, their course as figures.
    #[command(after_help = "\
  cure runs compare runs/cure runs/pgd-at runs/control --out comparison.html

writes comparison.html, and each figure as SVG, PNG and CSV to comparison-figures/.")]
    Compare(CompareOptions),
}

#[derive(Args, Debug)]
struct CompareOptions {
    /// Folders of runs, finished or not.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// The report, one HTML file; figures go to a folder beside it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Everything as JSON, with the rows of all epochs.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.command {
        Command::List { folder } => list::run(folder),
        Command::Compare(options) => compare::run(options),
    }
}
