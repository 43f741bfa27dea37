//! Figures of the geometry of a classifier around an image; the numbers are made up.

use cure_report::plot::{ContourPlot, Grid, RegionPlot, SurfacePlot};
use cure_report::{Figure, ReportError};

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const ALONG_R: &str = "along r (ℓ2, pixel units)";
const ALONG_V: &str = "along v (ℓ2, pixel units)";

pub(crate) fn figures() -> Result<Vec<(&'static str, Figure)>, ReportError> {
    Ok(vec![
        ("contour", contour()?),
        ("contour-holes", contour_holes()?),
        ("surface", surface()?),
        ("surface-small", surface_small()?),
        ("regions", regions()?),
        ("regions-small", regions_small()?),
    ])
}

fn axis(half: f64, nodes: u32) -> Vec<f64> {
    let step = 2.0 * half / f64::from(nodes - 1);
    (0..nodes).map(|i| -half + step * f64::from(i)).collect()
}

/// Cross entropy that rises steeply past a curved boundary.
fn loss(bend: f64) -> impl Fn(f64, f64) -> f64 {
    move |r, v| {
        let margin = 1.2 - r + bend * (0.12 * v * v - 0.5 * (1.3 * v).sin() * (0.7 * r).cos());
        (1.0 + (-3.0 * margin).exp()).ln()
    }
}

fn contour() -> Result<Figure, ReportError> {
    let grid = Grid::from_fn(axis(5.0, 101), axis(5.0, 101), loss(1.0))?;
    ContourPlot::new("Loss around test image 17, network before CURE", ALONG_R, ALONG_V, "loss")
        .grid(grid)
        .point("image", 0.0, 0.0)
        .point("adversarial image (DeepFool)", 1.2, 0.0)
        .equal_axes()
        .caption("A plane through the image")
        .draw()
}

fn contour_holes() -> Result<Figure, ReportError> {
    let f = loss(0.3);
    let grid = Grid::from_fn(axis(5.0, 41), axis(2.0, 31), |r, v| {
        if r > 3.0 && v > 0.6 { f64::NAN } else { 1e-4 * f(r, v) }
    })?;
    ContourPlot::new("", "r", "v", "loss")
        .grid(grid)
        .point("image", 0.0, 0.0)
        .range(0.0, 1e-3)
        .size(420.0, 360.0)
        .draw()
}

fn surface() -> Result<Figure, ReportError> {
    let negative = |r, v| -loss(1.0)(r, v);
    let grid = Grid::from_fn(axis(5.0, 101), axis(5.0, 101), negative)?;
    SurfacePlot::new(
        "Negative loss around test image 17, before CURE",
        ALONG_R,
        ALONG_V,
        "negative loss",
    )
    .grid(grid)
    .point("image", 0.0, 0.0)
    .draw()
}

fn surface_small() -> Result<Figure, ReportError> {
    let grid = Grid::from_fn(axis(5.0, 41), axis(5.0, 41), |r, v| -loss(0.2)(r, v))?;
    SurfacePlot::new("", "r", "v", "−loss")
        .grid(grid)
        .point("image", 0.0, 0.0)
        .range(-25.0, 0.0)
        .without_colour_bar()
        .size(320.0, 300.0)
        .draw()
}

/// Class 3 around the image, others beyond curved boundaries.
fn seen(r: f64, v: f64) -> usize {
    if r > 1.2 + 0.12 * v * v - 0.5 * (1.3 * v).sin() {
        if v > 2.0 - 0.2 * r { 4 } else { 5 }
    } else if (r + 4.0).hypot(v + 3.5) < 2.2 {
        6
    } else if v - 0.3 * r * r > 3.2 {
        2
    } else {
        3
    }
}

fn regions() -> Result<Figure, ReportError> {
    let grid = Grid::from_fn(axis(5.0, 101), axis(5.0, 101), seen)?;
    RegionPlot::new("Decision regions around test image 17", ALONG_R, ALONG_V, CLASSES)
        .grid(grid)
        .correct(3)
        .point("image", 0.0, 0.0)
        .point("adversarial image", 1.2, 0.0)
        .arrow("r", (0.0, 0.0), (1.2, 0.0))
        .arrow("v", (0.0, 0.0), (0.0, 2.0))
        .equal_axes()
        .draw()
}

fn regions_small() -> Result<Figure, ReportError> {
    let grid = Grid::from_fn(axis(5.0, 61), axis(5.0, 61), |r, v| {
        ((v.atan2(r) + 3.15) / 0.63).floor().clamp(0.0, 9.0) as usize
    })?;
    RegionPlot::new("", "r", "v", CLASSES)
        .grid(grid)
        .correct(3)
        .point("image", 0.0, 0.0)
        .size(320.0, 300.0)
        .draw()
}
