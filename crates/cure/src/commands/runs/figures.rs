//! The course of runs as figures.

use cure_attacks::wilson95;
use cure_report::Figure;
use cure_report::plot::{LinePlot, Series};

use super::folder::{ATTACKED, CLEAN, Measured, Run};
use crate::failure::{Blame, Outcome};

/// A column of `metrics.jsonl` that is drawn where a run has it.
struct Column {
    key: &'static str,
    /// The name of its files.
    stem: &'static str,
    title: &'static str,
    /// With the unit.
    label: &'static str,
    /// What the reader should know.
    caption: &'static str,
    /// Whether it is a share of the validation images: drawn over time as well.
    is_accuracy: bool,
}

impl Column {
    const fn accuracy(
        key: &'static str,
        stem: &'static str,
        title: &'static str,
        label: &'static str,
        caption: &'static str,
    ) -> Self {
        Self { key, stem, title, label, caption, is_accuracy: true }
    }

    const fn value(
        key: &'static str,
        stem: &'static str,
        title: &'static str,
        label: &'static str,
        caption: &'static str,
    ) -> Self {
        Self { key, stem, title, label, caption, is_accuracy: false }
    }
}

const CHOSEN: &str = "Where the epoch whose weights are chosen is drawn, its marker is larger.";

const REGULARIZER: &str = "regularizer";

const COLUMNS: [Column; 8] = [
    Column::accuracy(
        ATTACKED,
        "attacked",
        "Validation accuracy under attack",
        "attacked accuracy",
        "",
    ),
    Column::accuracy(CLEAN, "clean", "Clean validation accuracy", "clean accuracy", ""),
    Column::accuracy(
        "validation_fgsm_accuracy",
        "fgsm",
        "Validation accuracy under FGSM",
        "accuracy under FGSM",
        "Where it rises while accuracy under the stronger attack falls, training overfits to one step.",
    ),
    Column::value(
        "loss",
        "loss",
        "Training loss",
        "mean loss (nats)",
        "Each objective's own loss: levels compare between runs of one objective only.",
    ),
    Column::value(
        REGULARIZER,
        "regularizer",
        "Regulariser",
        "mean regulariser, unweighted",
        "Each objective's own term, at the h of the epoch; runs without one are left out.",
    ),
    Column::value(
        "curvature.frobenius",
        "frobenius",
        "Curvature: Frobenius norm of the Hessian",
        "‖H‖_F (1/pixel², pixels in [0, 1])",
        "H is the loss's second derivative by the image (the paper's Figs 10 and 14).",
    ),
    Column::value(
        "curvature.gradient_sign",
        "gradient-sign",
        "Curvature along the gradient's sign",
        "‖Hz‖ (1/pixel², pixels in [0, 1])",
        "z = sign(∇ℓ)/‖sign(∇ℓ)‖₂ (the paper's Figs 10 and 14).",
    ),
    Column::value(
        "gradient_norm",
        "gradient-norm",
        "Length of the parameter gradient",
        "mean ℓ2 norm before clipping",
        "",
    ),
];

/// What is on the x axis.
#[derive(Clone, Copy)]
enum Against {
    Epoch,
    /// Training time, in units of so many seconds.
    Time(f64, &'static str),
}

/// The figures for which there are numbers, each with the name of its files.
pub(super) fn draw(runs: &[Run]) -> Outcome<Vec<(String, Figure)>> {
    let longest = runs.iter().map(Run::seconds).fold(0.0, f64::max);
    let time = match longest {
        ..300.0 => Against::Time(1.0, "s"),
        ..36_000.0 => Against::Time(60.0, "minutes"),
        _ => Against::Time(3600.0, "hours"),
    };
    let mut figures = Vec::new();
    for column in &COLUMNS {
        let mut add = |stem: String, against: Against| -> Outcome {
            let plot = plot(runs, column, against);
            if plot.series.iter().any(|series| !series.points.is_empty()) {
                figures.push((stem, plot.draw().failed()?));
            }
            Ok(())
        };
        if column.is_accuracy {
            add(format!("{}-epoch", column.stem), Against::Epoch)?;
            add(format!("{}-time", column.stem), time)?;
        } else {
            add(column.stem.to_owned(), Against::Epoch)?;
        }
    }
    Ok(figures)
}

fn plot(runs: &[Run], column: &Column, against: Against) -> LinePlot {
    let (label, over, remark) = match against {
        Against::Epoch => ("epoch".to_owned(), "epochs", ""),
        Against::Time(_, unit) => (
            format!("training time ({unit})"),
            "training time",
            "Time is the epochs' wall clock, validation included: accuracy against cost.",
        ),
    };
    let images = if column.is_accuracy { images(runs, column.key) } else { String::new() };
    let sentences = [&images, column.caption, remark, &seeds(runs), CHOSEN];
    let caption: Vec<&str> = sentences.into_iter().filter(|text| !text.is_empty()).collect();
    let mut plot = LinePlot::new(format!("{} over {over}", column.title), label, column.label)
        .caption(caption.join(" "));
    if column.is_accuracy {
        plot = plot.percent_y();
    }
    // Curvature falls by a factor of ten and more in the first epochs, and differs in the last ones.
    if column.key.starts_with("curvature.") {
        plot = plot.log_y();
    }
    runs.iter().fold(plot, |plot, run| {
        let rows = run.series(column.key);
        let chosen = rows.iter().position(|&(epoch, ..)| Some(epoch as usize) == run.chosen);
        let points = rows.iter().map(|&(epoch, seconds, value)| match against {
            Against::Epoch => (epoch, value),
            Against::Time(unit, _) => (seconds / unit, value),
        });
        let mut points: Vec<(f64, f64)> = points.collect();
        // A regulariser of 0 throughout is none.
        if column.key == REGULARIZER && points.iter().all(|&(_, value)| value == 0.0) {
            points.clear();
        }
        // Without points or a name it keeps the colours of the others as in every figure.
        let name = if points.is_empty() { String::new() } else { name(run) };
        let intervals = points.iter().map(|&(_, accuracy)| {
            let measured = Measured { accuracy, n: run.images(column.key) };
            measured.interval().map_or((f64::NAN, f64::NAN), |[low, high]| (low, high))
        });
        let intervals: Vec<(f64, f64)> = intervals.collect();
        let series = Series::new(name, points).with_mark(chosen);
        let has_intervals = column.is_accuracy && run.images(column.key) > 0;
        plot.series(if has_intervals { series.with_error(intervals) } else { series })
    })
}

/// The run with its objective, where its own name does not say that.
fn name(run: &Run) -> String {
    match run.name.contains(run.objective()) {
        true => run.name.clone(),
        false => format!("{} ({})", run.name, run.objective()),
    }
}

fn seeds(runs: &[Run]) -> String {
    let seeds: Vec<usize> = runs.iter().map(Run::seed).collect();
    match seeds.iter().all(|seed| *seed == seeds[0]) {
        true => format!("Seed {}.", seeds[0]),
        false => {
            let each = runs.iter().map(|run| format!("{} of {}", run.seed(), run.name));
            format!("Seeds: {}.", each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Of which images and under which attack an accuracy is.
fn images(runs: &[Run], key: &str) -> String {
    let mut counts: Vec<usize> =
        runs.iter().map(|run| run.images(key)).filter(|&n| n > 0).collect();
    counts.sort_unstable();
    counts.dedup();
    let under = match key {
        CLEAN => String::new(),
        ATTACKED => format!(" under {}", attacks(runs)),
        _ => format!(" under FGSM at the ε of the validation attack, {}", attacks(runs)),
    };
    let Some(&least) = counts.first() else {
        return format!("Accuracy on validation images{under}, their number not known.");
    };
    let [low, high] = wilson95(least / 2, least);
    let shown = counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "Accuracy on n = {shown} validation images{under}; the 95 % intervals drawn reach {:.1} \
         points to each side at most.",
        50.0 * (high - low)
    )
}

/// The validation attack, or each run's where they differ.
fn attacks(runs: &[Run]) -> String {
    let known: Vec<(&str, &str)> =
        runs.iter().filter_map(|run| Some((run.name.as_str(), run.attack()?))).collect();
    match known.first() {
        Some((_, first)) if known.iter().all(|(_, attack)| attack == first) => (*first).to_owned(),
        Some(_) => {
            let each = known.iter().map(|(name, attack)| format!("{attack} ({name})"));
            each.collect::<Vec<_>>().join("; ")
        }
        None => "an attack that is not known".to_owned(),
    }
}
