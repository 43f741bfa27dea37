//! `cure data list`, `cure data info` and `cure data fetch`.

mod fetch;

use clap::{Args, Subcommand};
use cure_data::{DatasetInfo, KNOWN_DATASETS, PublishedChecksum, Split};
use cure_report::{Cell, Table};

use crate::arguments::{DataArguments, General};
use crate::failure::{Blame, Outcome};
use crate::output::print;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure data fetch cifar10 --out data/cifar10
  cure data info cifar10:data/cifar10
  cure data info folder:photos --split all --json")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The data that can be named.
    List,
    /// Counts per class, mean, deviation and checksum of a dataset.
    Info {
        /// The data, as NAME[:PLACE].
        data: String,
        /// Which part: train, test or all; both train and test where it is not given.
        #[arg(long, value_name = "SPLIT")]
        split: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download published data into a folder; a download that was cut goes on.
    Fetch(fetch::Options),
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    match &options.command {
        Command::List => list(),
        Command::Info { data, split, json } => info(data, split.as_deref(), *json),
        Command::Fetch(options) => fetch::run(general, options),
    }
}

fn list() -> Outcome {
    let table = KNOWN_DATASETS.iter().fold(
        Table::new("Data that can be named", ["write", "what it is", "where it comes from"]),
        |table, known| table.row([known.usage, known.description, known.source].map(Cell::from)),
    );
    print(&table.to_text())
}

fn info(data: &str, split: Option<&str>, json: bool) -> Outcome {
    let splits = match split {
        Some(split) => vec![split.to_owned()],
        None => [Split::Train, Split::Test].map(|split| split.to_string()).to_vec(),
    };
    let mut infos: Vec<DatasetInfo> = Vec::new();
    for split in splits {
        let arguments = DataArguments { data: data.to_owned(), split, limit: None, indices: None };
        let info = arguments.load()?.info();
        // Data with one set gives it for every split; once is enough.
        if infos.iter().all(|seen| seen.sha256 != info.sha256) {
            infos.push(info);
        }
    }
    if json {
        return print(&(serde_json::to_string_pretty(&infos).failed()? + "\n"));
    }
    infos.iter().map(describe).try_for_each(|text| print(&text))
}

fn describe(info: &DatasetInfo) -> String {
    let [channels, height, width] = info.shape;
    let numbers = |values: &[f64]| {
        values.iter().map(|value| format!("{value:.6}")).collect::<Vec<_>>().join(", ")
    };
    let published = match &info.published {
        PublishedChecksum::Matched => "equal to the published ones".to_owned(),
        PublishedChecksum::Mismatched { files } => {
            format!("DIFFERENT from the published ones: {}", files.join(", "))
        }
        PublishedChecksum::NotPublished => "none published".to_owned(),
    };
    let classes = info.classes.iter().fold(Table::new("", ["class", "images"]), |table, class| {
        table.row([Cell::from(class.name.as_str()), Cell::from(class.count)])
    });
    format!(
        "{} {}: {} images, {channels} × {height} × {width}, pixels in [0, 1], {}\n\
         mean    {}\nstd     {}\nsha256  {}\nmd5     {published}\n{}\n",
        info.name,
        info.split,
        info.n,
        info.layout,
        numbers(&info.mean),
        numbers(&info.std),
        info.sha256,
        classes.to_text(),
    )
}
