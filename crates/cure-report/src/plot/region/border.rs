//! Where one class ends and the next begins.
//!
//! Classes are known at the nodes only. The border passes somewhere between two
//! neighbours of different class; stairs from node to node would be as arbitrary
//! as any other line, and ugly. So each node lends its class weight to its
//! neighbours, and a point has the class of the greatest weight. A node always
//! keeps its own class: nothing that was seen is smoothed away.

use crate::ReportError;
use crate::plot::grid::{Cell, Grid};
use crate::plot::sketch::Area;
use crate::plot::trace::{join, simplify};

/// Weights of a node and of its neighbours along an axis.
const WEIGHTS: [(isize, f64); 5] = [(-2, 1.0), (-1, 4.0), (0, 6.0), (1, 4.0), (2, 1.0)];
/// Sum of the weights over both axes.
const ALL: f64 = 256.0;
/// Lead of a node's own class over the others.
const LEAD: f64 = 0.1 * ALL;
/// Pixels by which a line may be off.
const TOLERANCE: f64 = 0.4;

/// Classes of all points of a plane.
pub(super) struct Regions<'a> {
    grid: &'a Grid<usize>,
    /// Classes and their weights at each node.
    weights: Vec<Vec<(usize, f64)>>,
}

impl<'a> Regions<'a> {
    pub(super) fn new(grid: &'a Grid<usize>) -> Self {
        let mut weights = Vec::with_capacity(grid.values().len());
        for row in 0..grid.y().len() {
            for column in 0..grid.x().len() {
                weights.push(weights_at(grid, column, row));
            }
        }
        Self { grid, weights }
    }

    pub(super) fn class_at(&self, x: f64, y: f64) -> usize {
        let Cell { column, row, u, v } = self.grid.cell(x, y);
        let shares = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        let columns = self.grid.x().len();
        let mut sums = Vec::new();
        for (corner, share) in shares.into_iter().enumerate() {
            let node = (row + corner / 2) * columns + column + corner % 2;
            for &(class, weight) in &self.weights[node] {
                add(&mut sums, class, share * weight);
            }
        }
        greatest(&sums).0
    }

    /// The borders as lines in pixels, from classes at `fine` points a pixel.
    pub(super) fn lines(
        &self,
        area: Area,
        fine: usize,
        value: impl Fn(f64, f64) -> (f64, f64),
    ) -> Result<Vec<Vec<(f64, f64)>>, ReportError> {
        let places = |length: f64| -> Vec<f64> {
            let count = (fine as f64 * length) as usize;
            (0..=count).map(|i| i as f64 / count as f64).collect()
        };
        let seen = Grid::from_fn(places(area.width), places(area.height), |x, y| {
            let (x, y) = value(x, y);
            self.class_at(x, y)
        })?;
        let wide = 2 * seen.x().len() - 1;
        let half = |axis: &[f64], i: usize| (axis[i / 2] + axis[i.div_ceil(2)]) / 2.0;
        let place = |point: usize| {
            let (x, y) = (half(seen.x(), point % wide), half(seen.y(), point / wide));
            (area.left + area.width * x, area.top + area.height * y)
        };
        let placed = |line: Vec<usize>| line.into_iter().map(place).collect::<Vec<_>>();
        let lines = join(&segments(&seen)).into_iter();
        Ok(lines.map(|line| simplify(&placed(line), TOLERANCE)).collect())
    }
}

fn weights_at(grid: &Grid<usize>, column: usize, row: usize) -> Vec<(usize, f64)> {
    let (last_column, last_row) = (grid.x().len() - 1, grid.y().len() - 1);
    let mut sums = Vec::new();
    for (dy, along_y) in WEIGHTS {
        for (dx, along_x) in WEIGHTS {
            // Beyond the edge everything is as on it.
            let near_column = column.saturating_add_signed(dx).min(last_column);
            let near_row = row.saturating_add_signed(dy).min(last_row);
            add(&mut sums, grid.at(near_column, near_row), along_x * along_y);
        }
    }
    let own = grid.at(column, row);
    let others: Vec<(usize, f64)> = sums.iter().copied().filter(|(c, _)| *c != own).collect();
    if !others.is_empty() {
        let least = greatest(&others).1 + LEAD;
        for (class, weight) in &mut sums {
            if *class == own {
                *weight = weight.max(least);
            }
        }
    }
    sums
}

fn add(sums: &mut Vec<(usize, f64)>, class: usize, weight: f64) {
    match sums.iter_mut().find(|(c, _)| *c == class) {
        Some((_, sum)) => *sum += weight,
        None => sums.push((class, weight)),
    }
}

/// The class of the greatest weight; of equal ones the first in the list of names.
fn greatest(sums: &[(usize, f64)]) -> (usize, f64) {
    sums.iter().fold((usize::MAX, f64::NEG_INFINITY), |best, &(class, weight)| {
        let wins = weight > best.1 || (weight == best.1 && class < best.0);
        if wins { (class, weight) } else { best }
    })
}

/// Pieces of the borders between numbered points of a grid twice as fine: nodes,
/// middles of edges and middles of cells. Where one corner of a cell differs
/// from the three others it is cut off straight; other borders meet in the middle.
fn segments(grid: &Grid<usize>) -> Vec<(usize, usize)> {
    let wide = 2 * grid.x().len() - 1;
    let mut segments = Vec::new();
    for row in 0..grid.y().len() - 1 {
        for column in 0..grid.x().len() - 1 {
            let [a, b, c, d] = grid.corners(column, row);
            if a == b && b == c && c == d {
                continue;
            }
            let point = |dx: usize, dy: usize| (2 * row + dy) * wide + 2 * column + dx;
            let (bottom, left) = (point(1, 0), point(0, 1));
            let (right, top, middle) = (point(2, 1), point(1, 2), point(1, 1));
            let crossed = [(bottom, a != b), (right, b != d), (top, c != d), (left, a != c)];
            let crossed: Vec<usize> =
                crossed.into_iter().filter(|(_, is)| *is).map(|(edge, _)| edge).collect();
            match crossed[..] {
                [from, to] => segments.push((from, to)),
                _ => segments.extend(crossed.iter().map(|&edge| (edge, middle))),
            }
        }
    }
    segments
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_half_way_between_nodes() {
        let axis: Vec<f64> = (0..6).map(f64::from).collect();
        let grid = Grid::from_fn(axis.clone(), axis, |x, _| usize::from(x > 2.5)).unwrap();
        let regions = Regions::new(&grid);
        for y in [0.0, 2.2, 5.0] {
            assert_eq!([regions.class_at(2.49, y), regions.class_at(2.51, y)], [0, 1]);
        }
    }

    #[test]
    fn every_node_keeps_its_class() {
        let axis: Vec<f64> = (0..9).map(f64::from).collect();
        let class = |x: f64, y: f64| (7 * x as usize + 5 * y as usize * y as usize) % 4;
        let grid = Grid::from_fn(axis.clone(), axis.clone(), class).unwrap();
        let regions = Regions::new(&grid);
        for &y in &axis {
            for &x in &axis {
                assert_eq!(regions.class_at(x, y), class(x, y), "{x} {y}");
            }
        }
    }

    #[test]
    fn pieces_of_borders() {
        let pieces = |corners: [usize; 4]| {
            segments(&Grid::new(vec![0.0, 1.0], vec![0.0, 1.0], corners.to_vec()).unwrap())
        };
        assert_eq!(pieces([0, 1, 0, 1]), [(1, 7)]);
        assert_eq!(pieces([5, 2, 2, 2]), [(1, 3)]);
        assert_eq!(pieces([0, 1, 2, 2]), [(1, 4), (5, 4), (3, 4)]);
        assert!(pieces([3; 4]).is_empty());
    }
}
