//! Two axes around an area that is ours to fill.

use super::{
    AXIS, Area, ColourBar, Drawing, GRID, LABEL_SIZE, Legend, Letters, TICK_SIZE, TITLE_SIZE,
    bar_width, draw_bar, fit_text, text_width, wrap_text,
};
use crate::plot::Unit;
use crate::plot::axis::{Tick, ticks};
use crate::text::clean;

/// Pixels between things.
pub(in crate::plot) const GAP: f64 = 8.0;
/// Pixels of a title's line.
const TITLE_LINE: f64 = 1.25 * TITLE_SIZE as f64;
/// Pixels of a tick's mark.
pub(super) const MARK: f64 = 5.0;
/// Pixels an axis gives to each of its ticks.
const TICK_EVERY: f64 = 50.0;

/// Everything around the data.
pub(in crate::plot) struct PlaneFrame<'a> {
    pub(in crate::plot) title: &'a str,
    pub(in crate::plot) x_label: &'a str,
    pub(in crate::plot) y_label: &'a str,
    pub(in crate::plot) x: (f64, f64),
    pub(in crate::plot) y: (f64, f64),
    pub(in crate::plot) y_unit: Unit,
    /// Width and height in pixels without the legend.
    pub(in crate::plot) size: (f64, f64),
    /// Whether a unit is as long on both axes.
    pub(in crate::plot) equal: bool,
    pub(in crate::plot) bar: Option<ColourBar<'a>>,
    pub(in crate::plot) legend: Legend,
}

/// Where the data are in the picture.
pub(in crate::plot) struct Plane {
    pub(in crate::plot) area: Area,
    x: (f64, f64),
    y: (f64, f64),
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
}

impl Plane {
    pub(in crate::plot) fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low);
        let area = self.area;
        (area.left + area.width * share(x, self.x), area.bottom() - area.height * share(y, self.y))
    }

    /// The numbers at the middle of a dot of an image over the area.
    pub(in crate::plot) fn value(&self, x: f64, y: f64) -> (f64, f64) {
        let along = |share: f64, (low, high): (f64, f64)| low + share * (high - low);
        (along(x, self.x), along(1.0 - y, self.y))
    }

    /// Lines at the ticks, to lie beneath the data.
    pub(in crate::plot) fn grid(&self, drawing: &mut Drawing) {
        let area = self.area;
        for tick in &self.x_ticks {
            let x = self.place(tick.at, self.y.0).0;
            drawing.line((x, area.top), (x, area.bottom()), GRID, 1.0, &[]);
        }
        for tick in &self.y_ticks {
            let y = self.place(self.x.0, tick.at).1;
            drawing.line((area.left, y), (area.right(), y), GRID, 1.0, &[]);
        }
    }
}

pub(super) fn count(length: f64) -> usize {
    (length / TICK_EVERY).max(2.0) as usize
}

pub(super) fn label_room(label: &str) -> f64 {
    if label.trim().is_empty() { GAP } else { f64::from(LABEL_SIZE) + 1.5 * GAP }
}

pub(super) fn widest(ticks: &[Tick]) -> f64 {
    ticks.iter().map(|tick| text_width(&tick.label, TICK_SIZE)).fold(0.0, f64::max)
}

/// The title's lines, drawn at the top of the picture; gives the height they take.
pub(in crate::plot) fn title_lines(title: &str, width: f64) -> (Vec<String>, f64) {
    let lines = wrap_text(&clean(title), TITLE_SIZE, width - 2.0 * GAP);
    let height = GAP + TITLE_LINE * lines.len() as f64;
    (lines, height)
}

pub(in crate::plot) fn draw_title(drawing: &mut Drawing, lines: &[String], middle: f64) {
    for (i, line) in lines.iter().enumerate() {
        let y = GAP + TITLE_LINE * (i as f64 + 0.75);
        drawing.text(middle, y, line, Letters::middle(TITLE_SIZE));
    }
}

impl PlaneFrame<'_> {
    /// Paper with the title on it, and the area of the data.
    pub(in crate::plot) fn begin(&self) -> (Drawing, Plane) {
        let (width, height) = self.size;
        let (lines, title) = title_lines(self.title, width);
        let top = title + GAP;
        let tick = f64::from(TICK_SIZE);
        let below = MARK + 1.3 * tick + label_room(self.x_label) + GAP;
        let inner = (height - top - below).max(60.0);
        let y_ticks = ticks(self.y.0, self.y.1, count(inner), self.y_unit);
        let left = label_room(self.y_label) + widest(&y_ticks) + MARK + 6.0;
        let bar = bar_width(self.bar.as_ref(), inner);
        // The last number of the x axis hangs over its end.
        let right = if bar > 0.0 { bar } else { 3.0 * GAP };
        let room = (width - left - right).max(60.0);
        let mut area = Area { left, top, width: room.floor(), height: inner.floor() };
        if self.equal {
            let (wide, high) = (self.x.1 - self.x.0, self.y.1 - self.y.0);
            let unit = (room / wide).min(inner / high);
            // An area so thin that nothing could be seen in it is widened again.
            area.width = (unit * wide).max(60.0).floor();
            area.height = (unit * high).max(60.0).floor();
            area.left += ((room - area.width) / 2.0).floor();
            area.top += ((inner - area.height) / 2.0).floor();
        }
        area.left = area.left.round();
        area.top = area.top.round();
        let x_ticks = self.x_ticks(area.width);
        let mut drawing = Drawing::new(width, height + self.legend.height());
        draw_title(&mut drawing, &lines, width / 2.0);
        (drawing, Plane { area, x: self.x, y: self.y, x_ticks, y_ticks })
    }

    /// As many ticks as there is room for their numbers beside each other.
    fn x_ticks(&self, width: f64) -> Vec<Tick> {
        let mut chosen = Vec::new();
        for most in (2..=count(width).max(2)).rev() {
            chosen = ticks(self.x.0, self.x.1, most, Unit::Number);
            let step = width / chosen.len().max(1) as f64;
            if widest(&chosen) + 1.5 * GAP <= step {
                break;
            }
        }
        chosen
    }

    /// Draws the axes, the colour bar and the legend.
    pub(in crate::plot) fn end(&self, drawing: &mut Drawing, plane: &Plane) {
        let area = plane.area;
        drawing.rectangle(area, "none", Some(AXIS));
        let tick = f64::from(TICK_SIZE);
        for x_tick in &plane.x_ticks {
            let x = plane.place(x_tick.at, self.y.0).0;
            let bottom = area.bottom();
            drawing.line((x, bottom), (x, bottom + MARK), AXIS, 1.2, &[]);
            let y = bottom + MARK + 1.05 * tick;
            drawing.text(x, y, &x_tick.label, Letters::middle(TICK_SIZE));
        }
        for y_tick in &plane.y_ticks {
            let y = plane.place(self.x.0, y_tick.at).1;
            drawing.line((area.left - MARK, y), (area.left, y), AXIS, 1.2, &[]);
            let (x, y) = (area.left - MARK - 4.0, y + 0.35 * tick);
            drawing.text(x, y, &y_tick.label, Letters::end(TICK_SIZE));
        }
        let (x, y) = area.middle();
        let label = fit_text(&clean(self.x_label), LABEL_SIZE, self.size.0 - 2.0 * GAP);
        // A label that is longer than its axis stays inside the picture.
        let half = text_width(&label, LABEL_SIZE) / 2.0;
        let middle =
            x.clamp(half.min(self.size.0 / 2.0), (self.size.0 - half).max(self.size.0 / 2.0));
        let below = area.bottom() + MARK + 1.3 * tick + f64::from(LABEL_SIZE) + 2.0;
        drawing.text(middle, below, &label, Letters::middle(LABEL_SIZE));
        let label = fit_text(&clean(self.y_label), LABEL_SIZE, self.size.1 - 2.0 * GAP);
        let left = area.left - MARK - 6.0 - widest(&plane.y_ticks) - GAP;
        drawing.text(left, y, &label, Letters::middle(LABEL_SIZE).turned(-90.0));
        if let Some(bar) = &self.bar {
            draw_bar(drawing, bar, area);
        }
        self.legend.draw(drawing, self.size.0 / 2.0, self.size.1 - GAP / 2.0);
    }
}
