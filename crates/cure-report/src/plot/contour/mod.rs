//! Colours and iso-lines of a function on a plane.

mod image;
mod lines;

use super::grid::Grid;
use super::marks::{MarkedPoint, draw_points, outside, point_entries, point_records, visible};
use super::size::{PLANE_SIZE, drawn_size};
use super::sketch::{
    ColourBar, Colours, Entry, GAP, Legend, NOT_DRAWABLE, PlaneFrame, Symbol, hex,
};
use super::values::{beyond, colours, no_data, value_records};
use super::{Scale, Unit, axis::drawable, left_out};
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};
use image::image;
use lines::IsoLines;

/// A function of two numbers: colours (viridis) between lines of equal value.
///
/// ```
/// use cure_report::plot::{ContourPlot, Grid};
/// let axis: Vec<f64> = (-5..=5).map(f64::from).collect();
/// let bowl = Grid::from_fn(axis.clone(), axis, |r, v| r * r + 0.1 * v * v)?;
/// let figure = ContourPlot::new("Loss", "along r (ℓ2)", "along v (ℓ2)", "loss")
///     .grid(bowl)
///     .point("image", 0.0, 0.0)
///     .range(0.0, 20.0)
///     .draw()?;
/// assert!(figure.csv().contains("point,image,0,0,"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ContourPlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Label of the y axis, with its unit.
    pub y_label: String,
    /// Label of the colour bar, with the unit of the values.
    pub value_label: String,
    /// The values; none give a (marked) empty figure.
    pub grid: Option<Grid<f64>>,
    /// Values at the ends of the colours, for pictures that are to be compared;
    /// from the data when absent or unusable.
    pub range: Option<(f64, f64)>,
    /// Marked points, each with its own shape.
    pub points: Vec<MarkedPoint>,
    /// Whether a unit is as long on both axes.
    pub equal_axes: bool,
    /// Whether the colour bar is drawn.
    pub has_colour_bar: bool,
    /// Width and height in pixels without the legend.
    pub size: (f64, f64),
    /// What the reader should see.
    pub caption: String,
}

impl ContourPlot {
    /// An empty plot.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
        value_label: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            value_label: value_label.into(),
            grid: None,
            range: None,
            points: Vec::new(),
            equal_axes: false,
            has_colour_bar: true,
            size: PLANE_SIZE,
            caption: String::new(),
        }
    }

    /// Sets the values.
    pub fn grid(mut self, grid: Grid<f64>) -> Self {
        self.grid = Some(grid);
        self
    }

    /// Fixes the values at the ends of the colours.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Marks a point.
    pub fn point(mut self, name: impl Into<String>, x: f64, y: f64) -> Self {
        self.points.push(MarkedPoint { name: name.into(), at: (x, y) });
        self
    }

    /// Makes a unit as long on both axes.
    pub fn equal_axes(mut self) -> Self {
        self.equal_axes = true;
        self
    }

    /// Leaves out the colour bar, where several pictures share one.
    pub fn without_colour_bar(mut self) -> Self {
        self.has_colour_bar = false;
        self
    }

    /// Sets width and height in pixels without the legend, 240 to 2000 each.
    /// Letters keep their size.
    pub fn size(mut self, width: f64, height: f64) -> Self {
        self.size = (width, height);
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
        let drawn = self.grid.as_ref().and_then(|grid| Some((grid, grid.range()?)));
        let Some((grid, data)) = drawn else {
            return self.empty();
        };
        let colours = colours(self.range, data);
        let points = visible(&self.points, grid);
        let mut entries = point_entries(&points);
        if self.missing() > 0 {
            entries.push(Entry {
                symbol: Symbol::Swatch(hex(NOT_DRAWABLE)),
                name: "no value".to_string(),
            });
        }
        let mut frame = self.frame(grid.x_range(), grid.y_range(), entries);
        frame.bar = self.bar(colours, &[]);
        let (mut drawing, plane) = frame.begin();
        let iso = IsoLines::new(grid, (colours.low, colours.high), &plane);
        let marks: Vec<f64> = iso.lines.iter().map(|(level, _)| *level).collect();
        frame.bar = self.bar(colours, &marks);
        drawing.image(plane.area, image(grid, &plane, colours, &self.title)?);
        for (level, lines) in &iso.lines {
            for line in lines {
                drawing.polyline(line, colours.ink_on(*level), 1.0);
            }
        }
        draw_points(&mut drawing, &plane, &points);
        frame.end(&mut drawing, &plane);
        let caption = self.full_caption(colours, iso.step, points.len());
        drawing.finish(&self.title, caption, self.alt(Some(data)), self.csv())
    }

    fn empty(&self) -> Result<Figure, ReportError> {
        let ends = |range: Option<(f64, f64)>| range.unwrap_or((0.0, 1.0));
        let x = ends(self.grid.as_ref().map(Grid::x_range));
        let y = ends(self.grid.as_ref().map(Grid::y_range));
        let frame = self.frame(x, y, Vec::new());
        let (mut drawing, plane) = frame.begin();
        frame.end(&mut drawing, &plane);
        no_data(&mut drawing, plane.area.middle());
        let caption = match left_out(self.missing(), "value", false) {
            Some(remark) => add_sentence(&self.caption, &remark),
            None => self.caption.clone(),
        };
        drawing.finish(&self.title, caption, self.alt(None), self.csv())
    }

    fn frame(&self, x: (f64, f64), y: (f64, f64), entries: Vec<Entry>) -> PlaneFrame<'_> {
        let size = drawn_size(self.size);
        PlaneFrame {
            title: &self.title,
            x_label: &self.x_label,
            y_label: &self.y_label,
            x,
            y,
            y_unit: Unit::Number,
            size,
            equal: self.equal_axes,
            bar: None,
            legend: Legend::new(entries, size.0 - 2.0 * GAP),
        }
    }

    fn bar<'a>(&'a self, colours: Colours, marks: &'a [f64]) -> Option<ColourBar<'a>> {
        self.has_colour_bar.then_some(ColourBar { colours, label: &self.value_label, marks })
    }

    /// Values that cannot be drawn.
    fn missing(&self) -> usize {
        let values = self.grid.iter().flat_map(|grid| grid.values());
        values.filter(|&&v| !drawable(v, Scale::Linear)).count()
    }

    fn full_caption(&self, colours: Colours, step: Option<f64>, shown: usize) -> String {
        let values = self.grid.iter().flat_map(|grid| grid.values());
        let step = step.map(|step| format!("Iso-lines every {}.", plain(step)));
        let remarks = [
            step,
            beyond(values, colours),
            left_out(self.missing(), "value", false),
            outside(self.points.len() - shown, "point"),
        ];
        let remarks = remarks.into_iter().flatten();
        remarks.fold(self.caption.clone(), |caption, remark| add_sentence(&caption, &remark))
    }

    fn alt(&self, data: Option<(f64, f64)>) -> String {
        let what = match data {
            Some((low, high)) => format!("{} from {low:.4} to {high:.4}", self.value_label),
            None => "no data".to_string(),
        };
        let names: Vec<&str> = self.points.iter().map(|point| point.name.as_str()).collect();
        let marked = if names.is_empty() {
            String::new()
        } else {
            format!(" Marked: {}.", names.join(", "))
        };
        format!(
            "Contour plot: {}. {what} over {} and {}.{marked}",
            self.title, self.x_label, self.y_label
        )
    }

    /// `kind,name,x,y,value`: a row a node, then a row a point, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["kind", "name", "x", "y", "value"]);
        csv += &self.grid.as_ref().map_or_else(String::new, value_records);
        csv + &point_records(&self.points)
    }
}

/// A round number as a person would write it.
fn plain(step: f64) -> String {
    if (1e-3..1e6).contains(&step) {
        // Multiples of powers of ten have digits that are not theirs.
        let text = format!("{step:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{step:.0e}")
    }
}
