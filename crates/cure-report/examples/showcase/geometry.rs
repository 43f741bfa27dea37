//! Figures of the geometry of a classifier around an image; the numbers are made up.

use cure_report::plot::{
    ContourPlot, Grid, HistogramPlot, LinePlot, PanelFigure, RegionPlot, ScatterPlot, Series,
    SurfacePlot,
};
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
        ("surfaces", surfaces()?),
        ("regions", regions()?),
        ("regions-of-many", regions_of_many()?),
        ("regions-of-two", regions_of_two()?),
        ("spectrum", spectrum()?),
        ("band", band()?),
        ("histogram", histogram()?),
        ("cloud", cloud()?),
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

fn surfaces() -> Result<Figure, ReportError> {
    let mut panels = PanelFigure::new("Negative loss around test image 17", 3)
        .colour_bar("negative loss", -15.0, 0.0)
        .caption("The same plane for three networks");
    for (name, bend) in [("before", 1.0), ("adversarially trained", 0.4), ("CURE", 0.1)] {
        let grid = Grid::from_fn(axis(5.0, 61), axis(5.0, 61), |r, v| -loss(bend)(r, v))?;
        let surface = SurfacePlot::new("", "r", "v", "negative loss")
            .grid(grid)
            .point("image", 0.0, 0.0)
            .range(-15.0, 0.0)
            .without_colour_bar()
            .size(320.0, 270.0);
        panels = panels.panel(name, surface.draw()?);
    }
    panels.draw()
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

fn regions_of_many() -> Result<Figure, ReportError> {
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

fn regions_of_two() -> Result<Figure, ReportError> {
    let mut panels = PanelFigure::new("Decision regions of two networks", 2);
    for (name, far) in [("before", 1.0), ("after CURE", 1.6)] {
        let grid = Grid::from_fn(axis(5.0, 81), axis(5.0, 81), |r, v| seen(r / far, v / far))?;
        let plot = RegionPlot::new("", "r (ℓ2)", "v (ℓ2)", CLASSES)
            .grid(grid)
            .correct(3)
            .point("image", 0.0, 0.0)
            .arrow("r", (0.0, 0.0), (1.2 * far, 0.0))
            .equal_axes()
            .size(340.0, 320.0);
        panels = panels.panel(name, plot.draw()?);
    }
    panels.draw()
}

/// Sorted eigenvalues from `top` down to `bottom`, most of them small.
fn eigenvalues(top: f64, bottom: f64) -> impl Iterator<Item = (f64, f64)> {
    (0..3072u32).map(move |i| {
        let share = f64::from(i) / 3071.0;
        let (falling, rising) = ((1.0 - share).powi(9), share.powi(9));
        (f64::from(i + 1), top * falling + bottom * rising)
    })
}

fn spectrum() -> Result<Figure, ReportError> {
    LinePlot::new("Curvature profile of test image 17", "rank", "eigenvalue of the Hessian")
        .series(Series::new("before", eigenvalues(40.0, -10.0)))
        .series(Series::new("adversarially trained", eigenvalues(4.0, -1.5)))
        .series(Series::new("CURE", eigenvalues(0.6, -0.2)))
        .signed_log_y(-3)
        .draw()
}

fn band() -> Result<Figure, ReportError> {
    let at = |d: f64| 0.4 * (1.0 - (-d / 2.0).exp());
    let points: Vec<(f64, f64)> = (0..=10).map(|i| (f64::from(i), at(f64::from(i)))).collect();
    let bounds: Vec<(f64, f64)> =
        points.iter().map(|(d, y)| (y - 0.02 * d, y + 0.02 * d)).collect();
    LinePlot::new("Curvature along r, mean and 95 % interval", "distance (ℓ2)", "curvature")
        .series(Series::new("1000 images", points).with_band(bounds))
        .draw()
}

/// Numbers spread like a bell around `middle`.
fn bell(middle: f64, width: f64, count: u32) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| {
        let spread: f64 = (0..12u32)
            .map(|k| {
                f64::from(
                    (i.wrapping_mul(2_654_435_761) ^ k.wrapping_mul(40_503))
                        .wrapping_mul(2_246_822_519)
                        >> 8,
                ) / f64::from(1u32 << 24)
            })
            .sum();
        middle + width * (spread - 6.0)
    })
}

fn histogram() -> Result<Figure, ReportError> {
    HistogramPlot::new("Cosine between r and the gradient of the loss", "cosine")
        .sample("before", bell(0.05, 0.03, 1000))
        .sample("adversarially trained", bell(0.32, 0.07, 1000))
        .sample("CURE", bell(0.41, 0.06, 1000))
        .guide("1/√d of chance", 1.0 / 3072f64.sqrt())
        .guide("45°", 0.5f64.sqrt())
        .draw()
}

fn cloud() -> Result<Figure, ReportError> {
    let points = bell(0.0, 0.5, 500).zip(bell(0.3, 0.4, 500).skip(3));
    ScatterPlot::new("Curvature of each image", "before", "after CURE")
        .points("test images", points.map(|(a, b)| (10f64.powf(a), 10f64.powf(a - 1.0 + 0.4 * b))))
        .diagonal()
        .log_x()
        .log_y()
        .draw()
}
