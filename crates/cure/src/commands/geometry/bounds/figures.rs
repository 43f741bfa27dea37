//! Bounds as figures.

use cure_geometry::{Mean, Standing, TheoremOne};
use cure_report::Figure;
use cure_report::plot::{LinePlot, PanelFigure, ScatterPlot, Series};

use super::super::operator::{per_square, unit};
use super::super::study::{Found, OfNetwork};
use super::{Distances, Row};
use crate::failure::{Blame, Outcome};

pub(super) fn draw(study: &Distances, found: &Found<'_, Row>) -> Outcome<Vec<(String, Figure)>> {
    Ok(vec![
        ("bounds".into(), beside(study, found)?),
        ("bounds-curvature".into(), against_curvature(study, found)?),
        ("bounds-theory".into(), theory(study, found)?),
    ])
}

/// The samples that the theorem speaks of.
fn bounded<'r>(network: &'r OfNetwork<'_, Row>) -> impl Iterator<Item = &'r Row> {
    network.rows().filter(|row| row.standing == Standing::Bounded)
}

/// How many that are of each network, in words.
fn compared(found: &Found<'_, Row>) -> String {
    let counts: Vec<String> = found
        .networks
        .iter()
        .map(|network| match &found.networks[..] {
            [_] => bounded(network).count().to_string(),
            _ => format!("{} ({})", bounded(network).count(), network.facts.name),
        })
        .collect();
    counts.join(", ")
}

/// A panel a network: points of two networks in one would hide each other.
fn beside(study: &Distances, found: &Found<'_, Row>) -> Outcome<Figure> {
    let unit = unit(found.manifest.scale);
    let title = "Theorem 1 beside measured distances";
    let caption = format!(
        "Each image's lower and upper bound, and the exact minimum of its quadratic model, against the \
         distance to the boundary along what {} found: those {} of {} that the theorem speaks of. Where it holds, lower bounds \
         are under the line y = x and upper bounds over it; where the gradient points along u all three \
         are one, and only the lower bound is seen. The theorem is about two classes and the quadratic \
         model; t = {:.4}. {}.",
        study.attack,
        compared(found),
        found.manifest.images(),
        study.threshold,
        study.operator.describe(found.manifest.scale),
    );
    let panel = |network: &OfNetwork<'_, Row>, title: &str| {
        let points = |value: fn(&Row) -> Option<f64>| {
            bounded(network).filter_map(move |row| Some((row.measured?, value(row)?)))
        };
        ScatterPlot::new(
            title,
            format!("distance to the boundary (ℓ2, {unit})"),
            "‖r‖ by the theorem and its model",
        )
        .log_x()
        .log_y()
        .diagonal()
        .points("upper bound", points(|row| row.upper))
        .points("model", points(|row| row.model))
        .points("lower bound", points(|row| row.lower))
    };
    if let [network] = &found.networks[..] {
        return panel(network, title).caption(caption).draw().failed();
    }
    let mut panels = PanelFigure::new(title, 2).caption(caption);
    for network in &found.networks {
        let figure = panel(network, "").draw().failed()?;
        panels = panels.panel(network.facts.name.as_str(), figure);
    }
    panels.draw().failed()
}

fn against_curvature(study: &Distances, found: &Found<'_, Row>) -> Outcome<Figure> {
    let unit = unit(found.manifest.scale);
    let mut plot = ScatterPlot::new(
        "Distance to the boundary against curvature",
        format!("ν, the largest eigenvalue of H ({})", per_square(found.manifest.scale)),
        format!("distance to the boundary (ℓ2, {unit})"),
    )
    .log_x()
    .log_y()
    .caption(format!(
        "Those {} of {} that the theorem speaks of, with the distance along what {} found. {}.",
        compared(found),
        found.manifest.images(),
        study.attack,
        study.operator.describe(found.manifest.scale),
    ));
    for network in &found.networks {
        let points = bounded(network).filter_map(|row| Some((row.curvature?, row.measured?)));
        plot = plot.points(network.facts.name.as_str(), points);
    }
    plot.draw().failed()
}

/// Points of a curve.
const POINTS: usize = 100;

/// Fig. 4: the bounds as functions of ν, everything else as in the middle of the samples.
fn theory(study: &Distances, found: &Found<'_, Row>) -> Outcome<Figure> {
    let unit = unit(found.manifest.scale);
    let of = |value: fn(&Row) -> Option<f64>| {
        let values = found.networks.iter().flat_map(bounded).filter_map(value);
        Mean::of(&values.collect::<Vec<_>>()).map(|mean| mean.median)
    };
    let (c, gradient, along) = (of(|row| row.c), of(|row| row.gradient), of(|row| row.along));
    let curvatures: Vec<f64> =
        found.networks.iter().flat_map(bounded).filter_map(|row| row.curvature).collect();
    let positive = || curvatures.iter().copied().filter(|value| *value > 0.0);
    let (low, high) =
        (positive().fold(f64::INFINITY, f64::min) / 2.0, positive().fold(0.0, f64::max) * 2.0);
    let mut plot = LinePlot::new(
        "Theorem 1: robustness against curvature",
        format!("ν ({})", per_square(found.manifest.scale)),
        format!("bounds on ‖r*‖ (ℓ2, {unit})"),
    )
    .log_x()
    .log_y();
    let mut caption = "No image is one that the theorem speaks of.".to_owned();
    if let (Some(c), Some(gradient), Some(along)) = (c, gradient, along)
        && low < high
    {
        let at = |i: usize| low * (high / low).powf(i as f64 / (POINTS - 1) as f64);
        let curve = |bound: fn(&TheoremOne) -> f64| -> Vec<(f64, f64)> {
            let point = |nu| (nu, bound(&TheoremOne::new(c, gradient, along, nu)));
            (0..POINTS).map(|i| point(at(i))).collect()
        };
        plot = plot
            .series(Series::new("lower bound, eq. 2", curve(|bounds| bounds.lower)))
            .series(Series::new("upper bound, eq. 3", curve(|bounds| bounds.upper)));
        caption = format!(
            "Eqs 2 and 3 as functions of the curvature ν, with c = {c:.3}, ‖g‖ = {gradient:.3} and \
             |gᵀu| = {along:.3}, the medians over those {} of {} that the theorem speaks of, over \
             the range of ν found there. {}.",
            compared(found),
            found.manifest.images(),
            study.operator.describe(found.manifest.scale),
        );
    }
    plot.caption(caption).draw().failed()
}
