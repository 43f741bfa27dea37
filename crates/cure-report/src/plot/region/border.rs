//! Where one class ends and the next begins.
//!
//! Classes are known at the nodes. Between two nodes of different class the
//! border passes the middle; a node whose two neighbours in a cell agree with
//! each other is cut off straight. Image and lines follow the same rule.

use crate::plot::grid::{Cell, Grid};
use crate::plot::sketch::Plane;
use crate::plot::trace::{join, simplify};

/// Pixels by which a line may be off.
const TOLERANCE: f64 = 0.1;

/// For each corner of a cell, in the order of [`Grid::corners`], its neighbours
/// along x and along y.
const NEIGHBOURS: [(usize, usize); 4] = [(1, 2), (0, 3), (3, 0), (2, 1)];

/// Which corners are cut off from their cell.
fn cut_off(corners: [usize; 4]) -> [bool; 4] {
    let [a, b, c, d] = corners;
    // Two and two opposite corners: the second pair hangs together.
    if a == d && b == c {
        return [a != b, false, false, a != b];
    }
    std::array::from_fn(|corner| {
        let (beside, above) = NEIGHBOURS[corner];
        corners[corner] != corners[beside] && corners[beside] == corners[above]
    })
}

/// The class at a point of the plane.
pub(super) fn class_at(grid: &Grid<usize>, x: f64, y: f64) -> usize {
    let Cell { column, row, u, v } = grid.cell(x, y);
    let corners = grid.corners(column, row);
    let nearest = usize::from(u > 0.5) + 2 * usize::from(v > 0.5);
    let (from_x, from_y) = (u.min(1.0 - u), v.min(1.0 - v));
    if cut_off(corners)[nearest] && from_x + from_y > 0.5 {
        corners[NEIGHBOURS[nearest].0]
    } else {
        corners[nearest]
    }
}

/// The borders as lines in pixels.
pub(super) fn lines(grid: &Grid<usize>, plane: &Plane) -> Vec<Vec<(f64, f64)>> {
    // Nodes, middles of edges and middles of cells are the nodes of a grid twice as fine.
    let wide = 2 * grid.x().len() - 1;
    let lines = join(&segments(grid, wide));
    let half = |axis: &[f64], i: usize| (axis[i / 2] + axis[i.div_ceil(2)]) / 2.0;
    let place = |point: usize| {
        let (x, y) = (half(grid.x(), point % wide), half(grid.y(), point / wide));
        plane.place(x, y)
    };
    let placed = |line: Vec<usize>| line.into_iter().map(place).collect::<Vec<_>>();
    lines.into_iter().map(|line| simplify(&placed(line), TOLERANCE)).collect()
}

fn segments(grid: &Grid<usize>, wide: usize) -> Vec<(usize, usize)> {
    let mut segments = Vec::new();
    for row in 0..grid.y().len() - 1 {
        for column in 0..grid.x().len() - 1 {
            let corners = grid.corners(column, row);
            let point = |dx: usize, dy: usize| (2 * row + dy) * wide + 2 * column + dx;
            let (bottom, left) = (point(1, 0), point(0, 1));
            let (right, top, middle) = (point(2, 1), point(1, 2), point(1, 1));
            // The two edges that meet at each corner.
            let edges = [(bottom, left), (bottom, right), (top, left), (top, right)];
            let cuts = cut_off(corners);
            if cuts.contains(&true) {
                segments.extend((0..4).filter(|&c| cuts[c]).map(|c| edges[c]));
                continue;
            }
            let [a, b, c, d] = corners;
            let crossed = [(bottom, a != b), (right, b != d), (top, c != d), (left, a != c)];
            let halves = crossed.into_iter().filter(|(_, is_crossed)| *is_crossed);
            segments.extend(halves.map(|(edge, _)| (edge, middle)));
        }
    }
    segments
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cell(corners: [usize; 4]) -> Grid<usize> {
        Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], corners.to_vec()).unwrap()
    }

    #[test]
    fn borders_are_half_way_and_corners_are_cut() {
        let halves = cell([0, 1, 0, 1]);
        assert_eq!(class_at(&halves, 0.49, 0.9), 0);
        assert_eq!(class_at(&halves, 0.51, 0.1), 1);
        // (0.5, 0) and (0.5, 1), by way of the middle.
        assert_eq!(segments(&halves, 3), [(1, 4), (7, 4)]);

        let corner = cell([5, 2, 2, 2]);
        assert_eq!(class_at(&corner, 0.2, 0.2), 5);
        assert_eq!(class_at(&corner, 0.3, 0.3), 2);
        assert_eq!(segments(&corner, 3), [(1, 3)]);
    }

    #[test]
    fn opposite_corners_and_three_classes() {
        let saddle = cell([1, 0, 0, 1]);
        assert_eq!(class_at(&saddle, 0.4, 0.4), 0);
        assert_eq!(class_at(&saddle, 0.9, 0.8), 1);
        assert_eq!(segments(&saddle, 3), [(1, 3), (7, 5)]);
        let three = cell([0, 1, 2, 2]);
        assert_eq!([class_at(&three, 0.4, 0.4), class_at(&three, 0.6, 0.4)], [0, 1]);
        assert_eq!(segments(&three, 3).len(), 3);
        assert!(segments(&cell([3; 4]), 3).is_empty());
    }
}
