//! Markers, drawn by us at any place of a picture.

use super::{Drawing, INK};

/// The outline of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plot) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
}

impl Shape {
    /// Another shape for each of a few markers.
    pub(in crate::plot) fn of(index: usize) -> Self {
        [Self::Circle, Self::Square, Self::Diamond, Self::Triangle][index % 4]
    }

    /// White with a dark outline, to be seen on any colour.
    pub(in crate::plot) fn draw(self, drawing: &mut Drawing, x: f64, y: f64, radius: f64) {
        const OUTLINE: f64 = 2.2;
        let corners: &[(f64, f64)] = match self {
            Self::Circle => {
                drawing.circle(x, y, radius, "#ffffff", INK, OUTLINE);
                return;
            }
            Self::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Self::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
            Self::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        };
        let corners: Vec<(f64, f64)> =
            corners.iter().map(|&(dx, dy)| (x + radius * dx, y + radius * dy)).collect();
        drawing.polygon(&corners, "#ffffff", None);
        let closed: Vec<(f64, f64)> = corners.iter().chain(corners.first()).copied().collect();
        drawing.polyline(&closed, INK, OUTLINE);
    }
}
