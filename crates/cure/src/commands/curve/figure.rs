//! Curves as a figure, as numbers and as a table.

use cure_attacks::{AttackSpec, Curve, Epsilon, Norm};
use cure_data::Dataset;
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Figure, Table};

use crate::failure::{Blame, Outcome};

/// How lengths are drawn: in what unit, under what label, and with ticks how far apart.
fn scale(norm: Norm, largest: f64) -> (f64, String, Option<f64>) {
    /// About as many ticks as fit.
    const TICKS: f64 = 6.0;
    if norm != Norm::Linf {
        let norm = if norm == Norm::L2 { "ℓ2" } else { "ℓ1" };
        return (1.0, format!("ε ({norm}), pixels in [0, 1]"), None);
    }
    // Multiples of 1/255 are counted in powers of two: 0, 4, 8, 12, 16.
    let step = (255.0 * largest / TICKS).log2().ceil().exp2();
    (255.0, "ε (ℓ∞), in 1/255".into(), (step >= 1.0).then_some(step))
}

pub(super) fn draw(
    curves: &[(&str, Curve)],
    attack: &AttackSpec,
    data: &Dataset,
) -> Outcome<Figure> {
    let caption = format!(
        "Share of {} {} images of {} that stand; ε = 0 is no attack, bars are 95 % intervals.",
        data.len(),
        data.split(),
        data.name(),
    );
    let epsilons = curves.iter().flat_map(|(_, curve)| &curve.points).map(|point| point.epsilon);
    let (unit, label, step) = scale(attack.norm(), epsilons.fold(0.0, f64::max));
    let title = format!("Robust accuracy under {}", attack.name());
    let mut plot = LinePlot { x_step: step, ..LinePlot::new(title, label, "robust accuracy") }
        .percent_y()
        .y_range(0.0, 1.0)
        .caption(caption);
    for (name, curve) in curves {
        let clean = (0.0, curve.clean.accuracy, curve.clean.ci95);
        let points = curve.points.iter().map(|p| (p.epsilon, p.robust_accuracy, p.ci95));
        let (points, bounds): (Vec<_>, Vec<_>) = std::iter::once(clean)
            .chain(points)
            .map(|(epsilon, accuracy, [low, high])| ((unit * epsilon, accuracy), (low, high)))
            .unzip();
        plot = plot.series(Series::new(*name, points).with_error(bounds));
    }
    Ok(plot.draw().failed()?.with_csv(numbers(curves)))
}

/// ε as it is written.
fn written(epsilon: f64) -> String {
    Epsilon::new(epsilon).map_or_else(|_| epsilon.to_string(), Epsilon::notation)
}

/// The curves as CSV: ε as it is written, and as a number of pixels.
fn numbers(curves: &[(&str, Curve)]) -> String {
    let columns = ["network", "epsilon", "pixels", "robust_accuracy", "low", "high", "robust", "n"];
    let mut table = Table::new("", columns);
    for (name, curve) in curves {
        let Curve { clean, points, .. } = curve;
        let clean = (0.0, clean.accuracy, clean.ci95, clean.correct, clean.n);
        let points = points.iter().map(|p| (p.epsilon, p.robust_accuracy, p.ci95, p.robust, p.n));
        for (epsilon, accuracy, [low, high], robust, n) in std::iter::once(clean).chain(points) {
            table = table.row([
                Cell::from(*name),
                Cell::from(written(epsilon)),
                Cell::Number(epsilon, 17),
                Cell::Number(accuracy, 17),
                Cell::Number(low, 17),
                Cell::Number(high, 17),
                Cell::from(robust),
                Cell::from(n),
            ]);
        }
    }
    table.to_csv()
}

pub(super) fn table(curves: &[(&str, Curve)], data: &Dataset) -> Table {
    let names = curves.iter().map(|(name, _)| (*name).to_owned());
    let columns: Vec<String> = std::iter::once("ε".to_owned()).chain(names).collect();
    let caption =
        format!("Robust accuracy, {} {} ({} images)", data.name(), data.split(), data.len());
    let row = |epsilon: String, accuracies: Vec<f64>| {
        std::iter::once(Cell::from(epsilon))
            .chain(accuracies.into_iter().map(|accuracy| Cell::Percent(accuracy, 1)))
            .collect::<Vec<_>>()
    };
    let clean = curves.iter().map(|(_, curve)| curve.clean.accuracy).collect();
    let mut table = Table::new(caption, columns).row(row("0".into(), clean));
    let points = curves.first().map_or(0, |(_, curve)| curve.points.len());
    for position in 0..points {
        let at = |curve: &Curve| curve.points[position].robust_accuracy;
        let epsilon = curves[0].1.points[position].epsilon;
        table =
            table.row(row(written(epsilon), curves.iter().map(|(_, curve)| at(curve)).collect()));
    }
    table
}
