//! `cure recipes`: the configurations that the program holds.

use clap::{Args, Subcommand};
use cure_report::{Cell, Table};

use crate::failure::Outcome;
use crate::output::print;
use crate::recipes::{RECIPES, find};

#[derive(Args, Debug)]
#[command(after_help = "\
  cure finetune --config cifar10-resnet20-cure --weights net.pt --data cifar10:DIR --out runs/cure
  cure recipes show cifar10-resnet20-cure > my.toml      and then --config my.toml

Flags override what a recipe says.")]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The recipes by name.
    List,
    /// A recipe as it is, TOML with its reasons in comments.
    Show {
        /// The recipe's name.
        name: String,
    },
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.command {
        Command::List => print(&list()?),
        Command::Show { name } => print(find(name)?.text),
    }
}

fn list() -> Outcome<String> {
    let mut table =
        Table::new("Recipes for cure finetune --config", ["recipe", "objective", "what it is"]);
    for recipe in RECIPES {
        let objective = recipe.configuration()?.training.objective.name();
        table = table.row([recipe.name, objective, recipe.title()].map(Cell::from));
    }
    Ok(table.to_text())
}
