//! How a command ends: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted.

use std::fmt::Display;
use std::process::ExitCode;

use cure_network::Ranks;

use crate::interrupt;

/// Why a command did not finish.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the user gave cannot be used; nothing was written.
    Input(String),
    /// The work itself failed.
    Failed(String),
    /// The user stopped it; what was said about going on.
    Interrupted(String),
}

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Says on which side an error lies.
pub(crate) trait Blame<T> {
    /// The user's input: exit code 2.
    fn input(self) -> Outcome<T>;
    /// The program or the machine: exit code 1.
    fn failed(self) -> Outcome<T>;
}

impl<T, E: Display> Blame<T> for Result<T, E> {
    fn input(self) -> Outcome<T> {
        self.map_err(|error| Failure::Input(error.to_string()))
    }

    fn failed(self) -> Outcome<T> {
        self.map_err(|error| Failure::Failed(error.to_string()))
    }
}

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

impl From<Code> for ExitCode {
    fn from(Code(code): Code) -> Self {
        Self::from(code)
    }
}

/// Prints what went wrong, and on which rank if not on the first, and gives the exit code.
pub(crate) fn report(outcome: Outcome, ranks: &Ranks) -> Code {
    let rank = match ranks.is_first() {
        true => String::new(),
        false => format!("rank {}: ", ranks.rank()),
    };
    match outcome {
        Ok(()) => Code(0),
        Err(Failure::Input(message)) => {
            eprintln!("error: {rank}{message}");
            Code(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {rank}{message}");
            Code(1)
        }
        Err(Failure::Interrupted(message)) => {
            if ranks.is_first() && !interrupt::is_spoken_for() {
                eprintln!("{message}");
            }
            Code(130)
        }
    }
}
