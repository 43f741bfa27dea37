//! `cure selftest`: whether this build computes what it should on this machine and device: closed forms, and adversarial
//! images that are known to be there.

mod derivatives;
mod engine;
mod planted;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use cure_report::{Cell, Table};
use cure_tensor::Precision;
use serde::Serialize;
use serde_json::json;

use crate::arguments::General;
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::output::{PROGRAM, print, write_json};

#[derive(Args, Debug)]
#[command(after_help = "\
Each oracle is something that is known without this program: an attack's outcome on a linear network, which is a sum over
pixels; a convolution, summed naively in f64; derivatives by differences. It takes seconds. The exit code is 0 where all
of them hold, and 1 where one does not: then do not believe what this build says on this machine, and report it.

Examples:
  cure selftest
  cure selftest --device torch:cuda")]
pub(crate) struct Options {
    /// Write what was found here, in JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What an oracle says.
pub(super) struct Finding {
    pub(super) holds: bool,
    /// What was compared, and how near it came.
    pub(super) words: String,
}

impl Finding {
    /// Whether a relative error is at most `tolerance`.
    pub(super) fn near(what: &str, error: f64, tolerance: f64) -> Self {
        // NaN is not near.
        let holds = error <= tolerance;
        Self { holds, words: format!("{what}: {error:.1e} apart, at most {tolerance:.0e}") }
    }
}

#[derive(Serialize)]
struct Row {
    oracle: &'static str,
    holds: bool,
    found: String,
    seconds: f64,
}

type Oracle = (&'static str, fn() -> Outcome<Finding>);

const ORACLES: &[Oracle] = &[
    ("convolutions", engine::convolutions),
    ("threads", engine::threads),
    ("Jacobians", derivatives::jacobians),
    ("Hessians", derivatives::hessians),
    ("curvature", derivatives::curvature),
    ("CURE's gradient", derivatives::cure),
    ("planted adversarials", planted::outcomes),
    ("distances", planted::distances),
    ("training", engine::training),
];

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let precision = cure_tensor::precision();
    if precision != Precision::F32 {
        return Err(Failure::Input(format!(
            "--precision is {precision}; the oracles are for f32, of which others keep a part: leave it out"
        )));
    }
    interrupt::listen()?;
    let mut rows = Vec::with_capacity(ORACLES.len());
    for (oracle, look) in ORACLES {
        if interrupt::asked() {
            return Err(Failure::Interrupted("interrupted; nothing was written".into()));
        }
        let begun = Instant::now();
        // What cannot be computed does not hold, and the others are still to be looked at.
        let found = look().unwrap_or_else(|failure| Finding {
            holds: false,
            words: match failure {
                Failure::Input(words) | Failure::Failed(words) | Failure::Interrupted(words) => {
                    words
                }
            },
        });
        let seconds = begun.elapsed().as_secs_f64();
        if !general.quiet {
            eprintln!("{oracle}: {}", word(found.holds));
        }
        rows.push(Row { oracle, holds: found.holds, found: found.words, seconds });
    }
    let failed: Vec<&str> = rows.iter().filter(|row| !row.holds).map(|row| row.oracle).collect();
    if let Some(path) = &options.json {
        let device = cure_tensor::device().to_string();
        let found = json!({
            "tool": PROGRAM, "command": "selftest", "device": device,
            "holds": failed.is_empty(), "oracles": rows,
        });
        write_json(path, &found)?;
    }
    print(&table(&rows).to_text())?;
    match failed.is_empty() {
        true => print(&format!("All {} hold on {}.\n", rows.len(), cure_tensor::device())),
        false => Err(Failure::Failed(format!(
            "{} of {} do not hold on {} ({}): do not believe what this build says here",
            failed.len(),
            rows.len(),
            cure_tensor::device(),
            failed.join(", ")
        ))),
    }
}

fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

fn table(rows: &[Row]) -> Table {
    rows.iter().fold(Table::new("", ["oracle", "", "found", "s"]), |table, row| {
        table.row([
            Cell::from(row.oracle),
            Cell::from(word(row.holds)),
            Cell::from(row.found.as_str()),
            Cell::Number(row.seconds, 1),
        ])
    })
}

/// A number in [0, 1) that is the same on every machine: the fractional part of a stretched sine.
pub(super) fn noise(seed: usize, place: usize) -> f32 {
    let value = ((place as f64 + 1.0) * 12.9898 + seed as f64 * 78.233).sin() * 43_758.545_3;
    (value - value.floor()) as f32
}

/// So many of them.
pub(super) fn noises(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|place| noise(seed, place)).collect()
}

/// ⟨a, b⟩ in `f64`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// |found − expected| as a share of `size`, or of 1 where that is less.
pub(super) fn apart(found: f64, expected: f64, size: f64) -> f64 {
    (found - expected).abs() / size.abs().max(1e-12)
}
