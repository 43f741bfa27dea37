//! Runs as tables.

use cure_report::{Cell, Table};
use cure_training::{Session, SessionState};

use super::folder::{ATTACKED, CLEAN, Measured, Run};

/// What the accuracies in the tables are of.
pub(super) const ACCURACIES: &str = "\
Accuracies are of the chosen epoch (of the last one where none is chosen) on the validation images;
seconds are means over the epochs, validation included.
";
/// Digits of a checksum or commit that are shown.
const SHORT: usize = 12;

/// A state as it is read.
pub(super) fn state(run: &Run) -> &'static str {
    match run.state {
        SessionState::Running => "running",
        SessionState::Finished => "finished",
        SessionState::Interrupted => "interrupted",
        SessionState::Failed => "failed",
    }
}

fn text(value: Option<&str>) -> Cell {
    value.filter(|value| !value.is_empty()).map_or(Cell::Missing, Cell::from)
}

fn count(value: Option<usize>) -> Cell {
    value.map_or(Cell::Missing, Cell::from)
}

fn epochs(run: &Run) -> Cell {
    let (done, all) = run.epochs();
    Cell::from(format!("{done}/{all}"))
}

fn seconds(run: &Run) -> Cell {
    let value = run.seconds_an_epoch();
    value.map_or(Cell::Missing, |value| Cell::Number(value, if value < 10.0 { 1 } else { 0 }))
}

/// What is below a folder.
pub(super) fn list(runs: &[Run]) -> Table {
    let columns = [
        "run",
        "objective",
        "network",
        "epochs",
        "state",
        "chosen",
        "valid",
        "attacked",
        "s/epoch",
        "attack",
    ];
    let percent = |measured: Option<Measured>| {
        measured.map_or(Cell::Missing, |measured| Cell::Percent(measured.accuracy, 1))
    };
    runs.iter().fold(Table::new("", columns), |table, run| {
        table.row([
            Cell::from(run.name.as_str()),
            Cell::from(run.objective()),
            text(run.network()),
            epochs(run),
            Cell::from(state(run)),
            count(run.chosen),
            percent(run.measured(CLEAN)),
            percent(run.measured(ATTACKED)),
            seconds(run),
            text(run.attack()),
        ])
    })
}

/// What runs came to, and at what cost.
pub(super) fn results(runs: &[Run]) -> Table {
    let columns = [
        "run",
        "objective",
        "network",
        "seed",
        "epochs",
        "state",
        "chosen",
        "valid, %",
        "attacked, %",
        "s/epoch",
        "s in all",
    ];
    runs.iter().fold(
        Table::new("What the runs came to, and what they took", columns),
        |table, run| {
            table.row([
                Cell::from(run.name.as_str()),
                Cell::from(run.objective()),
                text(run.network()),
                Cell::from(run.seed()),
                epochs(run),
                Cell::from(state(run)),
                count(run.chosen),
                with_interval(run.measured(CLEAN)),
                with_interval(run.measured(ATTACKED)),
                seconds(run),
                Cell::Number(run.seconds(), 0),
            ])
        },
    )
}

/// What a step costs, whatever the machine.
pub(super) fn passes(runs: &[Run]) -> Table {
    let caption = "Passes of a step, each an evaluation, a pull back or a weight gradient of the whole \
                   network on the batch: with the objective's defaults, and in general";
    runs.iter().fold(Table::new(caption, ["run", "objective", "passes"]), |table, run| {
        table.row([Cell::from(run.name.as_str()), Cell::from(run.objective()), text(run.passes())])
    })
}

/// As `74.8 (72.0–77.4)`.
fn with_interval(measured: Option<Measured>) -> Cell {
    let Some(measured) = measured else { return Cell::Missing };
    let accuracy = format!("{:.1}", 100.0 * measured.accuracy);
    Cell::from(match measured.interval() {
        Some([low, high]) => format!("{accuracy} ({:.1}–{:.1})", 100.0 * low, 100.0 * high),
        None => accuracy,
    })
}

/// By what, from what and when runs were made.
pub(super) fn origins(runs: &[Run]) -> Table {
    let columns = [
        "run",
        "program",
        "machine",
        "threads",
        "data",
        "data's SHA-256",
        "start's SHA-256",
        "sessions",
        "began",
        "ended",
    ];
    let caption = "What the runs were made by and from (the last session's program and machine)";
    runs.iter().fold(Table::new(caption, columns), |table, run| {
        let last = run.last_session();
        let short = |value: &str| value.chars().take(SHORT).collect::<String>();
        let of = |field: fn(&Session) -> &str| text(last.map(field));
        let first = run.record.sessions.first();
        table.row([
            Cell::from(run.name.as_str()),
            of(|session| &session.code),
            of(|session| &session.machine),
            count(last.map(|session| session.threads)),
            of(|session| &session.data),
            text(last.map(|session| short(&session.data_sha256)).as_deref()),
            text(last.and_then(|session| session.weights_sha256.as_deref()).map(short).as_deref()),
            Cell::from(run.record.sessions.len()),
            text(first.map(|session| session.started.as_str())),
            text(last.and_then(|session| session.ended.as_deref())),
        ])
    })
}
