//! `cure reproduce`: the paper's tables and figures, the paper's number beside ours, in one report.

mod claims;
mod folder;
mod given;
mod items;
mod plan;
mod provenance;
mod report;
mod scale;
mod setting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::Split;

use super::pipeline::{self, Kind, Ledger, Plan, State};
use crate::arguments::{General, load_data, whole};
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::output::print;

use folder::Record;
use items::{ITEMS, Item};

use report::Reproduction;
use scale::{Scale, Setting, Subject};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure reproduce all                                     everything in small, on built-in data
  cure reproduce table2 fig6 --scale cpu --cifar10 DIR --original resnet20.pkl --normalize cifar10 \\
      --out runs/reproduction
  cure reproduce all --scale cpu --out runs/reproduction --plan
  cure reproduce table1 --scale cpu --cifar10 DIR --original resnet20.pkl --normalize cifar10 \\
      --network deepfool=networks/resnet20-deepfool.safetensors

Each step is a command of this program, run in the folder: its results are in steps/, its output in
logs/. What is done is not done again, so that the same command goes on where it was stopped, and
other tables and figures can be asked for later, with more data where the first had less; data and
networks that are left out then are those the folder was begun with. What was made from files that
have changed since is made anew. The folder then holds report.html (open it in a browser) with all
that is done in it, results.json, tables/ in LaTeX and figures/ as SVG, PNG and CSV.

--network puts a network that somebody trained in the place of one that would be trained: on
CIFAR-10, of the scale's first architecture (resnet20 or resnet20-conv; at --scale paper resnet18).
Fig. 10 follows CURE's training, and is not measured where its network was given.")]
pub(crate) struct Options {
    /// Which: table1 to table3, fig1 to fig15, remark3, stronger, or all.
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// demo: built-in digits, minutes; cpu: ResNet-20 on CIFAR-10, hours; paper: the paper's networks and numbers of
    /// images, for a GPU.
    #[arg(long, value_name = "SCALE", value_enum, default_value_t = Scale::Demo)]
    scale: Scale,
    /// The folder of CIFAR-10's files, for the scales cpu and paper.
    #[arg(long, value_name = "DIR")]
    cifar10: Option<PathBuf>,
    /// The folder of SVHN's files, for the scale paper.
    #[arg(long, value_name = "DIR")]
    svhn: Option<PathBuf>,
    /// A trained network that all others on CIFAR-10 start from; without it one is trained first.
    #[arg(long, value_name = "FILE")]
    original: Option<PathBuf>,
    /// A trained network in the place of one that would be fine-tuned: deepfool=FILE, cure=FILE or
    /// adversarial=FILE (also pgd-at=FILE); may be given several times.
    #[arg(long, value_name = "ROLE=FILE")]
    network: Vec<String>,
    /// What is done to pixels first in those of these networks whose file does not say: none,
    /// imagenet, cifar10 or M,M,M/S,S,S.
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
    /// The folder to write, or to go on with [default: runs/reproduce-SCALE].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only say what would be done, and about how long it takes.
    #[arg(long)]
    plan: bool,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let items = named(&options.what)?;
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(format!("reproduce-{}", options.scale.name())));
    let before = folder::read(&out)?;
    let setting = options.setting(general, before.as_ref().map(|before| &before.setting), &out)?;
    check_items(&items, &setting)?;
    let (plan, _) = planned(&items, &setting);
    let ledger = Ledger::new(&out);
    given::check(&setting, &plan, &ledger)?;
    if options.plan {
        return print(&pipeline::describe(&plan, &ledger, setting.scale.machine()));
    }
    check_data(&setting, &plan, &ledger)?;
    let record = Record::new(setting, before, &items);
    let _lock = folder::open(&out, &record)?;
    interrupt::listen()?;
    pipeline::run(&plan, &ledger, &general.flags(), general.quiet)?;
    let (shown, left) = shown(&items, &record, &ledger);
    let (plan, planned) = planned(&shown, &record.setting);
    let found = Reproduction::read(&record.setting, &plan, &planned, &ledger, left)?;
    found.save(&out)?;
    print(&found.text(&out))
}

/// The items called so, each once, in the paper's order.
fn named(what: &[String]) -> Outcome<Vec<&'static Item>> {
    let keys = || ITEMS.iter().map(|item| item.key).collect::<Vec<_>>().join(", ");
    if let Some(unknown) =
        what.iter().find(|name| *name != "all" && ITEMS.iter().all(|item| item.key != **name))
    {
        return Err(Failure::Input(format!("there is no `{unknown}`; there are all, {}", keys())));
    }
    let is_asked = |item: &&Item| what.iter().any(|name| name == "all" || name == item.key);
    Ok(ITEMS.iter().filter(is_asked).collect())
}

/// Whether there is something to measure. What is asked for together with others may be left out, but not for want of
/// the data that most is about.
fn check_items(items: &[&Item], setting: &Setting) -> Outcome {
    if let Some(want) = setting.want(Subject::Cifar10)
        && let Some(item) =
            items.iter().find(|item| (item.subject)(setting) == Some(Subject::Cifar10))
    {
        return Err(Failure::Input(format!("{}: {want}", item.key)));
    }
    let mut wants: Vec<String> = items.iter().filter_map(|item| item.want(setting)).collect();
    if wants.len() < items.len() {
        return Ok(());
    }
    wants.dedup();
    let keys: Vec<&str> = items.iter().map(|item| item.key).collect();
    Err(Failure::Input(format!(
        "nothing can be measured of {}: {}",
        keys.join(", "),
        wants.join("; ")
    )))
}

/// Each item with its own steps, and the steps of all.
fn planned<'a>(items: &[&'a Item], setting: &Setting) -> (Plan, Vec<(&'a Item, Vec<String>)>) {
    let mut plan = Plan::default();
    let planned = items
        .iter()
        .map(|item| match item.want(setting) {
            None => (*item, (item.plan)(setting, &mut plan)),
            Some(_) => (*item, Vec::new()),
        })
        .collect();
    (plan, planned)
}

/// What the report is about: what is asked for now, and all else that is done in the folder. Also what was asked for
/// before and is not done.
fn shown(
    items: &[&'static Item],
    record: &Record,
    ledger: &Ledger<'_>,
) -> (Vec<&'static Item>, Vec<&'static str>) {
    let all: Vec<&Item> = ITEMS.iter().collect();
    let (plan, planned) = planned(&all, &record.setting);
    let is_done = |id: &String| {
        let step = plan.steps.iter().find(|step| step.id == *id);
        step.is_some_and(|step| ledger.done(&plan, step).is_some())
    };
    let (mut shown, mut left) = (Vec::new(), Vec::new());
    for (item, own) in &planned {
        let was_asked = record.asked.iter().any(|key| key == item.key);
        let is_whole = own.iter().all(is_done);
        if items.iter().any(|asked| asked.key == item.key)
            || is_whole && (was_asked || !own.is_empty())
        {
            shown.push(*item);
        } else if was_asked {
            left.push(item.key);
        }
    }
    (shown, left)
}

impl Options {
    /// What is computed, of which a folder that is gone on with says what the command leaves out.
    fn setting(&self, general: &General, before: Option<&Setting>, out: &Path) -> Outcome<Setting> {
        let data = |name: &str, folder: &Option<PathBuf>| -> Outcome<Option<String>> {
            let Some(folder) = folder else { return Ok(None) };
            Ok(Some(format!("{name}:{}", whole(folder)?.display())))
        };
        let names_something = self.cifar10.is_some()
            || self.svhn.is_some()
            || self.original.is_some()
            || self.normalize.is_some()
            || !self.network.is_empty();
        if self.scale == Scale::Demo && names_something {
            return Err(Failure::Input(
                "--cifar10, --svhn, --original, --network and --normalize are for --scale cpu and paper; the \
                 demo is on built-in data"
                    .into(),
            ));
        }
        let mut setting = Setting {
            scale: self.scale,
            seed: general.seed(),
            cifar10: data("cifar10", &self.cifar10)?,
            svhn: data("svhn", &self.svhn)?,
            networks: BTreeMap::new(),
            plain_sums: general.plain_sums,
        };
        if let Some(before) = before {
            setting = before.joined(&setting, out)?;
        }
        let networks = given::named(self.original.as_deref(), &self.network)?;
        given::add(&mut setting, networks, self.normalize.as_deref(), out)?;
        Ok(setting)
    }
}

/// Whether the data that are still to be read can be, before hours of work begin: all images, as a few seconds show.
fn check_data(setting: &Setting, plan: &Plan, ledger: &Ledger<'_>) -> Outcome {
    let states = ledger.states(plan);
    for text in [&setting.cifar10, &setting.svhn].into_iter().flatten() {
        let open = plan
            .steps
            .iter()
            .zip(&states)
            .filter(|(step, state)| **state != State::Done && step.command.contains(text));
        let open: Vec<Kind> = open.map(|(step, _)| step.kind).collect();
        for (kind, split) in [(Kind::Measurement, Split::Test), (Kind::Training, Split::Train)] {
            if open.contains(&kind) {
                load_data(text, split)?;
            }
        }
    }
    Ok(())
}
