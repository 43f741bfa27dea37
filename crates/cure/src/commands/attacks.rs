//! `cure attacks list`.

use clap::{Args, Subcommand};
use cure_attacks::{Entry, Parameter, attacks};
use cure_report::{Cell, Table};

use crate::failure::{Failure, Outcome};
use crate::output::print;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The attacks that can be named, or the parameters of one.
    List {
        /// An attack, to see its parameters; all attacks where it is not given.
        name: Option<String>,
        /// As Markdown, with all parameters: how docs/attacks.md is made.
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.command {
        Command::List { markdown: true, .. } => print(&markdown()),
        Command::List { name: None, .. } => print(&list()),
        Command::List { name: Some(name), .. } => {
            let Some(entry) = attacks().iter().find(|entry| entry.name == name) else {
                let known: Vec<&str> = attacks().iter().map(|entry| entry.name).collect();
                let known = known.join(", ");
                return Err(Failure::Input(format!("unknown attack `{name}`; known are {known}")));
            };
            print(&describe(entry))
        }
    }
}

fn norms(entry: &Entry) -> String {
    entry.norms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list() -> String {
    let columns = ["attack", "what it is", "needs", "kind", "norms", "source"];
    let table = attacks().iter().fold(Table::new("Attacks", columns), |table, entry| {
        table.row([
            Cell::from(entry.name),
            Cell::from(entry.title),
            Cell::from(entry.knowledge.to_string()),
            Cell::from(entry.kind.to_string()),
            Cell::from(norms(entry)),
            Cell::from(entry.reference),
        ])
    });
    table.to_text()
        + "A budget attack looks within ε, a minimal one for the nearest misclassified image.\n\
           cure attacks list NAME shows an attack's parameters.\n"
}

fn describe(entry: &Entry) -> String {
    let title = format!("{}: {} ({})", entry.name, entry.title, entry.reference);
    parameters(title, entry.parameters) + &format!("cost an image: {}\n", entry.cost)
}

/// A table of parameters.
pub(crate) fn parameters(title: String, parameters: &[Parameter]) -> String {
    let columns = ["parameter", "default", "meaning"];
    let table = parameters.iter().fold(Table::new(title, columns), |table, parameter| {
        table.row([parameter.name, parameter.default, parameter.meaning].map(Cell::from))
    });
    table.to_text()
}

/// A section of a page with the parameters of `name`.
pub(crate) fn section(name: &str, title: &str, parameters: &[Parameter]) -> String {
    let mut text =
        format!("\n## `{name}`: {title}\n\n| parameter | default | meaning |\n|---|---|---|\n");
    for Parameter { name, default, meaning } in parameters {
        text.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
    }
    text
}

fn markdown() -> String {
    let mut text = String::from(
        "| attack | what it is | needs | kind | norms | cost an image | source |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for entry in attacks() {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            entry.name,
            entry.title,
            entry.knowledge,
            entry.kind,
            norms(entry),
            entry.cost,
            entry.reference,
        ));
    }
    for entry in attacks() {
        text.push_str(&section(entry.name, entry.title, entry.parameters));
    }
    text
}
