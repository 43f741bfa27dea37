//! The `cure` command: parse, validate, run, write.

mod arguments;
mod commands;
mod failure;
mod interrupt;
mod output;
mod progress;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = arguments.general.prepare().and_then(|()| match &arguments.command {
        Command::Demo(options) => commands::demo::run(&arguments.general, options),
        Command::Data(options) => commands::data::run(options),
        Command::Train(options) => commands::train::run(&arguments.general, options),
        Command::Finetune(options) => commands::finetune::run(&arguments.general, options),
        Command::Evaluate(options) => commands::evaluate::run(&arguments.general, options),
        Command::Derivatives(options) => commands::derivatives::run(&arguments.general, options),
        Command::Convert(options) => commands::convert::run(&arguments.general, options),
        Command::Bench(options) => commands::bench::run(&arguments.general, options),
    });
    failure::report(outcome)
}
