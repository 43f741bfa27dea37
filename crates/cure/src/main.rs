//! The `cure` command: parse, validate, run, write.

mod arguments;
mod commands;
mod failure;
mod interrupt;
mod job;
mod journal;
mod machine;
mod measured;
mod memory;
mod output;
mod paired;
mod progress;
mod recipes;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use clap::error::ErrorKind;
use cure_network::Ranks;
use failure::{Failure, Outcome};
use job::Job;

#[global_allocator]
static MEMORY: memory::LargePages = memory::LargePages;

fn main() -> ExitCode {
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let job = match Job::join() {
        Ok(job) => job,
        Err(failure) => return failure::report(Err(failure), &Ranks::alone()).into(),
    };
    arguments.general.join(&job);
    let ranks = arguments.general.ranks.clone();
    // On a thread of the pool, to which it hands work more cheaply than the main thread could.
    let outcome = arguments.prepare().and_then(|()| rayon::scope(|_| run(&arguments)));
    let interrupted = matches!(outcome, Err(Failure::Interrupted(_)));
    let failed = outcome.is_err() && !interrupted;
    let code = failure::report(outcome, &ranks);
    // Interruptions are agreed on; of anything else the other ranks know nothing.
    if failed {
        job.abort(code.0);
    }
    code.into()
}

fn run(arguments: &Arguments) -> Outcome {
    let general = &arguments.general;
    match &arguments.command {
        Command::Audit(options) => commands::audit::run(general, options),
        Command::Reproduce(options) => commands::reproduce::run(general, options),
        Command::Demo(options) => commands::demo::run(general, options),
        Command::Data(options) => commands::data::run(general, options),
        Command::Train(options) => commands::train::run(general, options),
        Command::Finetune(options) => commands::finetune::run(general, options),
        Command::Recipes(options) => commands::recipes::run(options),
        Command::Runs(options) => commands::runs::run(options),
        Command::Evaluate(options) => commands::evaluate::run(general, options),
        Command::Attacks(options) => commands::attacks::run(options),
        Command::Objectives(options) => commands::objectives::run(options),
        Command::Curve(options) => commands::curve::run(general, options),
        Command::Geometry(options) => commands::geometry::run(general, options),
        Command::Masking(options) => commands::masking::run(general, options),
        Command::Derivatives(options) => commands::derivatives::run(general, options),
        Command::Convert(options) => commands::convert::run(general, options),
        Command::Selftest(options) => commands::selftest::run(general, options),
        Command::Completions(options) => commands::completions::run(options),
        Command::Man(options) => commands::man::run(options),
        Command::Bench(options) => commands::bench::run(general, options),
    }
}

/// Answers a command line that is no command: help and version as they are, anything else as one
/// sentence instead of the parser's paragraph.
fn refuse(error: &clap::Error) -> ExitCode {
    let shows_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || shows_help {
        error.exit();
    }
    let text = error.render().to_string();
    let ends =
        |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines = text.lines().map(str::trim).take_while(ends);
    let sentence: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    eprintln!("{} (see --help)", sentence.join(" "));
    ExitCode::from(2)
}
