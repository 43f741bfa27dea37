//! Points and arrows that are named in a plane.

use super::grid::Grid;
use super::sketch::{Drawing, Entry, Plane, Shape, Symbol};
use crate::text::csv_record;

/// Radius of a marked point in pixels.
const RADIUS: f64 = 6.5;
/// Dashes that tell arrows apart.
const DASHES: [&[f64]; 4] = [&[], &[5.0, 3.0], &[2.0, 3.0], &[7.0, 3.0, 2.0, 3.0]];

/// A named point of a plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MarkedPoint {
    /// Name in the legend; empty for none.
    pub name: String,
    /// Where it is.
    pub at: (f64, f64),
}

/// A named arrow in a plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arrow {
    /// Name in the legend; empty for none.
    pub name: String,
    /// Where it begins.
    pub from: (f64, f64),
    /// Where its tip is.
    pub to: (f64, f64),
}

/// The points within the grid, each with the shape of its place in the list.
pub(super) fn visible<'a, T: Copy>(
    points: &'a [MarkedPoint],
    grid: &Grid<T>,
) -> Vec<(Shape, &'a MarkedPoint)> {
    let shapes = points.iter().enumerate().map(|(i, point)| (Shape::of(i), point));
    shapes.filter(|(_, point)| grid.contains(point.at)).collect()
}

pub(super) fn point_entries(points: &[(Shape, &MarkedPoint)]) -> Vec<Entry> {
    let entry = |(shape, point): &(Shape, &MarkedPoint)| Entry {
        symbol: Symbol::Marker(*shape),
        name: point.name.clone(),
    };
    points.iter().map(entry).collect()
}

pub(super) fn draw_points(drawing: &mut Drawing, plane: &Plane, points: &[(Shape, &MarkedPoint)]) {
    for (shape, point) in points {
        let (x, y) = plane.place(point.at.0, point.at.1);
        shape.draw(drawing, x, y, RADIUS);
    }
}

/// An arrow cut off at the edges of the grid, and its dashes.
pub(super) struct ShownArrow<'a> {
    arrow: &'a Arrow,
    from: (f64, f64),
    to: (f64, f64),
    dashes: &'static [f64],
}

/// What can be seen of the arrows.
pub(super) fn visible_arrows<'a, T: Copy>(
    arrows: &'a [Arrow],
    grid: &Grid<T>,
) -> Vec<ShownArrow<'a>> {
    let shown = arrows.iter().enumerate().filter_map(|(i, arrow)| {
        let (from, to) = cut(arrow, grid)?;
        Some(ShownArrow { arrow, from, to, dashes: DASHES[i % DASHES.len()] })
    });
    shown.collect()
}

pub(super) fn arrow_entries(arrows: &[ShownArrow]) -> Vec<Entry> {
    let entry =
        |a: &ShownArrow| Entry { symbol: Symbol::Arrow(a.dashes), name: a.arrow.name.clone() };
    arrows.iter().map(entry).collect()
}

/// Draws the arrows; a tip at a marked point ends at the marker's edge.
pub(super) fn draw_arrows(
    drawing: &mut Drawing,
    plane: &Plane,
    arrows: &[ShownArrow],
    points: &[(Shape, &MarkedPoint)],
) {
    for arrow in arrows {
        let place = |(x, y)| plane.place(x, y);
        let (from, mut to) = (place(arrow.from), place(arrow.to));
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let meets = |(_, point): &(Shape, &MarkedPoint)| {
            let at = place(point.at);
            (at.0 - to.0).hypot(at.1 - to.1) < RADIUS
        };
        if length > 3.0 * RADIUS && points.iter().any(meets) {
            let share = 1.0 - (RADIUS + 2.0) / length;
            to = (from.0 + share * dx, from.1 + share * dy);
        }
        drawing.arrow(from, to, arrow.dashes);
    }
}

/// The part of an arrow inside the grid (Liang and Barsky).
fn cut<T: Copy>(arrow: &Arrow, grid: &Grid<T>) -> Option<((f64, f64), (f64, f64))> {
    let (from, to) = (arrow.from, arrow.to);
    let (mut first, mut last) = (0.0f64, 1.0f64);
    for (a, b, (low, high)) in [(from.0, to.0, grid.x_range()), (from.1, to.1, grid.y_range())] {
        if !(a.is_finite() && b.is_finite()) {
            return None;
        }
        let length = b - a;
        if length == 0.0 {
            if a < low || a > high {
                return None;
            }
            continue;
        }
        let (s, t) = ((low - a) / length, (high - a) / length);
        first = first.max(s.min(t));
        last = last.min(s.max(t));
    }
    let at = |share: f64| (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
    (first < last).then(|| (at(first), at(last)))
}

/// A sentence on marks of which nothing can be seen, or nothing.
pub(super) fn outside(count: usize, what: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {what} is left out (not in the plane shown).")),
        n => Some(format!("{n} {what}s are left out (not in the plane shown).")),
    }
}

/// Rows `kind,name,x,y,value` of a CSV for the points, value empty.
pub(super) fn point_records(points: &[MarkedPoint]) -> String {
    let record = |point: &MarkedPoint| {
        let (x, y) = (point.at.0.to_string(), point.at.1.to_string());
        csv_record(["point", point.name.as_str(), &x, &y, ""])
    };
    points.iter().map(record).collect()
}

/// Rows `kind,name,x,y,value` of a CSV for both ends of the arrows, value empty.
pub(super) fn arrow_records(arrows: &[Arrow]) -> String {
    let mut csv = String::new();
    for arrow in arrows {
        for (kind, (x, y)) in [("arrow from", arrow.from), ("arrow to", arrow.to)] {
            csv += &csv_record([kind, arrow.name.as_str(), &x.to_string(), &y.to_string(), ""]);
        }
    }
    csv
}
