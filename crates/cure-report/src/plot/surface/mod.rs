//! A function on a plane as a surface in space.

mod mesh;
mod view;
mod walls;

use super::grid::Grid;
use super::marks::{MarkedPoint, outside, point_entries, point_records, visible};
use super::size::{PLANE_SIZE, drawn_size};
use super::sketch::{
    Area, ColourBar, Colours, Drawing, GAP, Legend, bar_width, draw_bar, draw_title, title_lines,
};
use super::values::{beyond, colours, no_data, value_records};
use super::{LABEL_SIZE, Scale, TICK_SIZE, axis::drawable, left_out};
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};
use mesh::Mesh;
use view::View;
use walls::BoxAxis;

/// From where a surface is seen: azimuth and elevation in degrees.
const USUAL_VIEW: (f64, f64) = (-60.0, 28.0);
/// Radius of a marked point in pixels.
const RADIUS: f64 = 6.5;

/// A surface above a plane, with colours (viridis) by height.
///
/// ```
/// use cure_report::plot::{Grid, SurfacePlot};
/// let axis: Vec<f64> = (-5..=5).map(f64::from).collect();
/// let bowl = Grid::from_fn(axis.clone(), axis, |r, v| r * r + 0.1 * v * v)?;
/// let figure = SurfacePlot::new("Loss", "r (ℓ2)", "v (ℓ2)", "loss")
///     .grid(bowl)
///     .point("image", 0.0, 0.0)
///     .range(0.0, 30.0)
///     .draw()?;
/// assert!(figure.svg().ends_with("</svg>"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SurfacePlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Label of the y axis, with its unit.
    pub y_label: String,
    /// Label of the heights, with their unit.
    pub value_label: String,
    /// The heights; none give a (marked) empty figure.
    pub grid: Option<Grid<f64>>,
    /// Ends of the heights and of the colours, for pictures that are to be
    /// compared; from the data when absent or unusable.
    pub range: Option<(f64, f64)>,
    /// Marked points of the plane, drawn on the surface, each with its own shape.
    pub points: Vec<MarkedPoint>,
    /// Azimuth and elevation of the reader in degrees.
    pub view: (f64, f64),
    /// Whether the colour bar is drawn.
    pub has_colour_bar: bool,
    /// Width and height in pixels without the legend.
    pub size: (f64, f64),
    /// What the reader should see.
    pub caption: String,
}

impl SurfacePlot {
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
            view: USUAL_VIEW,
            has_colour_bar: true,
            size: PLANE_SIZE,
            caption: String::new(),
        }
    }

    /// Sets the heights.
    pub fn grid(mut self, grid: Grid<f64>) -> Self {
        self.grid = Some(grid);
        self
    }

    /// Fixes the ends of the heights and of the colours.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Marks the point of the surface above a point of the plane.
    pub fn point(mut self, name: impl Into<String>, x: f64, y: f64) -> Self {
        self.points.push(MarkedPoint { name: name.into(), at: (x, y) });
        self
    }

    /// Sets from where the surface is seen, in degrees: the azimuth from the x
    /// axis towards the y axis, kept 10° away from both, and the elevation
    /// above the plane, 10° to 70°.
    pub fn view(mut self, azimuth: f64, elevation: f64) -> Self {
        self.view = (azimuth, elevation);
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
        let data = drawn.map_or((0.0, 1.0), |(_, data)| data);
        let colours = colours(self.range, data);
        let points: Vec<_> = drawn.map_or(Vec::new(), |(grid, _)| {
            let on_surface = |p: &MarkedPoint| grid.interpolate(p.at.0, p.at.1).is_finite();
            visible(&self.points, grid).into_iter().filter(|(_, p)| on_surface(p)).collect()
        });
        let size = drawn_size(self.size);
        let legend = Legend::new(point_entries(&points), size.0 - 2.0 * GAP);
        let mut drawing = Drawing::new(size.0, size.1 + legend.height());
        let ends = |range: Option<(f64, f64)>| range.unwrap_or((0.0, 1.0));
        let axes = [
            BoxAxis { label: &self.x_label, range: ends(self.grid.as_ref().map(Grid::x_range)) },
            BoxAxis { label: &self.y_label, range: ends(self.grid.as_ref().map(Grid::y_range)) },
            BoxAxis { label: &self.value_label, range: (colours.low, colours.high) },
        ];
        let area = self.begin(&mut drawing, size, drawn.map(|_| colours), axes[1].overhang());
        let view = View::new(self.view, area);
        walls::draw(&mut drawing, &view, &axes);
        let mut remarks = Vec::new();
        if let Some((grid, _)) = drawn {
            let mesh = Mesh::new(grid, &view, &axes);
            mesh.draw(&mut drawing, colours);
            if mesh.stride > 1 {
                remarks.push(format!("The surface is drawn at every {} node.", nth(mesh.stride)));
            }
            for (shape, point) in &points {
                let (x, y) = point.at;
                let value = grid.interpolate(x, y).clamp(colours.low, colours.high);
                let place = view.place([axes[0].share(x), axes[1].share(y), axes[2].share(value)]);
                shape.draw(&mut drawing, place.0, place.1, RADIUS);
                let cell = grid.cell(x, y);
                if mesh.covers(place, cell.column, cell.row) {
                    remarks.push(format!("The point '{}' is behind the surface.", point.name));
                }
            }
        } else {
            no_data(&mut drawing, area.middle());
        }
        legend.draw(&mut drawing, size.0 / 2.0, size.1 - GAP / 2.0);
        let values = || self.grid.iter().flat_map(|grid| grid.values());
        let missing = values().filter(|&&v| !drawable(v, Scale::Linear)).count();
        remarks.extend(beyond(values(), colours));
        remarks.extend(left_out(missing, "value", false));
        if drawn.is_some() {
            remarks.extend(outside(self.points.len() - points.len(), "point"));
        }
        let caption = remarks
            .iter()
            .fold(self.caption.clone(), |caption, remark| add_sentence(&caption, remark));
        drawing.finish(&self.title, caption, self.alt(drawn.map(|(_, data)| data)), self.csv())
    }

    /// Draws title and colour bar, the latter `overhang` away from the box; gives
    /// the area that is left for the box.
    fn begin(
        &self,
        drawing: &mut Drawing,
        size: (f64, f64),
        colours: Option<Colours>,
        overhang: f64,
    ) -> Area {
        let (lines, title) = title_lines(&self.title, size.0);
        draw_title(drawing, &lines, size.0 / 2.0);
        let (tick, label) = (f64::from(TICK_SIZE), f64::from(LABEL_SIZE));
        let below = 1.2 * tick + 1.2 * label + GAP;
        let height = (size.1 - title - GAP - below).max(60.0);
        let shown = colours.filter(|_| self.has_colour_bar);
        let bar = shown.map(|colours| ColourBar { colours, label: "", marks: &[] });
        // The numbers at the near edge hang over it.
        let right = bar_width(bar.as_ref(), 0.8 * height) + overhang;
        let left = label + 3.4 * tick + GAP;
        let width = (size.0 - left - right).max(60.0);
        let area = Area { left, top: title + GAP, width, height };
        if let Some(bar) = &bar {
            let beside = Area {
                top: (area.top + 0.1 * height).round(),
                width: width + overhang,
                height: (0.8 * height).round(),
                ..area
            };
            draw_bar(drawing, bar, beside);
        }
        area
    }

    fn alt(&self, data: Option<(f64, f64)>) -> String {
        let what = match data {
            Some((low, high)) => format!("{} from {low:.4} to {high:.4}", self.value_label),
            None => "no data".to_string(),
        };
        format!("Surface: {}. {what} over {} and {}.", self.title, self.x_label, self.y_label)
    }

    /// `kind,name,x,y,value`: a row a node, then a row a point, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["kind", "name", "x", "y", "value"]);
        csv += &self.grid.as_ref().map_or_else(String::new, value_records);
        csv + &point_records(&self.points)
    }
}

fn nth(number: usize) -> String {
    match number {
        2 => "2nd".to_string(),
        3 => "3rd".to_string(),
        n => format!("{n}th"),
    }
}
