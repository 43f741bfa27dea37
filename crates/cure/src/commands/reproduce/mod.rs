//! `cure reproduce`: the paper's tables and figures, the paper's number beside ours, in one report.

mod claims;
mod execute;
mod items;
mod ledger;
mod marker;
mod outlook;
mod plan;
mod provenance;
mod report;
mod scale;

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::Split;

use crate::arguments::{General, load_data};
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::output::{print, write_json};

use items::{ITEMS, Item};
use ledger::Ledger;
use plan::Plan;
use report::Reproduction;
use scale::{Scale, Setting, Subject};

const SETTING: &str = "setting.json";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure reproduce all                                     everything in small, on built-in data
  cure reproduce table2 fig6 --scale cpu --cifar10 DIR --original resnet20.pkl --normalize cifar10 \\
      --out runs/reproduction
  cure reproduce all --scale cpu --cifar10 DIR --out runs/reproduction --plan

Each step is a command of this program, run in the folder: its results are in steps/, its output in
logs/. What is done is not done again, so that the same command goes on where it was stopped, and
other tables and figures can be asked for later. The folder then holds report.html (open it in a
browser), results.json, tables/ in LaTeX and figures/ as SVG, PNG and CSV.")]
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
    /// What is done to its pixels first, if the file does not say: none, imagenet, cifar10 or
    /// M,M,M/S,S,S.
    #[arg(long, value_name = "HOW", requires = "original")]
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
    let setting = options.setting(general)?;
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(format!("reproduce-{}", options.scale.name())));
    // What is asked for together with others may be left out for want of SVHN alone.
    let is_needed =
        |item: &&&Item| items.len() == 1 || (item.subject)(&setting) != Some(Subject::Svhn);
    if let Some((key, want)) =
        items.iter().filter(is_needed).find_map(|item| Some((item.key, item.want(&setting)?)))
    {
        return Err(Failure::Input(format!("{key}: {want}")));
    }
    if let Some(other) = setting_of(&out)? {
        check_same(&other, &setting, &out)?;
    }
    let mut plan = Plan::default();
    let planned: Vec<(&Item, Vec<String>)> = items
        .into_iter()
        .map(|item| match item.want(&setting) {
            None => (item, (item.plan)(&setting, &mut plan)),
            Some(_) => (item, Vec::new()),
        })
        .collect();
    let ledger = Ledger::new(&out);
    if options.plan {
        return print(&outlook::describe(&plan, &ledger, setting.scale));
    }
    check_data(&setting)?;
    let _lock = open(&out, &setting)?;
    interrupt::listen()?;
    execute::run(&plan, &ledger, &general.flags(), general.quiet)?;
    let found = Reproduction::read(&setting, &plan, &planned, &ledger)?;
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

impl Options {
    fn setting(&self, general: &General) -> Outcome<Setting> {
        let absolute = |path: &Path| {
            path.canonicalize()
                .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
        };
        let data = |name: &str, folder: &Option<PathBuf>| -> Outcome<Option<String>> {
            let Some(folder) = folder else { return Ok(None) };
            Ok(Some(format!("{name}:{}", absolute(folder)?.display())))
        };
        if self.scale == Scale::Demo
            && (self.cifar10.is_some() || self.svhn.is_some() || self.original.is_some())
        {
            return Err(Failure::Input(
                "--cifar10, --svhn and --original are for --scale cpu and paper; the demo is on built-in \
                 data"
                    .into(),
            ));
        }
        Ok(Setting {
            scale: self.scale,
            seed: general.seed(),
            cifar10: data("cifar10", &self.cifar10)?,
            svhn: data("svhn", &self.svhn)?,
            original: self.original.as_deref().map(absolute).transpose()?,
            normalize: self.normalize.clone(),
            plain_sums: general.plain_sums,
        })
    }
}

/// What a folder's results were made with, if it holds any.
fn setting_of(out: &Path) -> Outcome<Option<Setting>> {
    let path = out.join(SETTING);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::Input(format!("{}: {error}", path.display()))),
        Err(_) => Ok(None),
    }
}

fn check_same(before: &Setting, now: &Setting, out: &Path) -> Outcome {
    let [before, now] =
        [before, now].map(|setting| serde_json::to_value(setting).unwrap_or_default());
    let fields = before.as_object().into_iter().flatten();
    let other = fields.map(|(name, value)| (name, value, &now[name])).find(|(_, a, b)| a != b);
    match other {
        None => Ok(()),
        Some((name, before, now)) => Err(Failure::Input(format!(
            "{} was begun with {name} {before}, and this command has {now}; give the same, or another \
             folder with --out",
            out.display()
        ))),
    }
}

/// Whether the data can be read, before hours of work begin.
fn check_data(setting: &Setting) -> Outcome {
    for text in [&setting.cifar10, &setting.svhn].into_iter().flatten() {
        load_data(text, Split::Test)?;
    }
    Ok(())
}

/// Makes the folder, or goes on with it; nobody else writes to it meanwhile.
fn open(out: &Path, setting: &Setting) -> Outcome<File> {
    let is_other = std::fs::read_dir(out).is_ok_and(|mut files| files.next().is_some())
        && !out.join(SETTING).is_file();
    if is_other {
        return Err(Failure::Input(format!(
            "`{}` holds something else and stays as it is; choose a new folder with --out",
            out.display()
        )));
    }
    let refuse = |error: std::io::Error| Failure::Input(format!("{}: {error}", out.display()));
    for folder in ["steps", "logs"] {
        std::fs::create_dir_all(out.join(folder)).map_err(refuse)?;
    }
    let lock = File::create(out.join(".lock")).map_err(refuse)?;
    if lock.try_lock().is_err() {
        return Err(Failure::Input(format!(
            "another process is at work in {}; wait for it, or choose another folder with --out",
            out.display()
        )));
    }
    write_json(&out.join(SETTING), setting)?;
    Ok(lock)
}
