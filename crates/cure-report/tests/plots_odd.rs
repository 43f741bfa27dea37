//! Grids, panels and histograms of whatever comes: typed errors or marked
//! figures, every digit in the CSV, and nothing that panics.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Picture, elements, is_sound};
use cure_report::plot::{
    ContourPlot, Grid, HistogramPlot, LinePlot, PanelFigure, RegionPlot, Series, SurfacePlot,
};
use cure_report::{Figure, ReportError};

/// Small pictures are drawn faster, and have less room for what is odd.
const W: f64 = 320.0;
const H: f64 = 300.0;

fn small(values: [f64; 4]) -> Grid<f64> {
    Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], values.to_vec()).unwrap()
}

fn both(grid: Grid<f64>) -> [Figure; 2] {
    [
        ContourPlot::new("t", "x", "y", "z").size(W, H).grid(grid.clone()).draw().unwrap(),
        SurfacePlot::new("t", "x", "y", "z").size(W, H).grid(grid).draw().unwrap(),
    ]
}

#[test]
fn grids_that_are_none_are_refused() {
    let new = |x: &[f64], y: &[f64], count: usize| {
        Grid::new(x.to_vec(), y.to_vec(), vec![0.0; count]).unwrap_err().to_string()
    };
    for bad in [
        &[][..],
        &[1.0],
        &[1.0, 1.0],
        &[2.0, 1.0],
        &[0.0, f64::NAN],
        &[0.0, f64::INFINITY],
        &[1.0, 1.0 + 1e-15],
        &[0.0, 1e200],
    ] {
        let (x, y) = (new(bad, &[0.0, 1.0], 4), new(&[0.0, 1.0], bad, 4));
        assert!(x.contains("the x axis") && x.contains("2 to 4096 finite"), "{x}");
        assert!(y.contains("the y axis"), "{y}");
    }
    let ragged = new(&[0.0, 1.0, 2.0], &[0.0, 1.0], 5);
    assert!(ragged.contains("3×2 nodes") && ragged.contains("5 values"), "{ragged}");
    assert!(Grid::from_fn(vec![0.0; 3], vec![0.0, 1.0], |x, _| x).is_err());
}

#[test]
fn nothing_to_draw_is_said() {
    let nan = f64::NAN;
    let mut figures = vec![
        ContourPlot::new("", "", "", "").draw().unwrap(),
        SurfacePlot::new("", "", "", "").draw().unwrap(),
        RegionPlot::new("", "", "", ["a"]).draw().unwrap(),
        HistogramPlot::default().draw().unwrap(),
        HistogramPlot::new("t", "x").sample("s", [nan]).guide("g", nan).draw().unwrap(),
        PanelFigure::new("Nothing", 0).draw().unwrap(),
    ];
    figures.extend(both(small([nan, nan, f64::INFINITY, f64::MAX])));
    for figure in &figures {
        is_sound_or_small(figure);
        assert!(figure.svg().contains("no data"));
    }
    assert!(figures[6].caption.contains("4 values are left out"), "{}", figures[6].caption);
    assert!(figures[7].csv().contains("inf"));
}

/// Panels without a panel are less than 300 pixels high.
fn is_sound_or_small(figure: &Figure) {
    if !figure.alt.starts_with("Panels") {
        is_sound(figure);
    }
}

#[test]
fn odd_values_are_drawn() {
    for values in [
        [1.0; 4],
        [0.0; 4],
        [1.0, f64::NAN, 2.0, 3.0],
        [-1e150, 1e150, 0.0, 1.0],
        [5e-324, 0.0, 0.0, 0.0],
        [1e9, 1e9 + 1e-3, 1e9, 1e9],
    ] {
        for figure in both(small(values)) {
            is_sound(&figure);
        }
        let (low, high) = (values[0], values[1]);
        let sample = HistogramPlot::new("t", "x").sample("s", values).guide("g", 3.0);
        is_sound(&sample.draw().unwrap());
        is_sound(&sample.clone().bins(low, high, 7).counts().draw().unwrap());
        let plot =
            ContourPlot::new("t", "x", "y", "z").size(W, H).grid(small(values)).range(low, high);
        is_sound(&plot.draw().unwrap());
    }
    let plot = SurfacePlot::new("t", "x", "y", "z").size(W, H).grid(small([0.0, 1.0, 2.0, 3.0]));
    for (azimuth, elevation) in [(0.0, 0.0), (90.0, 90.0), (200.0, -30.0), (f64::NAN, 1e300)] {
        is_sound(&plot.clone().view(azimuth, elevation).draw().unwrap());
    }
    for (width, height) in [(0.0, -1.0), (f64::NAN, f64::INFINITY), (1e9, 260.0)] {
        let figure = plot.clone().size(width, height).draw().unwrap();
        assert!(figure.svg().len() > 1000);
    }
    let thin = Grid::from_fn(vec![0.0, 1e-9], vec![0.0, 1e9], |x, y| x + y).unwrap();
    is_sound(&ContourPlot::new("", "", "", "").grid(thin).equal_axes().draw().unwrap());
}

#[test]
fn awkward_names_are_drawn_and_escaped() {
    let long = "word ".repeat(60) + &"x".repeat(300);
    for name in
        ["", "<script>alert(1)</script>", "\u{0}\u{1b}[31m", "$\\frac{$", "猫 \u{202e}", &long]
    {
        let grid = small([0.0, 1.0, 2.0, 3.0]);
        let classes = Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], vec![0, 0, 1, 1]).unwrap();
        let contour = ContourPlot::new(name, name, name, name).size(W, H).grid(grid.clone());
        let surface = SurfacePlot::new(name, name, name, name).size(W, H).grid(grid);
        let regions = RegionPlot::new(name, name, name, [name, name]).size(W, H).grid(classes);
        let part = contour.point(name, 0.5, 0.5).draw().unwrap();
        for figure in [
            part.clone(),
            surface.point(name, 0.5, 0.5).draw().unwrap(),
            regions.arrow(name, (0.0, 0.0), (1.0, 1.0)).draw().unwrap(),
            HistogramPlot::new(name, name)
                .sample(name, [1.0, 2.0])
                .guide(name, 1.5)
                .draw()
                .unwrap(),
            PanelFigure::new(name, 1).panel(name, part).colour_bar(name, 0.0, 1.0).draw().unwrap(),
        ] {
            is_sound(&figure);
            assert!(!figure.svg().contains("<script"));
            assert!(!figure.svg().contains(['\u{0}', '\u{1b}']));
        }
    }
}

#[test]
fn every_digit_comes_back() {
    let grid = small([1.0 / 3.0, f64::NAN, -0.1, 2e-300]);
    for figure in both(grid) {
        let mut reader = csv::Reader::from_reader(figure.csv().as_bytes());
        assert_eq!(reader.headers().unwrap(), &["kind", "name", "x", "y", "value"][..]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let values: Vec<f64> = rows.iter().map(|row| row[4].parse().unwrap()).collect();
        assert_eq!((values[0], values[2], values[3]), (1.0 / 3.0, -0.1, 2e-300));
        assert!(values[1].is_nan());
        assert_eq!((&rows[1][2], &rows[1][3], &rows[2][3]), ("1", "0", "1"));
        assert!(figure.caption.contains("1 value is left out (not finite)"));
    }
}

#[test]
fn histograms_count_what_they_cannot_show() {
    let plot = HistogramPlot::new("t", "x")
        .sample("a, b", [0.05, 0.15, 0.15, 7.0, f64::NAN])
        .guide("chance", 0.12)
        .guide("far", 3.0);
    let figure = plot.clone().bins(0.0, 0.2, 2).draw().unwrap();
    assert_eq!(
        figure.caption,
        "1 value lies outside the bins. 1 value is left out (not finite). \
         1 guide line is left out (not on the axis)."
    );
    assert!(figure.svg().contains(">chance<") && !figure.svg().contains(">far<"));
    assert!(figure.csv().contains("sample,\"a, b\",0.15") && figure.csv().contains("guide,far,3"));
    // Bins chosen by the plot show everything, the guide lines too.
    let figure = plot.draw().unwrap();
    assert_eq!(figure.caption, "1 value is left out (not finite).");
    assert!(figure.svg().contains(">far<"));
}

#[test]
fn panels_hold_their_figures() {
    let part = |value: f64| {
        let plot = ContourPlot::new("", "x", "y", "z").grid(small([0.0, 1.0, value, 3.0]));
        plot.size(300.0, 260.0).without_colour_bar().draw().unwrap()
    };
    let line = LinePlot::new("", "x", "y").series(Series::new("s", [(0.0, 0.25)])).draw().unwrap();
    let panels = PanelFigure::new("Two", 2).panel("left", part(2.0)).panel("right", part(-1.0));
    let figure = panels.draw().unwrap();
    is_sound(&figure);
    assert_eq!(figure, panels.draw().unwrap());
    let inner = elements(figure.svg(), "svg");
    assert_eq!(inner.len(), 3);
    assert!(figure.caption.contains("left: Iso-lines every"), "{}", figure.caption);

    // Each part is in the whole, dot for dot.
    let whole = Picture::of(&figure);
    for (element, figure) in inner[1..].iter().zip([part(2.0), part(-1.0)]) {
        let [left, top] = common::numbers(&format!(" {element}"), ["x", "y"]);
        let picture = Picture::of(&figure);
        for (x, y) in [(0.5, 0.5), (150.0, 100.0), (90.0, 200.5), (299.0, 259.0)] {
            assert_eq!(whole.at(left + x, top + y), picture.at(x, y));
        }
    }

    // Tables of other columns share one header.
    let csv = panels.clone().panel("line", line.clone()).draw().unwrap().csv().to_string();
    assert!(csv.starts_with("panel,kind,name,x,y,value,series,low,high\n"), "{csv}");
    assert!(csv.contains("left,value,,0,0,0,,,\n"), "{csv}");
    assert!(csv.contains("line,,,0,0.25,,s,,\n"), "{csv}");

    let many = (0..20).fold(PanelFigure::new("t", 20), |all, _| all.panel("p", line.clone()));
    assert!(matches!(many.draw().unwrap_err(), ReportError::GridSize { .. }));
}
