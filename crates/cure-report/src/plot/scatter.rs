//! Clouds of points: two measurements of the same things, one against the other.

use kuva::plot::{
    LegendEntry, LegendShape, LinePlot as KuvaLine, MarkerShape, ScatterPlot as KuvaScatter,
};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;

use super::axis::{Axis, drawable};
use super::line::no_data;
use super::{Frame, Scale, Unit, colour, left_out, legend_label, render};
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};

const MARKERS: [MarkerShape; 4] =
    [MarkerShape::Circle, MarkerShape::Triangle, MarkerShape::Square, MarkerShape::Diamond];
/// Colour of lines that only guide the eye.
const GUIDE: &str = "#888888";

/// A plot of one or more clouds of points.
///
/// ```
/// use cure_report::plot::ScatterPlot;
/// let figure = ScatterPlot::new("Margins", "under PGD", "under SPSA")
///     .points("images", [(0.5, 0.6), (-1.0, -0.8)])
///     .diagonal()
///     .draw()?;
/// assert!(figure.csv().starts_with("group,x,y"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScatterPlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Label of the y axis, with its unit.
    pub y_label: String,
    /// Names and points, in the order of the legend; later ones are drawn over earlier ones.
    pub groups: Vec<(String, Vec<(f64, f64)>)>,
    /// Scale of the x axis.
    pub x_scale: Scale,
    /// Scale of the y axis.
    pub y_scale: Scale,
    /// Whether the line y = x is drawn.
    pub has_diagonal: bool,
    /// What the reader should see.
    pub caption: String,
}

impl ScatterPlot {
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

    /// Adds a cloud of points.
    pub fn points(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.groups.push((name.into(), points.into_iter().collect()));
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

    /// Draws the line y = x.
    pub fn diagonal(mut self) -> Self {
        self.has_diagonal = true;
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
        let (xs, ys): (Vec<f64>, Vec<f64>) = self.drawable().unzip();
        let x = Axis::fit(xs.into_iter(), self.x_scale, Unit::Number, None);
        let y = Axis::fit(ys.into_iter(), self.y_scale, Unit::Number, None);
        let mut plots = Vec::new();
        if self.has_diagonal {
            let line = KuvaLine::new().with_data(diagonal(&x, &y));
            plots.push(Plot::Line(line.with_color(GUIDE).with_stroke_width(1.2)));
        }
        let mut legend = Vec::new();
        for (index, (name, points)) in self.groups.iter().enumerate() {
            let marker = MARKERS[index % MARKERS.len()];
            let shown = points.iter().copied().filter(|p| self.can_draw(p));
            let places = shown.map(|(a, b)| (x.place(a), y.place(b)));
            plots.push(Plot::Scatter(
                KuvaScatter::new()
                    .with_data(places)
                    .with_color(colour(index))
                    .with_size(3.5)
                    .with_marker_opacity(0.55)
                    .with_marker(marker),
            ));
            if !name.trim().is_empty() {
                legend.push(LegendEntry {
                    label: legend_label(name),
                    color: colour(index).to_string(),
                    shape: LegendShape::Marker(marker),
                    dasharray: None,
                });
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

    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.groups.iter().flat_map(|(_, points)| points.iter().copied());
        points.filter(|point| self.can_draw(point))
    }

    fn can_draw(&self, point: &(f64, f64)) -> bool {
        drawable(point.0, self.x_scale) && drawable(point.1, self.y_scale)
    }

    fn full_caption(&self) -> String {
        let all: usize = self.groups.iter().map(|(_, points)| points.len()).sum();
        let log = self.x_scale == Scale::Log || self.y_scale == Scale::Log;
        match left_out(all - self.drawable().count(), "point", log) {
            Some(remark) => add_sentence(&self.caption, &remark),
            None => self.caption.clone(),
        }
    }

    fn alt(&self) -> String {
        let groups = self.groups.iter().map(|(name, p)| format!("{name} ({} points)", p.len()));
        let groups = groups.collect::<Vec<_>>().join(", ");
        format!(
            "Scatter plot: {}. {} against {}. Groups: {groups}.",
            self.title, self.y_label, self.x_label
        )
    }

    /// `group,x,y`, one row a point, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["group", "x", "y"]);
        for (name, points) in &self.groups {
            for (x, y) in points {
                csv += &csv_record([name.as_str(), &x.to_string(), &y.to_string()]);
            }
        }
        csv
    }
}

/// Points of the line y = x in kuva's coordinates: many, because it is a curve
/// where only one axis is logarithmic.
fn diagonal(x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    const STEPS: u32 = 64;
    let low = x.value(x.range.0).max(y.value(y.range.0));
    let high = x.value(x.range.1).min(y.value(y.range.1));
    if low >= high {
        return Vec::new();
    }
    let (from, to) = (x.place(low), x.place(high));
    let inner = (1..STEPS).map(|i| {
        let share = f64::from(i) / f64::from(STEPS);
        // kuva stretches a native logarithmic axis itself.
        if x.is_native_log() {
            low * (high / low).powf(share)
        } else {
            x.value(from + share * (to - from))
        }
    });
    let values = [low].into_iter().chain(inner).chain([high]);
    values.map(|value| (x.place(value), y.place(value))).collect()
}
