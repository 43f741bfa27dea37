//! `cure demo`.
use clap::Args;
use crate::arguments::General;
use crate::failure::Outcome;
#[derive(Args, Debug)]
pub(crate) struct Options {}
pub(crate) fn run(_general: &General, _options: &Options) -> Outcome { Ok(()) }
