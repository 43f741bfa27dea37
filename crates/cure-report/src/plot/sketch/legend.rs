//! What the colours and markers of a picture mean, beneath it.

use super::{Area, Drawing, INK, Letters, Shape, TICK_SIZE, fit_text, text_width};
use crate::text::clean;

/// Pixels from the left of a symbol to its name.
const SYMBOL: f64 = 34.0;
/// Pixels between entries.
const GAP: f64 = 22.0;
/// Pixels of a row.
const ROW: f64 = 1.5 * TICK_SIZE as f64;

/// What stands before a name.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::plot) enum Symbol {
    Swatch(String),
    Marker(Shape),
    Line { colour: String, dashes: &'static [f64] },
    Arrow(&'static [f64]),
}

/// A symbol and its name.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::plot) struct Entry {
    pub(in crate::plot) symbol: Symbol,
    pub(in crate::plot) name: String,
}

/// Entries in rows that are as wide as the picture allows.
pub(in crate::plot) struct Legend {
    rows: Vec<Vec<(Symbol, String)>>,
}

impl Legend {
    pub(in crate::plot) fn new(entries: Vec<Entry>, width: f64) -> Self {
        let mut rows: Vec<Vec<(Symbol, String)>> = Vec::new();
        let mut used = f64::INFINITY;
        for entry in entries {
            let name = clean(entry.name.trim());
            if name.is_empty() {
                continue;
            }
            let name = fit_text(&name, TICK_SIZE, width - SYMBOL);
            let wide = SYMBOL + text_width(&name, TICK_SIZE) + GAP;
            // The gap after the last entry of a row may be outside.
            if used + wide - GAP > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((entry.symbol, name));
            }
            used += wide;
        }
        Self { rows }
    }

    pub(in crate::plot) fn height(&self) -> f64 {
        ROW * self.rows.len() as f64
    }

    /// Draws the rows from `top` down, each in the middle of the width.
    pub(in crate::plot) fn draw(&self, drawing: &mut Drawing, middle: f64, top: f64) {
        for (i, row) in self.rows.iter().enumerate() {
            let y = top + ROW * (i as f64 + 0.5);
            let name = |text: &str| text_width(text, TICK_SIZE);
            let width: f64 = row.iter().map(|(_, text)| SYMBOL + name(text) + GAP).sum();
            let mut x = middle - (width - GAP) / 2.0;
            for (symbol, text) in row {
                symbol.draw(drawing, x, y);
                let baseline = y + 0.35 * f64::from(TICK_SIZE);
                drawing.text(x + SYMBOL, baseline, text, Letters::start(TICK_SIZE));
                x += SYMBOL + name(text) + GAP;
            }
        }
    }
}

impl Symbol {
    fn draw(&self, drawing: &mut Drawing, x: f64, y: f64) {
        let (from, to) = ((x, y), (x + SYMBOL - 8.0, y));
        match self {
            Self::Swatch(colour) => {
                let area = Area { left: x + 8.0, top: y - 7.0, width: 18.0, height: 14.0 };
                drawing.rectangle(area, colour, Some(INK));
            }
            Self::Marker(shape) => shape.draw(drawing, x + 17.0, y, 5.5),
            Self::Line { colour, dashes } => drawing.line(from, to, colour, 2.2, dashes),
            Self::Arrow(dashes) => drawing.arrow(from, to, dashes),
        }
    }
}

impl Drawing {
    /// A dark arrow with a light rim, to be seen on any colour.
    pub(in crate::plot) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), dashes: &[f64]) {
        const HEAD: f64 = 11.0;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        // Shorter ones have no direction that could be seen.
        if length <= 1.0 {
            return;
        }
        let (ux, uy) = (dx / length, dy / length);
        let head = HEAD.min(length);
        let corner = |along: f64, aside: f64| {
            (to.0 - along * ux - aside * uy, to.1 - along * uy + aside * ux)
        };
        let neck = corner(0.7 * head, 0.0);
        let tip = [to, corner(head, 0.45 * head), neck, corner(head, -0.45 * head)];
        self.line(from, neck, "#ffffff", 4.8, &[]);
        self.polygon(&tip, "#ffffff", Some(("#ffffff", 3.0)));
        self.line(from, neck, INK, 2.2, dashes);
        self.polygon(&tip, INK, None);
    }
}
