//! Figs. 10 and 14: curvature and robustness while CURE trains.

use cure_report::plot::{LinePlot, PanelFigure, Series};
use cure_report::{Cell, Table};
use cure_training::EpochRow;

use super::{Part, Results, lacks};
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::plan::{Plan, file};
use crate::commands::reproduce::scale::{Role, Setting, Subject};
use crate::failure::{Blame, Outcome};
use crate::measured::short;

fn plan(setting: &Setting, plan: &mut Plan, subject: Subject) -> Vec<String> {
    vec![plan.network(setting, subject, setting.architectures(subject)[0], Role::Cure)]
}

pub(super) fn plan_ten(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Cifar10)
}

pub(super) fn plan_fourteen(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Svhn)
}

pub(super) fn read_ten(results: &Results<'_>) -> Outcome<Part> {
    read(results)
}

pub(super) fn read_fourteen(results: &Results<'_>) -> Outcome<Part> {
    read(results)
}

fn read(results: &Results<'_>) -> Outcome<Part> {
    let Some(step) = results.steps.first() else { return Ok(Part::default()) };
    let text = std::fs::read_to_string(results.out.join(file(step, "metrics.jsonl"))).failed()?;
    let rows: Vec<EpochRow> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let attack = rows.iter().find_map(|row| row.validation_attack.clone()).unwrap_or_default();
    let over = |value: fn(&EpochRow) -> Option<f64>| -> Vec<(f64, f64)> {
        rows.iter().filter_map(|row| Some((row.epoch as f64, value(row)?))).collect()
    };
    let frobenius = over(|row| Some(row.curvature.as_ref()?.frobenius));
    let along = over(|row| Some(row.curvature.as_ref()?.gradient_sign));
    let robust = over(|row| row.validation_robust_accuracy);
    let mut panels = PanelFigure::new("CURE fine-tuning, epoch by epoch", 2).caption(format!(
        "‖H‖_F from random directions; ‖Hz‖ along the gradient's signs, both over pixels in [0, 1] on a fixed \
         sample of training images; accuracy of validation images under {attack}."
    ));
    for (title, points, is_share) in [
        ("‖H‖_F", &frobenius, false),
        ("‖Hz‖", &along, false),
        ("accuracy under attack", &robust, true),
    ] {
        let mut plot = LinePlot::new("", "epoch", "");
        plot = if is_share { plot.percent_y() } else { plot.log_y() };
        let figure = plot.series(Series::new(title, points.iter().copied())).draw().failed()?;
        panels = panels.panel(title, figure);
    }
    let lowest = frobenius.iter().fold(f64::INFINITY, |lowest, point| lowest.min(point.1));
    let mut table = Table::new(
        "First and last epoch; the first already has CURE's first, small h behind it.",
        ["", "first epoch", "last epoch"],
    );
    let ends = |points: &[(f64, f64)]| Some((points.first()?.1, points.last()?.1));
    let [Some(frobenius), Some(along), Some(robust)] =
        [&frobenius, &along, &robust].map(|points| ends(points))
    else {
        return Err(lacks(step));
    };
    for (what, (first, last)) in [("‖H‖_F", frobenius), ("‖Hz‖", along)] {
        table = table.row([Cell::from(what), Cell::from(short(first)), Cell::from(short(last))]);
    }
    let percent = |value: f64| Cell::from(format!("{:.1} %", 100.0 * value));
    table = table.row([Cell::from("accuracy under attack"), percent(robust.0), percent(robust.1)]);
    let claims = vec![
        Claim::new(
            "While CURE trains, the ‖Hz‖ that it penalises falls and accuracy under attack rises.",
            format!(
                "‖Hz‖ from {} to {}, accuracy from {:.1} to {:.1} %",
                short(along.0),
                short(along.1),
                100.0 * robust.0,
                100.0 * robust.1
            ),
            Verdict::of(along.1 < along.0 && robust.1 > robust.0),
        ),
        Claim::new(
            "‖H‖_F, which is not penalised itself, falls throughout as well.",
            format!("from {} to {}, at the lowest {}", short(frobenius.0), short(frobenius.1), short(lowest)),
            Verdict::of(frobenius.1 < frobenius.0 && frobenius.1 <= 1.1 * lowest),
        )
        .because(
            "it falls at first and rises again by more than a tenth, while the direction that is penalised keeps \
             flattening: one direction says less of all of them here",
        ),
    ];
    Ok(Part {
        tables: vec![table],
        figures: vec![panels.draw().failed()?],
        claims,
        ..Part::default()
    })
}
