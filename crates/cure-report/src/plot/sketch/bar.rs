//! What the colours of a picture are worth.

use super::plane::{GAP, MARK, count, label_room, widest};
use super::{AXIS, Area, Colours, Drawing, LABEL_SIZE, Letters, Raster, TICK_SIZE, fit_text};
use crate::plot::Unit;
use crate::plot::axis::{Tick, ticks};
use crate::text::clean;

/// Width of a colour bar in pixels.
const BAR: f64 = 18.0;

/// A range of colours and what it shows.
pub(in crate::plot) struct ColourBar<'a> {
    pub(in crate::plot) colours: Colours,
    pub(in crate::plot) label: &'a str,
    /// Values marked on the bar: those of iso-lines.
    pub(in crate::plot) marks: &'a [f64],
}

/// Room that a colour bar with its numbers and its label takes.
pub(in crate::plot) fn bar_width(bar: Option<&ColourBar>, height: f64) -> f64 {
    bar.map_or(0.0, |bar| {
        let labels = bar_ticks(bar, height);
        2.0 * GAP + BAR + MARK + 4.0 + widest(&labels) + label_room(bar.label)
    })
}

fn bar_ticks(bar: &ColourBar, height: f64) -> Vec<Tick> {
    ticks(bar.colours.low, bar.colours.high, count(height), Unit::Number)
}

/// A colour bar to the right of an area.
pub(in crate::plot) fn draw_bar(drawing: &mut Drawing, bar: &ColourBar, beside: Area) {
    let left = (beside.right() + 2.0 * GAP).round();
    let area = Area { left, width: BAR, ..beside };
    let (width, height) = (area.width as usize, area.height.max(1.0) as usize);
    let Colours { low, high } = bar.colours;
    let dot = |_, row: usize| {
        let share = 1.0 - (row as f64 + 0.5) / height as f64;
        bar.colours.dot(low + share * (high - low))
    };
    drawing.image(area, Raster::new(width, height, Colours::palette(), dot));
    let y_of = |value: f64| area.bottom() - area.height * (value - low) / (high - low);
    for &value in bar.marks {
        let y = y_of(value);
        drawing.line((left, y), (area.right(), y), bar.colours.ink_on(value), 1.0, &[]);
    }
    drawing.rectangle(area, "none", Some(AXIS));
    let labels = bar_ticks(bar, area.height);
    for tick in &labels {
        let y = y_of(tick.at);
        drawing.line((area.right(), y), (area.right() + MARK, y), AXIS, 1.2, &[]);
        let (x, y) = (area.right() + MARK + 4.0, y + 0.35 * f64::from(TICK_SIZE));
        drawing.text(x, y, &tick.label, Letters::start(TICK_SIZE));
    }
    let x = area.right() + MARK + 4.0 + widest(&labels) + GAP + 0.75 * f64::from(LABEL_SIZE);
    let label = fit_text(&clean(bar.label), LABEL_SIZE, area.bottom() + area.top);
    drawing.text(x, area.middle().1, &label, Letters::middle(LABEL_SIZE).turned(-90.0));
}

/// Room that a lying colour bar takes.
pub(in crate::plot) fn lying_bar_height() -> f64 {
    BAR + MARK + 1.3 * f64::from(TICK_SIZE) + 1.5 * f64::from(LABEL_SIZE) + 2.0 * GAP
}

/// A colour bar that lies in an area, with numbers and label beneath it.
pub(in crate::plot) fn draw_bar_beneath(drawing: &mut Drawing, bar: &ColourBar, area: Area) {
    let (width, height) = (area.width.max(1.0) as usize, area.height as usize);
    let Colours { low, high } = bar.colours;
    let dot = |column: usize, _| {
        let share = (column as f64 + 0.5) / width as f64;
        bar.colours.dot(low + share * (high - low))
    };
    drawing.image(area, Raster::new(width, height, Colours::palette(), dot));
    drawing.rectangle(area, "none", Some(AXIS));
    let tick_size = f64::from(TICK_SIZE);
    for tick in bar_ticks(bar, area.width) {
        let x = area.left + area.width * (tick.at - low) / (high - low);
        let bottom = area.bottom();
        drawing.line((x, bottom), (x, bottom + MARK), AXIS, 1.2, &[]);
        let y = bottom + MARK + 1.05 * tick_size;
        drawing.text(x, y, &tick.label, Letters::middle(TICK_SIZE));
    }
    let label = fit_text(&clean(bar.label), LABEL_SIZE, area.left + area.right());
    let y = area.bottom() + MARK + 1.3 * tick_size + 1.1 * f64::from(LABEL_SIZE);
    drawing.text(area.middle().0, y, &label, Letters::middle(LABEL_SIZE));
}
