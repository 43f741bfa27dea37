//! One report with everything this crate can draw, for looking at.
//!
//! `cargo run --release -p cure-report --example showcase -- FOLDER` writes
//! `report.html` and the figures. The numbers are made up.

mod geometry;

use std::path::PathBuf;

use cure_report::plot::{BarGroup, BarPlot, LinePlot, Series};
use cure_report::{
    AdversarialExample, Cell, Figure, Image, ImageGrid, Prediction, Report, ReportError, Section,
    Table,
};

fn main() -> Result<(), ReportError> {
    let folder = std::env::args_os().nth(1).map_or_else(|| "showcase".into(), PathBuf::from);
    let mut figures = vec![
        ("robust-accuracy", robust_accuracy()?),
        ("loss", loss()?),
        ("profile", profile()?),
        ("wide", wide()?),
        ("many", many()?),
        ("bars", bars()?),
        ("bars-long-names", bars_long_names()?),
        ("images", images()?),
        ("empty", LinePlot::new("Nothing yet", "epoch", "loss").draw()?),
    ];
    figures.extend(geometry::figures()?);
    let mut pictures = Section::new("Figures")
        .paragraph("Every figure is drawn once and kept as SVG, PNG and CSV.");
    for (stem, figure) in &figures {
        figure.save(folder.join("figures"), stem)?;
        pictures = pictures.figure(figure.clone());
    }
    Report::new("Showcase: robust accuracy before and after fine-tuning with CURE")
        .summary("Accuracy under PGD-20 at 2/255 rose from 0.4 % to 65.1 %.")
        .summary("Clean accuracy fell from 91.7 % to 81.2 %.")
        .section(Section::new("Accuracy").table(accuracies()).code(
            "cure finetune --method cure --preset authors-2021 --data cifar10:DIR \
             --weights resnet20.th --out runs/cure",
        ))
        .section(pictures)
        .provenance("command", "cure demo --seed 0 --out runs/demo")
        .provenance("weights (sha256)", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978")
        .provenance("seed", "0")
        .save(folder.join("report.html"))
}

fn accuracies() -> Table {
    let row = |name: &str, clean: f64, two: f64, four: f64, eight: f64| {
        [name.into(), Cell::Percent(clean, 2), Cell::Percent(two, 2), Cell::Percent(four, 2)]
            .into_iter()
            .chain([Cell::Percent(eight, 2), Cell::from(1000u64)])
    };
    let columns = ["network", "clean", "PGD-20, 2/255", "PGD-20, 4/255", "PGD-20, 8/255", "images"];
    Table::new("Accuracy before and after fine-tuning, on the same images.", columns)
        .row(row("published ResNet-20", 0.9173, 0.004, 0.0, 0.0))
        .row(row("fine-tuned without the regulariser", 0.9201, 0.006, 0.0, 0.0))
        .row(row("fine-tuned with CURE", 0.8121, 0.6512, 0.4419, 0.1203))
        .row(["the paper (ResNet-18)".into(), Cell::Percent(0.812, 1), Cell::Missing])
}

/// Accuracy and the ends of a 95 % interval at n = 1000.
fn interval(accuracy: f64) -> (f64, f64) {
    let half = 1.96 * (accuracy * (1.0 - accuracy) / 1000.0).sqrt();
    ((accuracy - half).max(0.0), (accuracy + half).min(1.0))
}

fn robust_accuracy() -> Result<Figure, ReportError> {
    let mut plot = LinePlot::new("Robust accuracy under PGD-20", "ε · 255", "robust accuracy")
        .percent_y()
        .caption("First 1000 test images; bars are 95 % intervals");
    for (name, scale) in [("published", 0.4), ("fine-tuned", 0.5), ("fine-tuned with CURE", 5.0)] {
        let at = |e: f64| 0.95 * (-(e / scale).powi(2) / 2.0).exp();
        let epsilons = [0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0];
        let series = Series::new(name, epsilons.map(|e| (e, at(e))));
        plot = plot.series(series.with_error(epsilons.map(|e| interval(at(e)))));
    }
    plot.draw()
}

fn loss() -> Result<Figure, ReportError> {
    let mut plot = LinePlot::new("Training", "epoch", "value").log_y().caption("Mean a batch");
    for (name, start, rate) in [("loss", 0.9, 0.15), ("regulariser", 0.05, -0.05), ("h", 0.01, 0.0)]
    {
        let points = (1..=20).map(|e| (f64::from(e), start * (-rate * f64::from(e)).exp()));
        plot = plot.series(Series::new(name, points));
    }
    let last = plot.series.len() - 1;
    plot.series[last].points[7].1 = f64::NAN;
    plot.draw()
}

fn profile() -> Result<Figure, ReportError> {
    let mut plot = LinePlot::new(
        "Curvature profile: eigenvalues of the Hessian with respect to the input",
        "rank",
        "eigenvalue",
    );
    for (name, top) in [("before", 40.0), ("after CURE", 6.0)] {
        let at = |i: f64| top * ((1536.0 - i) / 1536.0).powi(15);
        let points: Vec<(f64, f64)> =
            (0..3072).step_by(8).map(f64::from).map(|i| (i, at(i))).collect();
        let bounds: Vec<_> = points.iter().map(|p| (0.7 * p.1, 1.3 * p.1)).collect();
        plot = plot.series(Series::new(name, points).with_error(bounds));
    }
    plot.draw()
}

fn wide() -> Result<Figure, ReportError> {
    let points = |power: f64| {
        (0..30)
            .map(move |i| (10f64.powf(-4.0 + 0.2 * f64::from(i)), f64::from(i)))
            .map(move |(h, _)| (h, 1e-14 / h + 1e-3 * h.powf(power)))
    };
    LinePlot::new("Error of the finite difference", "h", "relative error")
        .series(Series::new("forward", points(1.0)))
        .series(Series::new("central", points(2.0)))
        .log_x()
        .log_y()
        .draw()
}

fn many() -> Result<Figure, ReportError> {
    let mut plot = LinePlot::new("Twelve runs", "epoch", "accuracy").percent_y();
    for run in 0..12 {
        let points = (0..60).map(|e| {
            let e = f64::from(e);
            (e, 0.3 + 0.05 * f64::from(run) * (1.0 - (-e / 15.0).exp()))
        });
        plot = plot.series(Series::new(format!("seed {run}, γ = {}", run / 2), points));
    }
    plot.draw()
}

fn bars() -> Result<Figure, ReportError> {
    let mut plot = BarPlot::new("Accuracy", "accuracy", ["published", "without", "with CURE"])
        .percent()
        .caption("Bars are 95 % intervals at n = 1000");
    for (name, values) in [
        ("clean", [0.9173, 0.9201, 0.8121]),
        ("FGSM 2/255", [0.21, 0.25, 0.68]),
        ("PGD 2/255", [0.004, 0.006, 0.6512]),
        ("PGD 8/255", [0.0, 0.0, 0.1203]),
    ] {
        plot = plot.group(BarGroup::new(name, values).with_error(values.map(interval)));
    }
    plot.draw()
}

fn bars_long_names() -> Result<Figure, ReportError> {
    let mut plot = BarPlot::new("Seconds a step", "seconds", ["PyTorch", "this program"]);
    for (i, name) in ["forward", "input gradient", "CURE step, BatchNorm in train mode", "frozen"]
        .into_iter()
        .enumerate()
    {
        plot = plot.group(BarGroup::new(name, [1.7 * (i + 1) as f64, 0.8 * (i + 1) as f64]));
    }
    plot.draw()
}

fn images() -> Result<Figure, ReportError> {
    let side = 32usize;
    let mut examples = Vec::new();
    for k in 0..3usize {
        let value = |c: usize, y: usize, x: usize| {
            let (u, v) = (x as f32 / side as f32 - 0.5, y as f32 / side as f32 - 0.5);
            let ring = ((u * u + v * v).sqrt() * (14.0 + 6.0 * k as f32)).sin();
            0.5 + 0.35 * ring * ((c + k) as f32 * 1.3 + u * 2.0).cos()
        };
        let all = |f: &dyn Fn(usize, usize, usize) -> f32| {
            let mut pixels = Vec::new();
            for c in 0..3 {
                for y in 0..side {
                    pixels.extend((0..side).map(|x| f(c, y, x)));
                }
            }
            Image::new(3, side, side, pixels)
        };
        let sign = |c: usize, y: usize, x: usize| {
            if (x * 7 + y * 13 + c * 5 + x * y).is_multiple_of(3) { 1.0 } else { -1.0 }
        };
        examples.push(AdversarialExample {
            name: format!("test image {}", 17 * k + 3),
            image: all(&value)?,
            perturbed: all(&|c, y, x| value(c, y, x) + sign(c, y, x) * 8.0 / 255.0)?,
            label: "automobile".into(),
            clean: Prediction::new("automobile", 0.991),
            attacked: Prediction::new(["truck", "ship", "frog"][k], 0.974),
        });
    }
    ImageGrid::adversarial("Three images and what PGD made of them", &examples)?.draw()
}
