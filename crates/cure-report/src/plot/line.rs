//! Curves: one or more series of points over a shared pair of axes.

use kuva::plot::{LinePlot as KuvaLine, ScatterPlot as KuvaScatter};
use kuva::render::annotations::TextAnnotation;
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;

use super::axis::{Axis, drawable};
use super::look::Look;
use super::series::Series;
use super::{Frame, Scale, TICK_SIZE, Unit, left_out, render};
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};

/// Size of a marker, and of that of a marked point.
const MARKER: f64 = 5.0;
const LARGE_MARKER: f64 = 8.0;

/// A plot of one or more curves.
///
/// ```
/// use cure_report::plot::{LinePlot, Series};
/// let figure = LinePlot::new("Robust accuracy", "ε · 255", "accuracy")
///     .series(Series::new("before", [(0.0, 0.92), (2.0, 0.01)]))
///     .series(Series::new("after", [(0.0, 0.81), (2.0, 0.65)]))
///     .percent_y()
///     .draw()?;
/// assert!(figure.svg().starts_with("<svg"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinePlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Label of the y axis, with its unit.
    pub y_label: String,
    /// The curves, in the order of the legend.
    pub series: Vec<Series>,
    /// Scale of the x axis.
    pub x_scale: Scale,
    /// The distance of ticks on a linear x axis; chosen from the data when absent or unusable.
    pub x_step: Option<f64>,
    /// Scale of the y axis.
    pub y_scale: Scale,
    /// How y values are written.
    pub y_unit: Unit,
    /// Range of the y axis; from the data when absent or unusable.
    pub y_range: Option<(f64, f64)>,
    /// What the reader should see.
    pub caption: String,
}

impl LinePlot {
    /// An empty plot with linear axes.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            ..Self::default()
        }
    }

    /// Adds a curve.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Makes the x axis logarithmic.
    pub fn log_x(mut self) -> Self {
        self.x_scale = Scale::Log;
        self
    }

    /// Makes the y axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.y_scale = Scale::Log;
        self
    }

    /// Makes the y axis logarithmic on both sides of zero and linear within
    /// ± 10^`decade`, for numbers of both signs such as eigenvalues.
    pub fn signed_log_y(mut self, decade: i32) -> Self {
        self.y_scale = Scale::SignedLog { decade };
        self
    }

    /// Fixes the distance of ticks on the x axis.
    pub fn x_step(mut self, step: f64) -> Self {
        self.x_step = Some(step);
        self
    }

    /// y values are fractions of 1; they are written in percent.
    pub fn percent_y(mut self) -> Self {
        self.y_unit = Unit::Percent;
        self
    }

    /// Fixes the range of the y axis.
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y_range = Some((low, high));
        self
    }

    /// Says what the reader should see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Draws the plot; no data at all still gives a (marked) figure.
    ///
    /// # Errors
    /// [`ReportError::Draw`] when the PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let x = Axis::fit(self.drawable().map(|(_, p)| p.0), self.x_scale, Unit::Number, None)
            .with_step(self.x_step);
        let y = Axis::fit(self.y_values(), self.y_scale, self.y_unit, self.y_range);

        let mut plots = Vec::new();
        let mut legend = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            let look = Look::new(index, series.points.len());
            self.draw_series(series, &look, (&x, &y), &mut plots);
            if !series.name.trim().is_empty() {
                legend.push(look.legend(&series.name));
            }
        }
        // kuva draws axes only when there is something to draw.
        plots.push(Plot::Line(KuvaLine::new()));

        let frame =
            Frame { title: &self.title, x_label: &self.x_label, y_label: &self.y_label, legend };
        let mut layout = frame.layout(x.range, &y).with_x_tick_format(x.format.clone());
        layout.x_label_overlap = kuva::AxisLabelOverlap::Thin;
        if let Some(step) = x.step {
            layout = layout.with_x_tick_step(step);
        }
        if x.is_native_log() {
            layout = layout.with_log_x();
        }
        if self.drawable().next().is_none() {
            layout = layout.with_annotation(no_data(&x, &y));
        }
        let scene = render_multiple(plots, layout);
        render(&scene, &self.title, self.full_caption(), self.alt(), self.csv())
    }

    /// The points that can be drawn, with their series.
    fn drawable(&self) -> impl Iterator<Item = (&Series, (f64, f64))> {
        self.series
            .iter()
            .flat_map(|s| s.points.iter().map(move |&p| (s, p)))
            .filter(|(_, p)| self.can_draw(*p))
    }

    fn can_draw(&self, point: (f64, f64)) -> bool {
        drawable(point.0, self.x_scale) && drawable(point.1, self.y_scale)
    }

    /// Every number the y axis has to show.
    fn y_values(&self) -> impl Iterator<Item = f64> {
        let bounds = self.series.iter().flat_map(|s| {
            (0..s.points.len()).filter_map(|i| s.bounds(i)).flat_map(|(low, high)| [low, high])
        });
        self.drawable().map(|(_, p)| p.1).chain(bounds)
    }

    fn draw_series(
        &self,
        series: &Series,
        look: &Look,
        (x, y): (&Axis, &Axis),
        plots: &mut Vec<Plot>,
    ) {
        let indices: Vec<usize> = (0..series.points.len()).collect();
        // A point that cannot be drawn interrupts the line: a bridge across it
        // would show values nobody measured.
        for run in indices.split(|&i| !self.can_draw(series.points[i])) {
            let Some((&first, &last)) = run.first().zip(run.last()) else { continue };
            let place = |i: usize| (x.place(series.points[i].0), y.place(series.points[i].1));
            let points: Vec<(f64, f64)> = (first..=last).map(place).collect();
            let bounds: Vec<(f64, f64)> = (first..=last)
                .zip(&points)
                .map(|(i, point)| match series.bounds(i) {
                    Some((low, high)) => (y.place_within(low), y.place_within(high)),
                    None => (point.1, point.1),
                })
                .collect();
            let mut line = KuvaLine::new()
                .with_data(points.clone())
                .with_color(look.colour)
                .with_stroke_width(2.2);
            if series.error.is_some() && look.every == 1 && !series.shaded {
                line = line.with_y_err_asymmetric(
                    points
                        .iter()
                        .zip(&bounds)
                        .map(|(p, b)| ((p.1 - b.0).max(0.0), (b.1 - p.1).max(0.0))),
                );
            } else if series.error.is_some() {
                line = line.with_band(
                    bounds.iter().map(|b| b.0).collect::<Vec<_>>(),
                    bounds.iter().map(|b| b.1).collect::<Vec<_>>(),
                );
            }
            plots.push(Plot::Line(line));
            let alone = points.len() == 1;
            let marked = (first..=last).zip(points).filter(|(i, _)| alone || look.marks(*i));
            plots.push(Plot::Scatter(
                KuvaScatter::new()
                    .with_data(marked.map(|(_, point)| point))
                    .with_color(look.colour)
                    .with_size(MARKER)
                    .with_marker(look.marker),
            ));
            if let Some(marked) = series.mark.filter(|marked| (first..=last).contains(marked)) {
                plots.push(Plot::Scatter(
                    KuvaScatter::new()
                        .with_data([place(marked)])
                        .with_color(look.colour)
                        .with_size(LARGE_MARKER)
                        .with_marker(look.marker),
                ));
            }
        }
    }

    fn full_caption(&self) -> String {
        let all: usize = self.series.iter().map(|s| s.points.len()).sum();
        let log = self.x_scale == Scale::Log || self.y_scale == Scale::Log;
        match left_out(all - self.drawable().count(), "point", log) {
            Some(remark) => add_sentence(&self.caption, &remark),
            None => self.caption.clone(),
        }
    }

    fn alt(&self) -> String {
        // A series without points only keeps a colour free.
        let drawn = self.series.iter().filter(|s| !s.points.is_empty());
        let names: Vec<String> =
            drawn.map(|s| format!("{} ({} points)", s.name, s.points.len())).collect();
        let what = if names.is_empty() { "no data".to_string() } else { names.join(", ") };
        format!(
            "Line plot: {}. {} over {}. Series: {what}.",
            self.title, self.y_label, self.x_label
        )
    }

    /// `series,x,y,low,high`, one row a point, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["series", "x", "y", "low", "high"]);
        for series in &self.series {
            for (i, (x, y)) in series.points.iter().enumerate() {
                let (low, high) = match series.error.as_ref().and_then(|e| e.get(i)) {
                    Some((low, high)) => (low.to_string(), high.to_string()),
                    None => (String::new(), String::new()),
                };
                csv += &csv_record([&series.name, &x.to_string(), &y.to_string(), &low, &high]);
            }
        }
        csv
    }
}

/// Says in the middle of the plot that there is nothing to see.
pub(super) fn no_data(x: &Axis, y: &Axis) -> TextAnnotation {
    let middle = |axis: &Axis| {
        let (low, high) = axis.range;
        if axis.is_native_log() { (low * high).sqrt() } else { (low + high) / 2.0 }
    };
    TextAnnotation::new("no data", middle(x), middle(y)).with_font_size(TICK_SIZE)
}
