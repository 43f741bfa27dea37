//! `cure bench`: speed and memory beside PyTorch and the libraries on top of it, in one run.

mod agreement;
mod document;
mod floors;
mod job;
mod measure;
mod plan;
mod prepare;
mod process;
mod profile;
mod rounds;
mod rows;
mod statistics;
mod tables;

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::{DataSpec, DatasetKind, Split};
use cure_network::Architecture;

use crate::arguments::{General, load_data};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::machine;
use crate::output::{check_outputs, print, write_json};
use crate::progress;
use document::Report;
use plan::{Ground, Pair};
use prepare::Scratch;
use process::Python;
use rounds::Results;

/// Networks with their batches, where none are named.
const PAIRS: [&str; 3] = ["resnet20:128", "resnet18:64", "wrn-28-10:8"];
/// More rounds or repeats than anyone waits for.
const MOST: usize = 100_000;

#[derive(Args, Debug)]
#[command(after_help = "\
Everything, beside PyTorch, on an otherwise idle machine (from the repository's root):
  cure bench --against python3 --data cifar10:DIR \\
      --network resnet20=FILE --normalize resnet20=imagenet --network resnet18=FILE \\
      --out docs/benchmarks.md --json benchmarks.json
One row of ours alone, in seconds:
  cure bench --rows cure-step --models resnet20:32 --rounds 1

Every measurement is a process of its own. The first round measures ours and every form of the
rival's, later ones ours and the two fastest forms in turn; files are written after each round. Rows:
forward, input-gradient, standard-step, cure-step, cure-step-frozen, pgd-20, deepfool,
profile, exact-profile, data-loading, model-loading, first-image, help; and of ours and the
machine: threads, batch, floors, agreement.")]
pub(crate) struct Options {
    /// Only these rows.
    #[arg(long, value_name = "ROW,…", value_delimiter = ',')]
    rows: Vec<String>,
    /// Networks and batches, as resnet18:64 [default: resnet20:128, resnet18:64, wrn-28-10:8].
    #[arg(long, value_name = "MODEL:BATCH,…", value_delimiter = ',')]
    models: Vec<String>,
    /// The weights of a network, as resnet18=net.pt; random ones where none are given. May be
    /// given several times.
    #[arg(long, value_name = "MODEL=FILE", help_heading = "Network")]
    network: Vec<String>,
    /// What is done to pixels first, as resnet20=imagenet [default: none for weights from a file].
    #[arg(long, value_name = "MODEL=HOW", help_heading = "Network")]
    normalize: Vec<String>,
    /// The images: cifar10:DIR; a fixed pattern where none are given.
    #[arg(long, value_name = "NAME:PLACE", help_heading = "Data")]
    data: Option<String>,
    /// A Python with PyTorch (benchmarks/requirements.txt), to measure the rivals with.
    #[arg(long, value_name = "PYTHON")]
    against: Option<PathBuf>,
    /// The rivals' script.
    #[arg(long, value_name = "FILE", default_value = "benchmarks/pytorch.py")]
    script: PathBuf,
    /// Rounds; the ratios' spread is over them.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Steps measured in each process, after one that warms up; attacks and networks of more than
    /// 2·10⁹ multiply-adds take half of them.
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeats: usize,
    /// Write the tables with what they mean here, as Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write every single time here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure one thing and print it (used by the program itself).
    #[arg(long, hide = true)]
    job: Option<String>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    if let Some(job) = &options.job {
        return print(&(measure::answer(job)? + "\n"));
    }
    if general.vectors != "widest" {
        return Err(Failure::Input("--vectors is not passed on to what bench measures".into()));
    }
    for (name, value) in [("rounds", options.rounds), ("repeats", options.repeats)] {
        if !(1..=MOST).contains(&value) {
            return Err(Failure::Input(format!("--{name} is {value}; accepted is 1 to {MOST}")));
        }
    }
    let rows = rows::chosen(&options.rows)?;
    let pairs = pairs(&options.models)?;
    let weights = named(&options.network, "network", "resnet18=net.pt", &pairs)?;
    let normalizations = named(&options.normalize, "normalize", "resnet20=imagenet", &pairs)?;
    let folder = options.data.as_deref().map(folder_of).transpose()?;
    let inputs: Vec<&Path> =
        weights.iter().map(|(_, file)| Path::new(*file)).chain(folder.as_deref()).collect();
    let outputs: Vec<&Path> =
        [&options.out, &options.json].into_iter().flatten().map(PathBuf::as_path).collect();
    check_outputs(&outputs, &inputs)?;
    let data = options.data.as_deref().map(|text| load_data(text, Split::Test)).transpose()?;
    let python = options.against.as_deref().map(|program| rival(program, options)).transpose()?;
    let versions = python.as_ref().map(Python::versions).transpose()?;
    let machine = machine::describe();
    interrupt::listen()?;
    let scratch = Scratch::new()?;
    let subjects = pairs
        .iter()
        .map(|Pair { model, .. }| {
            let of = |list: &[(&str, &str)]| {
                list.iter().find(|(name, _)| name == model).map(|(_, value)| (*value).to_owned())
            };
            let checkpoint = of(&weights).map(PathBuf::from);
            prepare::subject(&scratch, model, checkpoint, of(&normalizations).as_deref())
        })
        .collect::<Outcome<Vec<_>>>()?;
    let ground = Ground {
        rows: &rows,
        pairs: &pairs,
        subjects: &subjects,
        data: data.as_ref(),
        folder: folder.as_deref(),
        scratch: &scratch,
        rival: versions.as_ref(),
        threads: rayon::current_num_threads(),
        repeats: options.repeats,
    };
    let mut results = Results::new(ground.races()?);

    let bar = progress::bar(0, general.quiet);
    let agreements = match &python {
        Some(python) if ground.has("agreement") => agreement::compare(&ground, python)?,
        _ => Vec::new(),
    };
    for _ in 0..options.rounds {
        results.round(&ground, python.as_ref(), &bar)?;
        let report = Report::new(&ground, &results, &agreements, &machine, options.rounds);
        if let Some(path) = &options.out {
            cure_report::write_atomically(path, report.to_markdown().as_bytes()).failed()?;
        }
        if let Some(path) = &options.json {
            write_json(path, &report.to_json())?;
        }
    }
    bar.finish_and_clear();
    print(&Report::new(&ground, &results, &agreements, &machine, options.rounds).to_text())
}

fn pairs(texts: &[String]) -> Outcome<Vec<Pair>> {
    let pairs: Vec<Pair> = match texts {
        [] => PAIRS.iter().map(|text| Pair::parse(text)).collect::<Outcome<_>>()?,
        texts => texts.iter().map(|text| Pair::parse(text)).collect::<Outcome<_>>()?,
    };
    for (at, pair) in pairs.iter().enumerate() {
        Architecture::named(&pair.model, prepare::CLASSES, prepare::SHAPE).input()?;
        if pairs[..at].iter().any(|other| other.model == pair.model) {
            return Err(Failure::Input(format!("--models has {} twice", pair.model)));
        }
    }
    Ok(pairs)
}

/// Options of the form MODEL=VALUE. Models that are not measured are left alone, so that one command
/// line serves every choice of `--models`.
fn named<'a>(
    texts: &'a [String],
    option: &str,
    example: &str,
    pairs: &[Pair],
) -> Outcome<Vec<(&'a str, &'a str)>> {
    let mut found: Vec<(&str, &str)> = Vec::with_capacity(texts.len());
    for text in texts {
        let (model, value) = match text.split_once('=') {
            Some((model, value)) if !model.is_empty() && !value.is_empty() => (model, value),
            _ => {
                return Err(Failure::Input(format!(
                    "--{option} `{text}`: write MODEL=…, as {example}"
                )));
            }
        };
        Architecture::named(model, prepare::CLASSES, prepare::SHAPE).input()?;
        if found.iter().any(|(other, _)| *other == model) {
            return Err(Failure::Input(format!("--{option} names {model} twice")));
        }
        found.push((model, value));
    }
    found.retain(|(model, _)| pairs.iter().any(|pair| pair.model == *model));
    Ok(found)
}

fn folder_of(text: &str) -> Outcome<PathBuf> {
    let spec: DataSpec = text.parse().input()?;
    match (spec.kind(), spec.place()) {
        (DatasetKind::Cifar10, Some(place)) => Ok(place.to_owned()),
        _ => Err(Failure::Input(format!("--data `{text}`: the benchmark takes cifar10:DIR"))),
    }
}

fn rival(program: &Path, options: &Options) -> Outcome<Python> {
    if !options.script.is_file() {
        return Err(Failure::Input(format!(
            "{} is not here; name the rivals' script with --script",
            options.script.display()
        )));
    }
    Ok(Python { program: program.to_owned(), script: options.script.clone() })
}
