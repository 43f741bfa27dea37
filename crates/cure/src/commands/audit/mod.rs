//! `cure audit`: whether the robustness of somebody's network can be believed, and how much of it there is.

mod budget;
mod checks;
mod findings;
mod report;
mod setting;
mod steps;
mod verdict;

use std::path::PathBuf;

use clap::Args;
use cure_attacks::{Attack, Epsilon, Norm, PgdOptions, preflight};

use super::pipeline::{self, Ledger};
use crate::arguments::{Confinement, DataArguments, General, ModelArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::output::print;

use findings::Findings;
use setting::Asked;

/// Images that the look before any attack sends at once.
const BATCH: usize = 32;
/// The longest that may be asked for, in minutes: a week.
const LONGEST: f64 = 7.0 * 24.0 * 60.0;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure audit --weights net.pt --normalize cifar10 --data cifar10:DIR --out audit
  cure audit --weights net.pt --normalize cifar10 --data cifar10:DIR --minutes 60 --plan
  cure audit --model torchscript:net.ts --data cifar10:DIR --eps 4/255 --out audit

What is measured: a look at logits and gradients before any attack; noise, FGSM, PGD from the image, from random
points and with five times the steps; AutoAttack; SPSA, which sees no gradient, against PGD; accuracy against ε
up to where nothing may stand; curvature and Theorem 1's bounds on a sample. The questions are the checklist of
Carlini et al. (2019) and the indicators of attack failure of Pintor et al. (2022); what can only be judged by a
person is named. DIR gets report.html, results.json and what each step left. The same command goes on where it was
stopped.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// ε, the largest change of a pixel (ℓ∞).
    #[arg(long, value_name = "LENGTH", default_value = "8/255")]
    eps: String,
    /// About how long it may take on this machine: numbers of images and steps are chosen for it, and what was
    /// cut is said.
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// The folder to write, or to go on with.
    #[arg(long, value_name = "DIR", default_value = "runs/audit")]
    out: PathBuf,
    /// Only say what would be done, and about how long it takes.
    #[arg(long)]
    plan: bool,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let epsilon: Epsilon = options.eps.parse().input()?;
    PgdOptions::new(Norm::Linf, epsilon).check(None, None).input()?;
    if !(options.minutes > 0.0 && options.minutes <= LONGEST) {
        return Err(Failure::Input(format!(
            "--minutes is {}; accepted is above 0, up to {LONGEST}",
            options.minutes
        )));
    }
    // The network's file is looked for before the data is read.
    options.model.file()?;
    let data = options.data.load()?;
    let asked = Asked::new(general, options, epsilon, &data)?;
    let before = setting::read(&options.out)?;
    if let Some(before) = &before {
        before.check(&asked, &options.out)?;
    }
    let model = options.model.load(&data)?;
    let classifier = model.classifier()?;
    let set = Confinement::default().set(&data)?;
    let seen = preflight(classifier.as_ref(), &set, BATCH).failed()?;
    let setting = match before {
        Some(before) => before,
        None => {
            let pace = budget::pace(classifier.as_ref(), &set, epsilon, general.seed())?;
            let sizes = budget::sizes(&pace, data.len(), options.minutes);
            asked.with(sizes, pace, model.classes())
        }
    };
    let plan = steps::plan(&setting, epsilon);
    let ledger = Ledger::new(&options.out);
    if options.plan {
        let pieces = pipeline::describe(&plan, &ledger, "on this machine");
        return print(&format!("{pieces}{}", budget::cuts(&setting).to_text()));
    }
    drop((classifier, set));
    let lock = pipeline::open(&options.out, setting::RECORD)?;
    setting.save(&options.out)?;
    interrupt::listen()?;
    pipeline::run(&plan, &ledger, &general.flags(), general.quiet)?;
    let found = Findings::read(&setting, &seen, &model, &data, epsilon, &options.out)?;
    let report = report::Audit::new(general, &setting, &plan, found, epsilon);
    report.save(&options.out)?;
    drop(lock);
    print(&report.text(&options.out))
}
