//! `cure completions`: what a shell needs to complete command lines.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::failure::Outcome;
use crate::output::print;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure completions bash > ~/.local/share/bash-completion/completions/cure
  cure completions zsh > ~/.zfunc/_cure
  cure completions fish > ~/.config/fish/completions/cure.fish")]
pub(crate) struct Options {
    /// For which shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "cure", &mut script);
    print(&String::from_utf8_lossy(&script))
}
