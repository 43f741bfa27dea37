//! The pieces of a surface, from the farthest to the nearest.

use super::view::View;
use super::walls::BoxAxis;
use crate::plot::Scale;
use crate::plot::axis::drawable;
use crate::plot::grid::Grid;
use crate::plot::sketch::{Colours, Drawing, hex};

/// Most pieces along a side: more would be smaller than they can be printed,
/// and the SVG as large as that of a photograph.
const MOST_PIECES: usize = 50;

/// A piece: its corners in the picture and its mean value.
pub(super) struct Piece {
    pub(super) corners: [(f64, f64); 4],
    value: f64,
    /// Lower left and upper right end of its nodes.
    columns: (usize, usize),
    rows: (usize, usize),
}

/// A surface in the order in which its pieces cover one another.
pub(super) struct Mesh {
    pub(super) pieces: Vec<Piece>,
    /// Nodes from one corner of a piece to the next.
    pub(super) stride: usize,
}

impl Mesh {
    pub(super) fn new(grid: &Grid<f64>, view: &View, axes: &[BoxAxis; 3]) -> Self {
        let longest = grid.x().len().max(grid.y().len()) - 1;
        let stride = longest.div_ceil(MOST_PIECES);
        // Over a grid the order of cells along each axis is the order in depth.
        let columns = spans(grid.x().len(), stride, view.side(0));
        let rows = spans(grid.y().len(), stride, view.side(1));
        let (low, high) = axes[2].range;
        let node = |column: usize, row: usize| {
            let value = grid.at(column, row).clamp(low, high);
            let (x, y) = (axes[0].share(grid.x()[column]), axes[1].share(grid.y()[row]));
            view.place([x, y, axes[2].share(value)])
        };
        let mut pieces = Vec::new();
        for &rows in &rows {
            for &columns in &columns {
                let nodes = [
                    (columns.0, rows.0),
                    (columns.1, rows.0),
                    (columns.1, rows.1),
                    (columns.0, rows.1),
                ];
                let values = nodes.map(|(column, row)| grid.at(column, row));
                if !values.iter().all(|&v| drawable(v, Scale::Linear)) {
                    continue;
                }
                let corners = nodes.map(|(column, row)| node(column, row));
                let value = values.iter().map(|v| v / 4.0).sum();
                pieces.push(Piece { corners, value, columns, rows });
            }
        }
        Self { pieces, stride }
    }

    pub(super) fn draw(&self, drawing: &mut Drawing, colours: Colours) {
        let palette = Colours::palette();
        for piece in &self.pieces {
            let colour = palette[usize::from(colours.dot(piece.value))];
            // Lines of the mesh, a little darker: they show the bends, and no
            // paper shines through between the pieces.
            let line = colour.map(|c| (f64::from(c) * 0.78) as u8);
            drawing.polygon(&piece.corners, &hex(colour), Some((&hex(line), 0.7)));
        }
    }

    /// Whether a piece nearer than the one it lies on covers a place.
    pub(super) fn covers(&self, place: (f64, f64), column: usize, row: usize) -> bool {
        let holds = |piece: &Piece| {
            let within = |(low, high): (usize, usize), at: usize| low <= at && at < high;
            within(piece.columns, column) && within(piece.rows, row)
        };
        let Some(own) = self.pieces.iter().position(holds) else { return false };
        let around = |piece: &&Piece| {
            let nearby = |(a, b): (usize, usize), at: usize| a <= at + 1 && at <= b;
            nearby(piece.columns, column) && nearby(piece.rows, row)
        };
        // Its neighbours meet it and so touch every place on its edges.
        let nearer = self.pieces[own + 1..].iter().filter(|piece| !around(piece));
        nearer.into_iter().any(|piece| is_inside(place, &piece.corners))
    }
}

/// Pairs of nodes `stride` apart, the last pair to the end, so that the pair
/// farthest from the reader comes first.
fn spans(nodes: usize, stride: usize, side: f64) -> Vec<(usize, usize)> {
    let last = nodes - 1;
    let mut spans: Vec<(usize, usize)> =
        (0..last).step_by(stride).map(|from| (from, (from + stride).min(last))).collect();
    if side < 0.0 {
        spans.reverse();
    }
    spans
}

/// Whether a point is inside a polygon (even-odd).
fn is_inside((x, y): (f64, f64), corners: &[(f64, f64)]) -> bool {
    let mut inside = false;
    for (i, &(x1, y1)) in corners.iter().enumerate() {
        let (x2, y2) = corners[(i + 1) % corners.len()];
        if (y1 > y) != (y2 > y) && x < x1 + (y - y1) / (y2 - y1) * (x2 - x1) {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_reach_both_ends_from_far_to_near() {
        assert_eq!(spans(6, 2, 1.0), [(0, 2), (2, 4), (4, 5)]);
        assert_eq!(spans(3, 1, -1.0), [(1, 2), (0, 1)]);
    }

    #[test]
    fn inside_and_outside() {
        let square = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)];
        assert!(is_inside((1.0, 1.0), &square));
        assert!(!is_inside((3.0, 1.0), &square));
    }
}
