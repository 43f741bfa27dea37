//! Which class a classifier sees where in a plane.

mod border;
mod colours;

use super::Unit;
use super::grid::Grid;
use super::marks::{
    Arrow, MarkedPoint, arrow_entries, arrow_records, draw_arrows, draw_points, outside,
    point_entries, point_records, visible, visible_arrows,
};
use super::size::{PLANE_SIZE, drawn_size};
use super::sketch::{Entry, GAP, INK, Legend, PlaneFrame, Raster, Symbol};
use super::values::no_data;
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};
use border::Regions;
use colours::{ClassColours, REST};

/// Dots of the image on a side of a pixel.
const FINE: usize = 2;

/// The regions of a plane in which a classifier sees the same class.
///
/// ```
/// use cure_report::plot::{Grid, RegionPlot};
/// let axis: Vec<f64> = (-20..=20).map(|i| f64::from(i) / 4.0).collect();
/// let seen = Grid::from_fn(axis.clone(), axis, |r, v| usize::from(r > 1.0 + 0.1 * v * v))?;
/// let figure = RegionPlot::new("Regions", "along r (ℓ2)", "along v (ℓ2)", ["cat", "dog"])
///     .grid(seen)
///     .correct(0)
///     .point("image", 0.0, 0.0)
///     .arrow("r", (0.0, 0.0), (1.0, 0.0))
///     .draw()?;
/// assert!(figure.alt.contains("cat"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RegionPlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Label of the y axis, with its unit.
    pub y_label: String,
    /// Names of the classes. Up to ten have colours of their own; of more, those
    /// that fill most of the plane.
    pub names: Vec<String>,
    /// The class at each node, as a place in `names`; none give a (marked) empty figure.
    pub grid: Option<Grid<usize>>,
    /// The class that is singled out.
    pub correct: Option<usize>,
    /// Marked points, each with its own shape.
    pub points: Vec<MarkedPoint>,
    /// Arrows, each with its own dashes.
    pub arrows: Vec<Arrow>,
    /// Whether a unit is as long on both axes.
    pub equal_axes: bool,
    /// Width and height in pixels without the legend.
    pub size: (f64, f64),
    /// What the reader should see.
    pub caption: String,
}

impl RegionPlot {
    /// An empty plot.
    pub fn new<S: Into<String>>(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            names: names.into_iter().map(Into::into).collect(),
            grid: None,
            correct: None,
            points: Vec::new(),
            arrows: Vec::new(),
            equal_axes: false,
            size: PLANE_SIZE,
            caption: String::new(),
        }
    }

    /// Sets the class at each node.
    pub fn grid(mut self, grid: Grid<usize>) -> Self {
        self.grid = Some(grid);
        self
    }

    /// Singles out a class by a strong colour.
    pub fn correct(mut self, class: usize) -> Self {
        self.correct = Some(class);
        self
    }

    /// Marks a point.
    pub fn point(mut self, name: impl Into<String>, x: f64, y: f64) -> Self {
        self.points.push(MarkedPoint { name: name.into(), at: (x, y) });
        self
    }

    /// Draws an arrow.
    pub fn arrow(mut self, name: impl Into<String>, from: (f64, f64), to: (f64, f64)) -> Self {
        self.arrows.push(Arrow { name: name.into(), from, to });
        self
    }

    /// Makes a unit as long on both axes.
    pub fn equal_axes(mut self) -> Self {
        self.equal_axes = true;
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
    /// [`ReportError::Class`] when a class has no name, [`ReportError::Draw`]
    /// when the PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let counts = self.counts()?;
        let colours = ClassColours::new(&counts, self.correct);
        let Some(grid) = &self.grid else {
            let frame = self.frame((0.0, 1.0), (0.0, 1.0), Vec::new());
            let (mut drawing, plane) = frame.begin();
            frame.end(&mut drawing, &plane);
            no_data(&mut drawing, plane.area.middle());
            let alt = self.alt(&counts);
            return drawing.finish(&self.title, self.caption.clone(), alt, self.csv());
        };
        let points = visible(&self.points, grid);
        let arrows = visible_arrows(&self.arrows, grid);
        let mut entries = self.class_entries(&colours);
        entries.extend(point_entries(&points));
        entries.extend(arrow_entries(&arrows));
        let frame = self.frame(grid.x_range(), grid.y_range(), entries);
        let (mut drawing, plane) = frame.begin();

        let regions = Regions::new(grid);
        let (palette, dots) = palette(&colours, counts.len());
        let (width, height) = (FINE * plane.area.width as usize, FINE * plane.area.height as usize);
        let dot = |column: usize, row: usize| {
            let share = |i: usize, n: usize| (i as f64 + 0.5) / n as f64;
            let (x, y) = plane.value(share(column, width), share(row, height));
            dots[regions.class_at(x, y)]
        };
        drawing.image(plane.area, Raster::new(width, height, palette, dot));
        for line in regions.lines(plane.area, FINE, |x, y| plane.value(x, y))? {
            drawing.polyline(&line, INK, 1.6);
        }
        draw_arrows(&mut drawing, &plane, &arrows, &points);
        draw_points(&mut drawing, &plane, &points);
        frame.end(&mut drawing, &plane);
        let caption = self.full_caption(points.len(), arrows.len());
        drawing.finish(&self.title, caption, self.alt(&counts), self.csv())
    }

    /// Number of nodes of each class.
    fn counts(&self) -> Result<Vec<usize>, ReportError> {
        let mut counts = vec![0; self.names.len()];
        let classes = self.grid.iter().flat_map(|grid| grid.values().iter().copied());
        for class in classes.chain(self.correct) {
            let fault = ReportError::Class { class, classes: self.names.len() };
            *counts.get_mut(class).ok_or(fault)? += 1;
        }
        // The class that is singled out need not occur.
        if let Some(correct) = self.correct {
            counts[correct] -= 1;
        }
        Ok(counts)
    }

    fn class_entries(&self, colours: &ClassColours) -> Vec<Entry> {
        let swatch =
            |colour: &str, name: String| Entry { symbol: Symbol::Swatch(colour.into()), name };
        let named = colours.shown.iter().filter(|(_, colour)| *colour != REST);
        let mut entries: Vec<Entry> = named
            .map(|&(class, colour)| {
                let name = &self.names[class];
                let is_correct = self.correct == Some(class);
                let name = if is_correct { format!("{name} (correct)") } else { name.clone() };
                swatch(colour, name)
            })
            .collect();
        let rest = colours.shown.len() - entries.len();
        if rest > 0 {
            entries.push(swatch(REST, format!("{rest} other classes")));
        }
        entries
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

    fn full_caption(&self, points: usize, arrows: usize) -> String {
        let remarks = [
            outside(self.points.len() - points, "point"),
            outside(self.arrows.len() - arrows, "arrow"),
        ];
        let remarks = remarks.into_iter().flatten();
        remarks.fold(self.caption.clone(), |caption, remark| add_sentence(&caption, &remark))
    }

    fn alt(&self, counts: &[usize]) -> String {
        let all = counts.iter().sum::<usize>().max(1);
        let classes: Vec<String> = (0..counts.len())
            .filter(|&class| counts[class] > 0)
            .map(|class| {
                let correct = if self.correct == Some(class) { ", correct" } else { "" };
                let share = 100.0 * counts[class] as f64 / all as f64;
                format!("{} ({share:.1} %{correct})", self.names[class])
            })
            .collect();
        let what = if classes.is_empty() { "no data".to_string() } else { classes.join(", ") };
        format!(
            "Class regions: {}. {} and {}. Classes: {what}.",
            self.title, self.x_label, self.y_label
        )
    }

    /// `kind,name,x,y,value`: a row a node with its class and the class's name,
    /// then the points and the arrows, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["kind", "name", "x", "y", "value"]);
        if let Some(grid) = &self.grid {
            for (row, y) in grid.y().iter().enumerate() {
                for (column, x) in grid.x().iter().enumerate() {
                    let class = grid.at(column, row);
                    let name = self.names.get(class).map_or("", String::as_str);
                    let (x, y, class) = (x.to_string(), y.to_string(), class.to_string());
                    csv += &csv_record(["class", name, &x, &y, &class]);
                }
            }
        }
        csv + &point_records(&self.points) + &arrow_records(&self.arrows)
    }
}

/// Colours of an image, and the dot of each class.
fn palette(colours: &ClassColours, classes: usize) -> (Vec<[u8; 3]>, Vec<u8>) {
    let (mut palette, mut dots) = (Vec::new(), vec![0; classes]);
    for &(class, colour) in &colours.shown {
        let byte = |at: usize| u8::from_str_radix(colour.get(at..at + 2).unwrap_or("0"), 16);
        let colour = [1, 3, 5].map(|at| byte(at).unwrap_or(0));
        let place = palette.iter().position(|&c| c == colour).unwrap_or(palette.len());
        if place == palette.len() {
            palette.push(colour);
        }
        dots[class] = place as u8;
    }
    (palette, dots)
}
