//! `cure demo`.
use crate::arguments::General;
use crate::failure::Outcome;
use clap::Args;
#[derive(Args, Debug)]
pub(crate) struct Options {}
pub(crate) fn run(_general: &General, _options: &Options) -> Outcome {
    Ok(())
}
