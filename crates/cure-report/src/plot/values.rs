//! What contours and surfaces share: ranges, remarks and rows of their values.

use super::axis::{drawable, open_up};
use super::grid::Grid;
use super::sketch::{Colours, Drawing, Letters};
use super::{LABEL_SIZE, Scale};
use crate::text::csv_record;

/// The range asked for, if it can be used, or else that of the data.
pub(super) fn colours(asked: Option<(f64, f64)>, data: (f64, f64)) -> Colours {
    let usable = asked.filter(|&(low, high)| {
        drawable(low, Scale::Linear) && drawable(high, Scale::Linear) && low != high
    });
    let (low, high) = usable.unwrap_or(data);
    let (low, high) = open_up(low.min(high), low.max(high));
    Colours { low, high }
}

/// A sentence on values that have the colour of an end, or nothing.
pub(super) fn beyond<'a>(
    values: impl Iterator<Item = &'a f64>,
    colours: Colours,
) -> Option<String> {
    let range = colours.low..=colours.high;
    let drawn = values.filter(|&&v| drawable(v, Scale::Linear));
    match drawn.filter(|v| !range.contains(*v)).count() {
        0 => None,
        1 => Some("1 value beyond the range is drawn as its end.".to_string()),
        n => Some(format!("{n} values beyond the range are drawn as its ends.")),
    }
}

/// Rows `kind,name,x,y,value` for the nodes.
pub(super) fn value_records(grid: &Grid<f64>) -> String {
    let mut csv = String::new();
    for (row, y) in grid.y().iter().enumerate() {
        for (column, x) in grid.x().iter().enumerate() {
            let value = grid.at(column, row).to_string();
            csv += &csv_record(["value", "", &x.to_string(), &y.to_string(), &value]);
        }
    }
    csv
}

/// Says that there is nothing to see.
pub(super) fn no_data(drawing: &mut Drawing, (x, y): (f64, f64)) {
    drawing.text(x, y, "no data", Letters::middle(LABEL_SIZE));
}
