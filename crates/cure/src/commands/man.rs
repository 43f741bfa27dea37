//! `cure man`: manual pages, made from what `--help` says.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::arguments::Arguments;
use crate::failure::{Failure, Outcome};
use crate::output::print;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure man ~/.local/share/man/man1 && man cure-evaluate")]
pub(crate) struct Options {
    /// Where cure.1, cure-evaluate.1 and the others go; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let folder = &options.folder;
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::Input(format!("{}: {error}", folder.display())))?;
    let program = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(program, folder)
        .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
    print(&format!("manual pages are in {}\n", folder.display()))
}
