//! Figures of planes: the right colour, mark and border at the right place, and
//! nothing that panics.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Picture, area, circles, elements, is_sound};
use cure_report::plot::{ContourPlot, Grid, RegionPlot, SurfacePlot};
use cure_report::{Figure, ReportError};

fn axis(half: f64, nodes: u32) -> Vec<f64> {
    (0..nodes).map(|i| half * (2.0 * f64::from(i) / f64::from(nodes - 1) - 1.0)).collect()
}

fn grid(f: impl FnMut(f64, f64) -> f64) -> Grid<f64> {
    Grid::from_fn(axis(5.0, 21), axis(2.0, 11), f).unwrap()
}

fn contour(f: impl FnMut(f64, f64) -> f64) -> ContourPlot {
    ContourPlot::new("Loss", "r", "v", "loss").grid(grid(f)).size(420.0, 360.0)
}

fn surface(f: impl FnMut(f64, f64) -> f64) -> SurfacePlot {
    SurfacePlot::new("Loss", "r", "v", "loss").grid(grid(f)).size(420.0, 360.0)
}

fn regions(f: impl FnMut(f64, f64) -> usize) -> RegionPlot {
    let grid = Grid::from_fn(axis(5.0, 51), axis(2.0, 21), f).unwrap();
    RegionPlot::new("Regions", "r", "v", ["cat", "dog", "frog"]).grid(grid).size(420.0, 360.0)
}

/// Where a point of the plane [−5, 5] × [−2, 2] is in the picture.
fn place(figure: &Figure, x: f64, y: f64) -> (f64, f64) {
    let [left, top, width, height] = area(figure);
    (left + width * (x + 5.0) / 10.0, top + height * (2.0 - y) / 4.0)
}

fn near(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.0 - b.0).abs() < 0.1 && (a.1 - b.1).abs() < 0.1
}

#[test]
fn the_same_data_give_the_same_bytes() {
    let draw = || {
        [
            contour(|r, v| r * v).point("image", 0.0, 0.0).draw().unwrap(),
            surface(|r, v| r * v).point("image", 0.0, 0.0).draw().unwrap(),
            regions(|r, v| usize::from(r > v)).point("image", 0.0, 0.0).draw().unwrap(),
        ]
    };
    let (first, second) = (draw(), draw());
    assert_eq!(first, second);
    first.iter().for_each(is_sound);
}

#[test]
fn marked_points_are_where_they_should_be() {
    for (x, y) in [(0.0, 0.0), (2.5, -1.0), (-5.0, 2.0)] {
        let plots = [
            contour(|r, _| r).point("image", x, y).draw().unwrap(),
            contour(|r, _| r).point("image", x, y).equal_axes().draw().unwrap(),
            regions(|_, _| 0).point("image", x, y).draw().unwrap(),
        ];
        for figure in plots {
            assert_eq!(circles(&figure).len(), 1);
            assert!(near(circles(&figure)[0], place(&figure, x, y)), "{x} {y}");
        }
    }
    let equal = contour(|r, _| r).equal_axes().draw().unwrap();
    let [_, _, width, height] = area(&equal);
    assert!((width / height - 2.5).abs() < 0.02);
}

#[test]
fn marks_outside_are_counted_and_left_out() {
    let figure =
        contour(|r, _| r).point("far", 6.0, 0.0).point("no", f64::NAN, 0.0).draw().unwrap();
    assert!(figure.caption.ends_with("2 points are left out (not in the plane shown)."));
    assert!(circles(&figure).is_empty() && !figure.svg().contains(">far<"));
    assert!(figure.csv().contains("point,far,6,0,"));
    let arrows =
        regions(|_, _| 0).arrow("r", (0.0, 0.0), (9.0, 0.0)).arrow("s", (6.0, 0.0), (7.0, 0.0));
    let figure = arrows.draw().unwrap();
    assert_eq!(figure.caption, "1 arrow is left out (not in the plane shown).");
    assert!(figure.svg().contains(">r<") && !figure.svg().contains(">s<"));
    assert!(figure.csv().contains("arrow to,r,9,0,"));
}

#[test]
fn a_shared_range_gives_a_value_the_same_colour() {
    // Both are 3 at r = 3, v = 1; their greatest values differ.
    let (steep, flat) = (|r: f64, v: f64| r * v, |r: f64, v: f64| 2.0 + v + 0.0 * r);
    let colour = |plot: ContourPlot| {
        let figure = plot.draw().unwrap();
        let (x, y) = place(&figure, 3.0, 1.0);
        // Beside the iso-line through the place.
        Picture::of(&figure).at(x, y + 4.0)
    };
    let shared = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 12);
    let (a, b) = (contour(steep), contour(flat));
    let ranges = (a.clone().range(-10.0, 10.0), b.clone().range(-10.0, 10.0));
    assert!(shared(colour(ranges.0), colour(ranges.1)));
    assert!(!shared(colour(a), colour(b)));
    let fill = |plot: SurfacePlot| elements(plot.draw().unwrap().svg(), "path").len();
    assert!(fill(surface(steep)) > 200);
    let flat_colour = |low: f64, high: f64| {
        let figure = surface(|_, _| 3.0).range(low, high).draw().unwrap();
        elements(figure.svg(), "path")[50].rsplit_once("fill=").unwrap().1.to_string()
    };
    assert_eq!(flat_colour(0.0, 6.0), flat_colour(-3.0, 9.0));
    assert_ne!(flat_colour(0.0, 6.0), flat_colour(0.0, 30.0));
}

#[test]
fn iso_lines_run_where_the_value_is() {
    let figure = contour(|r, _| r).draw().unwrap();
    assert_eq!(figure.caption, "Iso-lines every 1.");
    let lines = elements(figure.svg(), "path");
    assert_eq!(lines.len(), 9);
    for (line, level) in lines.iter().zip(-4..) {
        let (x, _) = place(&figure, f64::from(level), 0.0);
        let first = line.split_once("M ").unwrap().1.split_once(' ').unwrap().0;
        assert!((first.parse::<f64>().unwrap() - x).abs() < 0.2, "{level}: {line}");
    }
    // Past the range everything has the colour of its end, and that is said.
    let figure = contour(|r, _| r).range(-4.0, 4.0).draw().unwrap();
    assert!(figure.caption.ends_with("44 values beyond the range are drawn as its ends."));
}

#[test]
fn borders_lie_between_the_nodes_that_differ() {
    // Nodes are 0.2 apart: the last of one class is 1.0, the first of the next 1.2.
    let figure = regions(|r, _| usize::from(r > 1.1)).correct(0).draw().unwrap();
    let picture = Picture::of(&figure);
    for v in [-1.9, 0.3, 1.9] {
        let (x, y) = place(&figure, 1.1, v);
        assert_eq!(picture.at(x - 3.0, y), [0x00, 0x72, 0xb2], "blue on the left");
        assert_eq!(picture.at(x + 3.0, y), picture.at(x + 40.0, y));
        assert_ne!(picture.at(x + 3.0, y), picture.at(x - 3.0, y));
        assert!(picture.at(x, y).iter().all(|&part| part < 0x60), "dark line between");
    }
    assert!(figure.svg().contains(">cat (correct)<") && !figure.svg().contains(">frog<"));
    assert!(figure.alt.contains("dog (39.2 %)"), "{}", figure.alt);
}

#[test]
fn a_class_without_a_name_is_refused() {
    let error = regions(|_, _| 3).draw().unwrap_err();
    assert!(matches!(error, ReportError::Class { class: 3, classes: 3 }), "{error}");
    assert!(error.to_string().contains("classes below 3"), "{error}");
    assert!(regions(|_, _| 0).correct(7).draw().is_err());
    assert!(RegionPlot::new::<&str>("t", "x", "y", []).draw().is_ok());
}

#[test]
fn a_point_rides_on_the_surface() {
    let at = |height: f64| {
        let figure = surface(|_, _| height).range(0.0, 10.0).point("image", 1.0, 0.5).draw();
        circles(&figure.unwrap())[0]
    };
    let (low, middle, high) = (at(0.0), at(5.0), at(10.0));
    assert_eq!((low.0, high.0), (middle.0, middle.0));
    assert!(low.1 > high.1 + 50.0);
    assert!((low.1 + high.1 - 2.0 * middle.1).abs() < 0.1);
    // A ridge between the reader and the point.
    let ridge = |_: f64, v: f64| if (-0.9..-0.7).contains(&v) { 10.0 } else { 0.0 };
    let hidden = |y: f64| surface(ridge).point("image", 0.0, y).draw().unwrap().caption;
    assert_eq!(hidden(-0.4), "The point 'image' is behind the surface.");
    assert_eq!(hidden(-1.6), "");
}

#[test]
fn large_grids_are_drawn_coarsely_and_kept_whole() {
    let noise = |r: f64, v: f64| (1e4 * (12.9 * r + 78.2 * v).sin()).fract();
    let grid = Grid::from_fn(axis(5.0, 101), axis(5.0, 101), noise).unwrap();
    let figure = ContourPlot::new("", "r", "v", "z").grid(grid.clone()).draw().unwrap();
    assert!(figure.svg().len() < 300_000, "{}", figure.svg().len());
    assert_eq!(figure.csv().lines().count(), 1 + 101 * 101);
    let figure = SurfacePlot::new("", "r", "v", "z").grid(grid).draw().unwrap();
    assert!(figure.caption.starts_with("The surface is drawn at every 2nd node."));
    assert!(figure.svg().len() < 400_000, "{}", figure.svg().len());
    assert_eq!(figure.csv().lines().count(), 1 + 101 * 101);
}
