//! The box behind a surface, its ticks and its labels.

use super::view::View;
use crate::plot::axis::{Tick, ticks};
use crate::plot::sketch::{AXIS, Drawing, Letters, fit_text, text_width};
use crate::plot::{LABEL_SIZE, TICK_SIZE, Unit};
use crate::text::clean;

/// Ticks aimed for along an edge.
const TICKS: usize = 5;
/// Pixels from an edge to the numbers.
const NUMBERS: f64 = 10.0;

/// One of the three axes.
pub(super) struct BoxAxis<'a> {
    pub(super) label: &'a str,
    pub(super) range: (f64, f64),
}

impl BoxAxis<'_> {
    /// From −1 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        2.0 * (value - self.range.0) / (self.range.1 - self.range.0) - 1.0
    }

    /// Pixels that the longest number and a long label take beside the box.
    pub(super) fn overhang(&self) -> f64 {
        let ticks = self.ticks(f64::INFINITY);
        let widest = ticks.iter().map(|t| text_width(&t.label, TICK_SIZE)).fold(0.0, f64::max);
        // A long label runs along the numbers as far as the end of its edge.
        let is_long = text_width(self.label, LABEL_SIZE) > 80.0;
        NUMBERS + widest + if is_long { 1.4 * f64::from(LABEL_SIZE) } else { 0.0 }
    }

    fn ticks(&self, length: f64) -> Vec<Tick> {
        let most = ((length / 45.0) as usize).clamp(2, TICKS);
        ticks(self.range.0, self.range.1, most, Unit::Number)
    }
}

/// Draws floor and back walls with lines at the ticks, numbers and labels.
pub(super) fn draw(drawing: &mut Drawing, view: &View, axes: &[BoxAxis; 3]) {
    let near = [view.side(0), view.side(1), view.side(2)];
    // The wall across each axis, away from the reader.
    for across in 0..3 {
        let (a, b) = ((across + 1) % 3, (across + 2) % 3);
        let corner = |s: f64, t: f64| {
            let mut at = [0.0; 3];
            at[across] = -near[across];
            (at[a], at[b]) = (s, t);
            view.place(at)
        };
        let corners = [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
        let fill = ["#f4f4f4", "#f9f9f9", "#eeeeee"][across];
        drawing.polygon(&corners, fill, Some(("#b8b8b8", 1.0)));
        for tick in axes[a].ticks(edge_length(view, a)) {
            let at = axes[a].share(tick.at);
            drawing.line(corner(at, -1.0), corner(at, 1.0), "#d6d6d6", 1.0, &[]);
        }
        for tick in axes[b].ticks(edge_length(view, b)) {
            let at = axes[b].share(tick.at);
            drawing.line(corner(-1.0, at), corner(1.0, at), "#d6d6d6", 1.0, &[]);
        }
    }
    for axis in 0..3 {
        draw_edge(drawing, view, axis, &axes[axis]);
    }
}

fn edge_length(view: &View, axis: usize) -> f64 {
    let mut ends = [[0.0; 3]; 2];
    (ends[0][axis], ends[1][axis]) = (-1.0, 1.0);
    let (from, to) = (view.place(ends[0]), view.place(ends[1]));
    (to.0 - from.0).hypot(to.1 - from.1)
}

/// The edge that carries the numbers of an axis: of x and y the near one of the
/// floor, of z the leftmost.
fn edge(view: &View, axis: usize) -> impl Fn(f64) -> (f64, f64) {
    let mut at = [view.side(0), view.side(1), -1.0];
    if axis == 2 {
        let x = |a: f64, b: f64| view.place([a, b, 0.0]).0;
        let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)];
        let left = corners.into_iter().min_by(|p, q| x(p.0, p.1).total_cmp(&x(q.0, q.1)));
        (at[0], at[1]) = left.unwrap_or((-1.0, -1.0));
    }
    let view = *view;
    move |share| {
        let mut at = at;
        at[axis] = share;
        view.place(at)
    }
}

fn draw_edge(drawing: &mut Drawing, view: &View, axis: usize, of: &BoxAxis) {
    let place = edge(view, axis);
    let (from, to) = (place(-1.0), place(1.0));
    drawing.line(from, to, AXIS, 1.4, &[]);
    let tick_size = f64::from(TICK_SIZE);
    let ticks = of.ticks(edge_length(view, axis));
    let widest = ticks.iter().map(|t| text_width(&t.label, TICK_SIZE)).fold(0.0, f64::max);
    if axis == 2 {
        for tick in &ticks {
            let (x, y) = place(of.share(tick.at));
            drawing.line((x - 5.0, y), (x, y), AXIS, 1.2, &[]);
            drawing.text(x - 9.0, y + 0.35 * tick_size, &tick.label, Letters::end(TICK_SIZE));
        }
        let length = (to.1 - from.1).abs();
        let label = fit_text(&clean(of.label), LABEL_SIZE, 2.0 * length);
        let x = from.0 - 9.0 - widest - NUMBERS;
        let letters = Letters::middle(LABEL_SIZE).turned(-90.0);
        drawing.text(x, (from.1 + to.1) / 2.0, &label, letters);
        return;
    }
    // Out of the box, across the edge and down.
    let length = (to.0 - from.0).hypot(to.1 - from.1).max(1.0);
    let along = ((to.0 - from.0) / length, (to.1 - from.1) / length);
    let down = if along.0 < 0.0 { -1.0 } else { 1.0 };
    let out = (-down * along.1, down * along.0);
    for tick in &ticks {
        let (x, y) = place(of.share(tick.at));
        drawing.line((x, y), (x + 5.0 * out.0, y + 5.0 * out.1), AXIS, 1.2, &[]);
        let (x, y) = (x + NUMBERS * out.0, y + NUMBERS * out.1 + 0.6 * tick_size);
        let letters = match out.0 {
            aside if aside > 0.2 => Letters::start(TICK_SIZE),
            aside if aside < -0.2 => Letters::end(TICK_SIZE),
            _ => Letters::middle(TICK_SIZE),
        };
        drawing.text(x, y, &tick.label, letters);
    }
    let away = NUMBERS + 1.15 * tick_size + widest * out.0.abs() + 0.8 * f64::from(LABEL_SIZE);
    let middle = place(0.0);
    let label = fit_text(&clean(of.label), LABEL_SIZE, 1.1 * length);
    let turn = (down * along.1).atan2(down * along.0).to_degrees();
    let (x, y) = (middle.0 + away * out.0, middle.1 + away * out.1);
    drawing.text(x, y, &label, Letters::middle(LABEL_SIZE).turned(turn));
}
