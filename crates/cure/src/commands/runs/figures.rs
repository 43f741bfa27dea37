//! The course of runs as figures.

use cure_attacks::wilson95;
use cure_report::Figure;
use cure_report::plot::{LinePlot, Series};

use super::folder::{ATTACKED, CLEAN, Run};
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
}

const ACCURACIES: [Column; 3] = [
    Column {
        key: ATTACKED,
        stem: "attacked",
        title: "Validation accuracy under attack",
        label: "attacked accuracy",
        caption: "",
    },
    Column {
        key: CLEAN,
        stem: "clean",
        title: "Clean validation accuracy",
        label: "clean accuracy",
        caption: "",
    },
    Column {
        key: "validation_fgsm_accuracy",
        stem: "fgsm",
        title: "Validation accuracy under FGSM",
        label: "accuracy under FGSM",
        caption: "Where it rises while accuracy under the stronger attack falls, training overfits \
                  to one step.",
    },
];

const VALUES: [Column; 5] = [
    Column {
        key: "loss",
        stem: "loss",
        title: "Training loss",
        label: "mean loss (nats)",
        caption: "Each objective's own loss: levels compare between runs of one objective only.",
    },
    Column {
        key: "regularizer",
        stem: "regularizer",
        title: "Regulariser",
        label: "mean regulariser, unweighted",
        caption: "Each objective's own term, at the h of the epoch; runs without one are left out.",
    },
    Column {
        key: "curvature.frobenius",
        stem: "frobenius",
        title: "Curvature: Frobenius norm of the Hessian",
        label: "‖H‖_F, pixels in [0, 1]",
        caption: "H is the loss's second derivative by the image (the paper's Figs 10 and 14).",
    },
    Column {
        key: "curvature.gradient_sign",
        stem: "gradient-sign",
        title: "Curvature along the gradient's sign",
        label: "‖Hz‖, pixels in [0, 1]",
        caption: "z = sign(∇ℓ)/‖sign(∇ℓ)‖₂ (the paper's Figs 10 and 14).",
    },
    Column {
        key: "gradient_norm",
        stem: "gradient-norm",
        title: "Length of the parameter gradient",
        label: "mean ℓ2 norm before clipping",
        caption: "",
    },
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
    let accuracies = ACCURACIES.iter().flat_map(|column| {
        [("epoch", Against::Epoch), ("time", time)].map(|(name, against)| {
            let stem = format!("{}-{name}", column.stem);
            let plot = plot(runs, column, against, &images(runs, column.key)).percent_y();
            (stem, plot)
        })
    });
    let values = VALUES
        .iter()
        .map(|column| (column.stem.to_owned(), plot(runs, column, Against::Epoch, column.caption)));
    accuracies
        .chain(values)
        .filter(|(_, plot)| !plot.series.is_empty())
        .map(|(stem, plot)| Ok((stem, plot.draw().failed()?)))
        .collect()
}

fn plot(runs: &[Run], column: &Column, against: Against, remark: &str) -> LinePlot {
    let (label, over) = match against {
        Against::Epoch => ("epoch".to_owned(), "epochs"),
        Against::Time(_, unit) => (format!("training time ({unit})"), "training time"),
    };
    let mut sentences = vec![remark.to_owned(), seeds(runs)];
    if matches!(against, Against::Time(..)) {
        let sentence =
            "Time is the epochs' wall clock, validation included: accuracy against cost.";
        sentences.push(sentence.into());
    }
    sentences.retain(|sentence| !sentence.is_empty());
    let plot = LinePlot::new(format!("{} over {over}", column.title), label, column.label)
        .caption(sentences.join(" "));
    runs.iter().fold(plot, |plot, run| {
        let points =
            run.series(column.key).into_iter().map(|(epoch, seconds, value)| match against {
                Against::Epoch => (epoch, value),
                Against::Time(unit, _) => (seconds / unit, value),
            });
        let points: Vec<(f64, f64)> = points.collect();
        // A regulariser of 0 throughout is none.
        if points.iter().all(|&(_, value)| value == 0.0) && column.key == "regularizer" {
            return plot;
        }
        if points.is_empty() { plot } else { plot.series(Series::new(name(run), points)) }
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
    let mut attacks: Vec<&str> = runs.iter().filter_map(Run::attack).collect();
    attacks.sort_unstable();
    attacks.dedup();
    let shown = counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let under =
        if key == ATTACKED { format!(" under {}", attacks.join("; ")) } else { String::new() };
    let widest = counts.first().map(|&n| {
        let [low, high] = wilson95(n / 2, n);
        format!("; 95 % intervals reach {:.1} points to each side at most", 50.0 * (high - low))
    });
    let known =
        ACCURACIES.iter().find(|column| column.key == key).map_or("", |column| column.caption);
    let first = match widest {
        Some(widest) => format!("Accuracy on n = {shown} validation images{under}{widest}."),
        None => format!("Accuracy on validation images{under}, their number not known."),
    };
    format!("{first} {known}").trim_end().to_owned()
}
