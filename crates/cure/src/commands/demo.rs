//! `cure demo`: the whole story on the embedded digits. A small network is trained, attacked,
//! fine-tuned with CURE and attacked again, beside a control that is fine-tuned as long without
//! the regulariser; a run directory with `report.html` says what came out.

mod figures;
mod folder;
mod measure;
mod recipe;
mod report;
mod sentences;
mod story;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use cure_data::Split;

use crate::arguments::{General, load_data};
use crate::failure::{Blame, Outcome};
use crate::interrupt;
use crate::output::{print, write_json};

use figures::Figures;
use recipe::DATA;
use story::{Story, check_interrupt};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure demo
  cure demo --seed 1 --out runs/another

The folder then holds report.html (open it in a browser), results.json, figures/ as SVG, PNG and
CSV, and original/, control/ and cure/, three runs of training with their config.toml,
metrics.jsonl, checkpoints/ and weights.safetensors, ready for `cure evaluate --data digits`.")]
pub(crate) struct Options {
    /// The folder to write, a new or an empty one [default: runs/demo, or runs/demo-2, … where
    /// that is taken].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let begun = Instant::now();
    let train = load_data(DATA, Split::Train)?;
    let test = load_data(DATA, Split::Test)?;
    let folder = folder::make(options.out.as_deref())?;
    interrupt::listen()?;

    let story = Story::unfold(general, &folder, &train, &test)?;
    let figures = Figures::draw(&story)?;
    check_interrupt(&folder, "drawing", &story.networks)?;

    let path = folder.join("report.html");
    figures.save(&folder.join("figures"))?;
    write_json(&folder.join("results.json"), &story.results(general))?;
    report::compose(&story, &figures, &folder, begun.elapsed()).save(&path).failed()?;
    print(&report::text(&story, &path))
}
