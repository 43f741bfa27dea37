//! What a training run shows while it goes, and at its end.

use std::path::Path;

use cure_report::{Cell, Table};
use cure_training::{Control, EpochRow, Event, Finished};
use indicatif::ProgressBar;

use crate::interrupt;

fn percent(value: Option<f64>) -> Cell {
    value.map_or(Cell::Missing, |value| Cell::Percent(value, 1))
}

/// The rows of a run.
fn table(rows: &[EpochRow]) -> Table {
    let columns = [
        "epoch",
        "loss",
        "L_r",
        "train",
        "valid",
        "valid attacked",
        "h",
        "γ",
        "rate",
        "images",
        "s",
    ];
    rows.iter().fold(Table::new("", columns), |table, row| {
        table.row([
            Cell::from(row.epoch),
            Cell::Number(row.loss, 4),
            Cell::Number(row.regularizer, 4),
            Cell::Percent(row.train_accuracy, 1),
            percent(row.validation_accuracy),
            percent(row.validation_robust_accuracy),
            Cell::Number(row.h, 3),
            Cell::Number(row.gamma, 2),
            Cell::from(format!("{:.1e}", row.learning_rate)),
            Cell::from(row.images_seen),
            Cell::Number(row.seconds, 0),
        ])
    })
}

/// What a run came to.
pub(super) fn summary(finished: &Finished, folder: &Path, averaged: bool) -> String {
    let attack = finished.rows.iter().find_map(|row| row.validation_attack.clone());
    let attack = attack.map(|attack| format!("valid attacked is {attack}\n")).unwrap_or_default();
    let ended = match finished.ended {
        Some(ending) => format!("ended early: {ending}\n"),
        None => String::new(),
    };
    let averaged = if averaged { ", the average's" } else { "" };
    format!(
        "{}{attack}{ended}chosen: epoch {}{averaged}; weights in {}\n",
        table(&finished.rows).to_text(),
        finished.chosen_epoch,
        folder.join("weights.safetensors").display(),
    )
}

/// Draws a run's progress and hears Ctrl-C.
pub(super) struct Watcher {
    pub(super) bar: ProgressBar,
    pub(super) quiet: bool,
    /// Whether warnings come from here: they do from the first rank, even if it is quiet.
    pub(super) speaks: bool,
}

impl Watcher {
    /// Above the bar where there is one, plainly where there is none.
    fn say(&self, line: String) {
        if self.bar.is_hidden() { eprintln!("{line}") } else { self.bar.println(line) }
    }

    pub(super) fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::EpochStarted { epoch, epochs, done, batches } => {
                self.bar.reset();
                self.bar.set_length(*batches as u64);
                self.bar.set_position(*done as u64);
                self.bar.set_prefix(format!("epoch {epoch}/{epochs}"));
            }
            Event::Step { batch, loss, regularizer, accuracy, .. } => {
                self.bar.set_position(*batch as u64);
                self.bar.set_message(format!(
                    "loss {loss:.3}, L_r {regularizer:.3}, {:.0} %",
                    100.0 * accuracy
                ));
            }
            Event::Validation { done, total, .. } => {
                self.bar.set_message(format!("validation {done}/{total}"));
            }
            Event::EpochEnded { row, chosen } if !self.quiet => {
                let percent = |value: Option<f64>| match value {
                    Some(value) => format!("{:.1} %", 100.0 * value),
                    None => "–".into(),
                };
                let line = format!(
                    "epoch {}: loss {:.4}, L_r {:.4}, train {:.1} %, valid {}, attacked {}, h {:.3}, {:.0} s{}",
                    row.epoch,
                    row.loss,
                    row.regularizer,
                    100.0 * row.train_accuracy,
                    percent(row.validation_accuracy),
                    percent(row.validation_robust_accuracy),
                    row.h,
                    row.seconds,
                    if *chosen { ", chosen so far" } else { "" },
                );
                self.say(line);
            }
            Event::Curvature { done, total, .. } => {
                self.bar.set_message(format!("curvature {done}/{total}"));
            }
            Event::Overfitting(overfitting) if self.speaks => {
                self.say(format!("warning: {overfitting}"));
            }
            Event::Warning(sentence) if self.speaks => self.say(format!("warning: {sentence}")),
            _ => {}
        }
        if interrupt::asked() { Control::Stop } else { Control::Continue }
    }
}
