//! Figs. 10 and 14: curvature and robustness while CURE trains.

use cure_attacks::wilson95;
use cure_report::plot::{LinePlot, PanelFigure, Series};
use cure_report::{Cell, Table};
use cure_training::{EpochRow, RunRecord, read_configuration};

use super::{Part, Results, lacks};
use crate::commands::pipeline::{Plan, file, folder};
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Setting, Subject};
use crate::failure::{Blame, Outcome};
use crate::measured::{Change, Measured};

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
    let record = RunRecord::read(&results.out.join(folder(step))).failed()?.unwrap_or_default();
    let config: toml::Table =
        read_configuration(&results.out.join(file(step, "config.toml"))).failed()?;
    let sample = (|| config.get("training")?.get("curvature")?.get("samples")?.as_integer())();
    let attacked = record.sessions.last().map_or(0, |session| session.attacked_images);
    let curve = |value: fn(&EpochRow) -> Option<Measured>| Curve::of(&rows, value);
    let frobenius = curve(|row| {
        let found = row.curvature.as_ref()?;
        Some(with_error(found.frobenius, found.frobenius_error))
    });
    let along = curve(|row| {
        let found = row.curvature.as_ref()?;
        Some(with_error(found.gradient_sign, found.gradient_sign_error))
    });
    let robust = Curve::of(&rows, |row| {
        let value = row.validation_robust_accuracy?;
        let ci95 = wilson95((value * attacked as f64).round() as usize, attacked);
        Some(Measured { value, ci95, n: attacked })
    });
    let mut panels = PanelFigure::new("CURE fine-tuning, epoch by epoch", 2).caption(format!(
        "‖H‖_F from random directions; ‖Hz‖ along the gradient's signs, both over pixels in [0, 1] on a fixed \
         sample of training images; accuracy of validation images under {attack}."
    ));
    for (title, curve, is_share) in [
        ("‖H‖_F", &frobenius, false),
        ("‖Hz‖", &along, false),
        ("accuracy under attack", &robust, true),
    ] {
        let mut plot = LinePlot::new("", "epoch", "");
        plot = if is_share { plot.percent_y() } else { plot.log_y() };
        let figure = plot.series(Series::new(title, curve.points())).draw().failed()?;
        panels = panels.panel(title, figure);
    }
    let (Some(norm), Some(sign), Some(stand)) = (frobenius.ends(), along.ends(), robust.ends())
    else {
        return Err(lacks(step));
    };
    let mut table = Table::new(
        "First and last epoch, with 95 % intervals over the images; the first already has CURE's first, small h behind it.",
        ["", "n", "first epoch", "last epoch"],
    );
    for (what, [first, last]) in [("‖H‖_F", norm), ("‖Hz‖", sign)] {
        let [first, last] = [first, last].map(|end| Cell::from(end.number_in_full()));
        let images = sample.map_or(Cell::Missing, |images| Cell::from(images.to_string()));
        table = table.row([Cell::from(what), images, first, last]);
    }
    let [first, last] = stand.map(|end| Cell::from(end.percent_in_full()));
    table = table.row([Cell::from("accuracy under attack"), Cell::from(attacked), first, last]);
    let lowest = frobenius.lowest();
    let claims = vec![
        Claim::new(
            "While CURE trains, the ‖Hz‖ that it penalises falls and accuracy under attack rises.",
            format!(
                "‖Hz‖ from {} to {}, accuracy from {} to {}",
                sign[0].number_in_full(),
                sign[1].number_in_full(),
                stand[0].percent_in_full(),
                stand[1].percent_in_full()
            ),
            Verdict::below(sign[1], sign[0]).and(Verdict::below(stand[0], stand[1])),
        ),
        Claim::new(
            "‖H‖_F, which is not penalised itself, falls throughout as well.",
            format!(
                "from {} to {}, at the lowest {}",
                norm[0].number_in_full(),
                norm[1].number_in_full(),
                lowest.number_in_full()
            ),
            match norm[1].against(lowest) {
                Change::Higher => Verdict::Differs,
                _ => Verdict::below(norm[1], norm[0]),
            },
        )
        .because(
            "it falls at first and rises again, while the direction that is penalised keeps flattening: one direction says less \
             of all of them here",
        ),
    ];
    Ok(Part {
        tables: vec![table],
        figures: vec![panels.draw().failed()?],
        claims,
        ..Part::default()
    })
}

/// A number over the epochs.
struct Curve(Vec<(usize, Measured)>);

impl Curve {
    /// Of the epochs that have it.
    fn of(rows: &[EpochRow], value: impl Fn(&EpochRow) -> Option<Measured>) -> Self {
        Self(rows.iter().filter_map(|row| Some((row.epoch, value(row)?))).collect())
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().map(|(epoch, found)| (*epoch as f64, found.value))
    }

    /// The first and the last.
    fn ends(&self) -> Option<[Measured; 2]> {
        Some([self.0.first()?.1, self.0.last()?.1])
    }

    fn lowest(&self) -> Measured {
        let least = self.0.iter().min_by(|a, b| a.1.value.total_cmp(&b.1.value));
        least.map_or(Measured { value: 0.0, ci95: [0.0, 0.0], n: 0 }, |(_, found)| *found)
    }
}

/// A mean over images from its standard error; without one, of no known precision.
fn with_error(value: f64, error: Option<f64>) -> Measured {
    let half = 1.96 * error.unwrap_or(f64::INFINITY);
    Measured { value, ci95: [(value - half).max(0.0), value + half], n: 0 }
}
