//! Progress on standard error; silent when that is not a terminal.

use std::ops::ControlFlow;

use cure_attacks::{Inside, Observer, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::interrupt;

/// A bar over `length` steps.
pub(crate) fn bar(length: u64, quiet: bool) -> ProgressBar {
    styled(length, quiet, "{prefix} {wide_bar} {pos}/{len} {msg} [{elapsed} < {eta}]")
}

/// A bar over `length` bytes.
pub(crate) fn bytes_bar(length: u64, quiet: bool) -> ProgressBar {
    let counts = "{decimal_bytes}/{decimal_total_bytes}";
    let speed = "{decimal_bytes_per_sec} [{elapsed} < {eta}]";
    styled(length, quiet, &format!("{{prefix}} {{wide_bar}} {counts} {speed}"))
}

fn styled(length: u64, quiet: bool, template: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Shows an evaluation, and stops it where the user asks to.
pub(crate) struct Watcher {
    bar: ProgressBar,
    stage: String,
    done: u64,
}

impl Watcher {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: bar(0, quiet), stage: String::new(), done: 0 }
    }
}

impl Observer for Watcher {
    fn progress(&mut self, progress: &Progress<'_>) -> ControlFlow<()> {
        self.done = progress.done as u64;
        if !self.bar.is_hidden() {
            self.stage = format!("{}, {} standing", progress.stage, progress.standing);
            self.bar.set_length(progress.total as u64);
            self.bar.set_position(self.done);
            self.bar.set_prefix(format!("{}/{}", progress.position + 1, progress.stages));
            self.bar.set_message(self.stage.clone());
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn inside(&mut self, inside: &Inside) -> ControlFlow<()> {
        if interrupt::asked() {
            return ControlFlow::Break(());
        }
        if self.bar.is_hidden() {
            return ControlFlow::Continue(());
        }
        let member = inside.member.as_ref().map(|member| {
            let (name, position, members) = (member.name, member.position + 1, member.members);
            format!("{name} {position}/{members}, {} of {} left; ", member.standing, inside.images)
        });
        let member = member.unwrap_or_default();
        self.bar.set_position(self.done + inside.done() as u64);
        self.bar.set_message(format!("{} ({member}{} forwards)", self.stage, inside.forward));
        ControlFlow::Continue(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
