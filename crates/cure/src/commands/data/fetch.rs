//! `cure data fetch`: published data, from where it was published or a mirror, into a folder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cure_data::{KNOWN_DATASETS, Split};
use cure_fetch::{FetchError, Observer, Patience, SOURCES, Source};
use indicatif::ProgressBar;

use crate::arguments::{General, load_data};
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::output::print;
use crate::progress::bytes_bar;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cure data fetch cifar10
  cure data fetch svhn --out /data/svhn
  cure data fetch cifar100 --from https://mirror.example/cifar

What a mirror gives must be the published files, by length and MD5. After Ctrl-C, or where the
connection breaks for good, the same command goes on from what is there. HTTPS_PROXY, HTTP_PROXY
and NO_PROXY are heeded.")]
pub(crate) struct Options {
    /// What to fetch: cifar10, cifar100 or svhn.
    name: String,
    /// The folder it comes into [default: data/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A mirror: the address of a folder with the published files, or of the only file.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// How long to wait for a connection, and for the next bytes.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Tries in a row that may bring nothing before the server is given up.
    #[arg(long, value_name = "N", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let name = options.name.as_str();
    let Some(source) = SOURCES.iter().find(|source| source.name == name) else {
        let names = SOURCES.map(|source| source.name).join(", ");
        let message = format!("`{name}` is nothing that can be fetched; what can be is {names}");
        return Err(Failure::Input(message));
    };
    let folder = options.out.clone().unwrap_or_else(|| Path::new("data").join(name));
    let Some(place) = folder.to_str() else {
        let message = format!("{folder:?} could not be named after --data; choose another folder");
        return Err(Failure::Input(message));
    };
    let written = format!("{name}:{place}");
    interrupt::listen()?;
    let wait = Duration::from_secs(options.timeout);
    let patience =
        Patience { connect: wait, read: wait, tries: options.tries, ..Patience::default() };
    let mut watcher = Watcher { bar: ProgressBar::hidden(), quiet: general.quiet };
    let fetched =
        cure_fetch::fetch(source, &folder, options.from.as_deref(), &patience, &mut watcher);
    drop(watcher);
    let brought = fetched.map_err(|error| match error {
        FetchError::Interrupted { .. } => Failure::Interrupted(error.to_string()),
        error if error.is_input() => Failure::Input(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    let found = check(source, &written)?;
    let state = if brought { "is" } else { "was already" };
    let quote = if written.contains(char::is_whitespace) { "'" } else { "" };
    print(&format!(
        "{name} {state} in {place}{found}; name it with\n--data {quote}{written}{quote}\n"
    ))
}

/// Reads what was fetched as any command would, where this program has a reader for it, and tells
/// how much it is.
fn check(source: &Source<'_>, written: &str) -> Outcome<String> {
    if KNOWN_DATASETS.iter().all(|known| known.name != source.name) {
        return Ok(String::new());
    }
    let count = |split| load_data(written, split).map(|data| data.len());
    let (train, test) = (count(Split::Train)?, count(Split::Test)?);
    Ok(format!(", {train} training and {test} test images"))
}

/// Shows how far it is, and stops where the user asks to.
struct Watcher {
    bar: ProgressBar,
    quiet: bool,
}

impl Observer for Watcher {
    fn begin(&mut self, what: &str, done: u64, size: u64) {
        self.bar.finish_and_clear();
        self.bar = bytes_bar(size, self.quiet).with_prefix(what.to_owned());
        self.bar.set_position(done);
        // Otherwise what an earlier call brought would count as this one's speed.
        self.bar.reset_eta();
    }

    fn progress(&mut self, done: u64) -> ControlFlow<()> {
        self.bar.set_position(done);
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn remark(&mut self, text: &str) {
        self.bar.suspend(|| tracing::warn!("{text}"));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
