//! Plots: same data, same bytes; nothing lost in the CSV; nothing that panics.
#![allow(clippy::unwrap_used)]

mod common;

use common::is_sound;
use cure_report::Figure;
use cure_report::plot::{BarGroup, BarPlot, LinePlot, ScatterPlot, Series};

fn curves() -> LinePlot {
    LinePlot::new("Accuracy, \"PGD\" <20>", "ε · 255", "accuracy")
        .series(Series::new("before, it", [(0.0, 0.9173), (1.0 / 3.0, 0.1), (2.0, f64::NAN)]))
        .series(
            Series::new("after", [(0.0, 0.81), (2.0, 0.65)])
                .with_error([(0.78, 0.84), (f64::NAN, 0.7)]),
        )
        .caption("A caption")
}

fn chart() -> BarPlot {
    BarPlot::new("Accuracy", "accuracy", ["before", "after"])
        .group(BarGroup::new("clean", [0.9, 0.8]).with_error([(0.88, 0.92), (0.77, 0.83)]))
        .group(BarGroup::new("PGD, 2/255", [f64::INFINITY, 0.65]))
        .percent()
}

#[test]
fn the_same_data_give_the_same_bytes() {
    let (first, between, second) =
        (curves().draw().unwrap(), chart().draw().unwrap(), curves().draw().unwrap());
    assert_eq!(first, second);
    assert_eq!(between, chart().draw().unwrap());
}

#[test]
fn two_figures_on_a_page_do_not_share_names() {
    let id = |figure: &Figure| {
        let (_, rest) = figure.svg().split_once("clipPath id=\"").unwrap();
        let id = rest.split_once('"').unwrap().0.to_string();
        assert!(figure.svg().contains(&format!("url(#{id})")));
        id
    };
    assert_ne!(id(&curves().draw().unwrap()), id(&chart().draw().unwrap()));
}

#[test]
fn csv_comes_back_exactly() {
    let figure = curves().draw().unwrap();
    let mut reader = csv::Reader::from_reader(figure.csv().as_bytes());
    assert_eq!(reader.headers().unwrap(), &["series", "x", "y", "low", "high"][..]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let number = |row: usize, field: usize| rows[row][field].parse::<f64>().unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(&rows[0][0], "before, it");
    assert_eq!(number(1, 1), 1.0 / 3.0);
    assert!(number(2, 2).is_nan());
    assert_eq!(&rows[2][3], "");
    assert_eq!((number(3, 3), number(3, 4)), (0.78, 0.84));
    assert!(number(4, 3).is_nan());

    let figure = chart().draw().unwrap();
    let mut reader = csv::Reader::from_reader(figure.csv().as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(&rows[1], &["clean", "after", "0.8", "0.77", "0.83"][..]);
    assert_eq!(&rows[2], &["PGD, 2/255", "before", "inf", "", ""][..]);
}

#[test]
fn what_cannot_be_drawn_is_counted() {
    let caption = curves().draw().unwrap().caption;
    assert_eq!(caption, "A caption. 1 point is left out (not finite).");
    let zeros = LinePlot::new("t", "x", "y").series(Series::new("", [(0.0, 1.0), (1.0, 0.0)]));
    assert_eq!(zeros.draw().unwrap().caption, "");
    let caption = zeros.log_x().log_y().draw().unwrap().caption;
    assert!(caption.starts_with("2 points are left out (not finite, or not positive"));
    assert_eq!(chart().draw().unwrap().caption, "1 value is left out (not finite).");
}

#[test]
fn a_gap_interrupts_the_line() {
    let with = |y: f64| {
        let points = [(0.0, 0.0), (1.0, 1.0), (2.0, y), (3.0, 1.0), (4.0, 0.0)];
        let figure = LinePlot::new("t", "x", "y").series(Series::new("s", points)).draw().unwrap();
        figure.svg().matches("<polyline").count() + figure.svg().matches("<path").count()
    };
    assert_eq!(with(f64::NAN), with(0.5) + 1);
}

#[test]
fn nothing_to_draw_is_said() {
    for figure in [
        LinePlot::default().draw().unwrap(),
        LinePlot::new("t", "x", "y").log_x().log_y().draw().unwrap(),
        LinePlot::new("t", "x", "y").series(Series::new("a", [(f64::NAN, 1.0)])).draw().unwrap(),
        BarPlot::default().draw().unwrap(),
        BarPlot::new("t", "y", ["a"]).group(BarGroup::new("g", [f64::NAN])).draw().unwrap(),
    ] {
        is_sound(&figure);
        assert!(figure.svg().contains("no data"));
    }
    assert!(!curves().draw().unwrap().svg().contains("no data"));
}

#[test]
fn extremes_are_drawn() {
    let numbers = [0.0, -0.0, 1e-320, 1e-12, 1.0, -1.0, 1e12, 1e149, -1e149, f64::MAX, f64::MIN];
    for (i, &a) in numbers.iter().enumerate() {
        let b = numbers[(3 * i + 4) % numbers.len()];
        let series = Series::new("s", [(a, b), (b, a)]).with_error([(b, a), (f64::MIN, f64::MAX)]);
        let plot = LinePlot::new("t", "x", "y").series(series).y_range(a, f64::NAN);
        let plot = if i % 2 == 0 { plot } else { plot.log_x().log_y() };
        is_sound(&plot.draw().unwrap());
        let group = BarGroup::new("g", [a, b]).with_error([(b, a), (f64::MIN, f64::MAX)]);
        is_sound(&BarPlot::new("t", "y", ["a", "b"]).group(group).draw().unwrap());
    }
}

#[test]
fn awkward_names_are_drawn_and_escaped() {
    let long = "word ".repeat(60) + &"x".repeat(300);
    for name in
        ["", "<script>alert(1)</script>", "\u{0}\u{1b}[31m", "$\\frac{$ a $", "猫 \u{202e}", &long]
    {
        let plot = LinePlot::new(name, name, name).series(Series::new(name, [(0.0, 1.0)]));
        let bars = BarPlot::new(name, name, [name]).group(BarGroup::new(name, [1.0]));
        for figure in [plot.draw().unwrap(), bars.draw().unwrap()] {
            is_sound(&figure);
            assert!(!figure.svg().contains("<script"));
            assert!(!figure.svg().contains(['\u{0}', '\u{1b}']));
        }
    }
    let mut many = BarPlot::new("t", "y", ["a", "b", "c"]);
    let mut lines = LinePlot::new("t", "x", "y");
    for i in 0..40 {
        many = many.group(BarGroup::new(format!("group {i}"), [1.0, 2.0]));
        lines = lines.series(Series::new(format!("series {i}"), (0..99).map(|x| (x as f64, 1.0))));
    }
    is_sound(&many.draw().unwrap());
    is_sound(&lines.draw().unwrap());
}

#[test]
fn clouds_of_points() {
    let cloud = ScatterPlot::new("Margins", "PGD", "SPSA")
        .points("agree", [(1.0, 1.1), (-2.0, -1.9), (f64::NAN, 0.0)])
        .points("SPSA is stronger", [(0.5, -0.2)])
        .diagonal()
        .caption("A caption.");
    let figure = cloud.draw().unwrap();
    is_sound(&figure);
    assert_eq!(figure.csv().lines().count(), 1 + 4);
    assert!(figure.csv().contains("SPSA is stronger,0.5,-0.2"), "{}", figure.csv());
    assert!(figure.caption.contains("1 point"), "{}", figure.caption);
    is_sound(&ScatterPlot::new("Nothing", "x", "y").draw().unwrap());
}

#[test]
fn a_marked_point_has_a_larger_marker_of_its_own() {
    let draw = |mark| {
        let series = Series::new("run", [(1.0, 0.2), (2.0, 0.4), (3.0, 0.3)]).with_mark(mark);
        let figure = LinePlot::new("Accuracy", "epoch", "accuracy").series(series).draw().unwrap();
        figure.svg().matches("<circle").count()
    };
    let plain = draw(None);
    assert!(plain >= 3);
    assert_eq!(draw(Some(1)), plain + 1);
    // There is no such point.
    assert_eq!(draw(Some(7)), plain);
}

#[test]
fn eigenvalues_of_both_signs_share_an_axis() {
    let points = [(0.0, 40.0), (1.0, 0.01), (2.0, 0.0), (3.0, -0.02), (4.0, -10.0)];
    let plot = LinePlot::new("Spectrum", "rank", "eigenvalue").series(Series::new("λ", points));
    let figure = plot.clone().signed_log_y(-2).draw().unwrap();
    is_sound(&figure);
    assert_eq!(figure.caption, "");
    for label in [">-10<", ">-0.1<", ">0<", ">0.1<", ">10<"] {
        assert!(figure.svg().contains(label), "{label}");
    }
    assert_ne!(figure.svg(), plot.draw().unwrap().svg());
}

#[test]
fn a_band_is_shaded_however_few_points_there_are() {
    let points = [(0.0, 1.0), (1.0, 2.0), (2.0, 1.5)];
    let bounds = points.map(|(_, y)| (y - 0.25, y + 0.25));
    let draw = |series| LinePlot::new("t", "x", "y").series(series).draw().unwrap();
    let bars = draw(Series::new("s", points).with_error(bounds));
    let band = draw(Series::new("s", points).with_band(bounds));
    assert!(band.svg().contains("fill-opacity"), "{}", band.svg());
    assert!(!bars.svg().contains("fill-opacity"));
    assert_eq!(band.csv(), bars.csv());
}

#[test]
fn clouds_on_logarithmic_axes() {
    let cloud = ScatterPlot::new("Times", "seconds", "seconds")
        .points("runs", [(0.1, 0.2), (30.0, 1e-3), (0.0, 1.0), (-1.0, 2.0)])
        .diagonal();
    let linear = cloud.draw().unwrap();
    assert_eq!(linear.caption, "");
    for plot in [cloud.clone().log_x(), cloud.clone().log_y(), cloud.clone().log_x().log_y()] {
        let figure = plot.draw().unwrap();
        is_sound(&figure);
        assert_ne!(figure.svg(), linear.svg());
    }
    let caption = cloud.log_x().draw().unwrap().caption;
    assert_eq!(
        caption,
        "2 points are left out (not finite, or not positive on a logarithmic axis)."
    );
}
