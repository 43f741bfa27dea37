//! `cure objectives list`.

use clap::{Args, Subcommand};
use cure_report::{Cell, Table};
use cure_training::objectives;

use super::attacks::{parameters, section};
use crate::failure::{Failure, Outcome};
use crate::output::print;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// What can be minimised, or the parameters of one objective.
    List {
        /// An objective, to see its parameters; all objectives where it is not given.
        name: Option<String>,
        /// As Markdown, with all parameters: how docs/objectives.md is made.
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.command {
        Command::List { markdown: true, .. } => print(&markdown()),
        Command::List { name: None, .. } => print(&list()),
        Command::List { name: Some(name), .. } => print(&describe(name)?),
    }
}

fn list() -> String {
    let columns = ["objective", "what it is", "passes a step", "source"];
    let table = objectives().iter().fold(Table::new("Objectives", columns), |table, entry| {
        table.row([entry.name, entry.title, entry.passes, entry.reference].map(Cell::from))
    });
    table.to_text()
        + "A pass is one evaluation, pull back or weight gradient of the network on the batch.\n\
           cure objectives list NAME shows an objective's parameters.\n"
}

fn describe(name: &str) -> Outcome<String> {
    let Some(entry) = objectives().iter().find(|entry| entry.name == name) else {
        let known: Vec<&str> = objectives().iter().map(|entry| entry.name).collect();
        let known = known.join(", ");
        return Err(Failure::Input(format!("unknown objective `{name}`; known are {known}")));
    };
    let title = format!("{}: {} ({})", entry.name, entry.title, entry.reference);
    Ok(parameters(title, entry.parameters) + &format!("passes a step: {}\n", entry.passes))
}

fn markdown() -> String {
    let mut text =
        String::from("| objective | what it is | passes a step | source |\n|---|---|---|---|\n");
    for entry in objectives() {
        let (name, title, passes) = (entry.name, entry.title, entry.passes);
        text.push_str(&format!("| `{name}` | {title} | {passes} | {} |\n", entry.reference));
    }
    for entry in objectives() {
        text.push_str(&section(entry.name, entry.title, entry.parameters));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_holds_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/objectives.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.ends_with(&markdown()), "run `cure objectives list --markdown`");
    }
}
