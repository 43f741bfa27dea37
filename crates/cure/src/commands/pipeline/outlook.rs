//! `--plan`: what would be done, and about how long it takes.

use cure_report::{Cell, Table};

use super::Plan;
use super::ledger::{Ledger, State};

pub(in crate::commands) fn describe(plan: &Plan, ledger: &Ledger<'_>, machine: &str) -> String {
    let states = ledger.states(plan);
    let mut table = Table::new("", ["step", "what it does", "about", ""]);
    let (mut open, mut minutes) = (0, 0.0);
    for (step, state) in plan.steps.iter().zip(&states) {
        if *state != State::Done {
            open += 1;
            minutes += step.minutes;
        }
        let row = [step.id.as_str(), step.title.as_str(), &time(step.minutes), state.word()];
        table = table.row(row.map(Cell::from));
    }
    let again = match states.contains(&State::Stale) {
        true => {
            "What is to be done again was made with another command or other inputs, or from a step that is to do; it \
             stays done where that step ends in the same bytes.\n"
        }
        false => "",
    };
    format!(
        "{}\n{} steps, {open} to do: about {} of {} {machine}\n{again}",
        table.to_text(),
        plan.steps.len(),
        time(minutes),
        time(plan.minutes()),
    )
}

fn time(minutes: f64) -> String {
    match minutes {
        m if m < 1.0 => format!("{:.0} s", (60.0 * m).ceil()),
        m if m < 90.0 => format!("{m:.0} min"),
        m => format!("{:.1} h", m / 60.0),
    }
}
