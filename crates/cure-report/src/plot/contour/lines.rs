//! Lines of equal value (marching squares).

use crate::plot::axis::{drawable, nice_step};
use crate::plot::grid::Grid;
use crate::plot::trace::{join, simplify};
use crate::plot::{Scale, sketch::Plane};

/// Levels aimed for.
const LEVELS: f64 = 10.0;
/// Pixels by which a line may be off.
const TOLERANCE: f64 = 0.15;
/// Most points of all lines: a rough function has fewer levels instead of a huge SVG.
const MOST_POINTS: usize = 9000;

/// A level and its lines in pixels.
type Level = (f64, Vec<Vec<(f64, f64)>>);

/// Lines by level.
pub(super) struct IsoLines {
    /// Distance of the levels; none where there are no lines.
    pub(super) step: Option<f64>,
    pub(super) lines: Vec<Level>,
}

impl IsoLines {
    /// Levels at multiples of a round number within a range.
    pub(super) fn new(grid: &Grid<f64>, (low, high): (f64, f64), plane: &Plane) -> Self {
        let mut wanted = LEVELS;
        while wanted >= 1.0 {
            let step = nice_step((high - low) / wanted);
            let lines = trace(grid, &levels(low, high, step), plane);
            let points: usize = lines.iter().flat_map(|(_, l)| l).map(Vec::len).sum();
            if points <= MOST_POINTS {
                let step = (points > 0).then_some(step);
                return Self { step, lines };
            }
            wanted /= 2.0;
        }
        Self { step: None, lines: Vec::new() }
    }
}

/// Round numbers strictly inside the range.
fn levels(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step + 1e-6).floor() + 1.0;
    let count = ((high / step - 1e-6).ceil() - first).clamp(0.0, 2.0 * LEVELS) as usize;
    (0..count).map(|i| (first + i as f64) * step).collect()
}

fn trace(grid: &Grid<f64>, levels: &[f64], plane: &Plane) -> Vec<Level> {
    let lines = levels.iter().map(|&level| {
        let lines = join(&segments(grid, level));
        let points = |line: Vec<usize>| -> Vec<(f64, f64)> {
            let placed = line.into_iter().map(|edge| crossing(grid, level, edge));
            placed.map(|(x, y)| plane.place(x, y)).collect()
        };
        (level, lines.into_iter().map(|line| simplify(&points(line), TOLERANCE)).collect())
    });
    lines.collect()
}

/// Pieces of a line, one or two a cell, between numbered edges of the grid:
/// 2n for the edge from node n to the right, 2n + 1 for that upwards.
fn segments(grid: &Grid<f64>, level: f64) -> Vec<(usize, usize)> {
    let columns = grid.x().len();
    let mut segments = Vec::new();
    for row in 0..grid.y().len() - 1 {
        for column in 0..columns - 1 {
            let corners = grid.corners(column, row);
            if !corners.iter().all(|&v| drawable(v, Scale::Linear)) {
                continue;
            }
            let node = row * columns + column;
            let [a, b, c, d] = corners.map(|v| v >= level);
            let (bottom, left) = (2 * node, 2 * node + 1);
            let (right, top) = (2 * (node + 1) + 1, 2 * (node + columns));
            let crossed: Vec<usize> =
                [(bottom, a != b), (right, b != d), (top, c != d), (left, a != c)]
                    .into_iter()
                    .filter_map(|(edge, is_crossed)| is_crossed.then_some(edge))
                    .collect();
            match crossed[..] {
                [from, to] => segments.push((from, to)),
                // A saddle: the middle says which corners hang together.
                [..] if crossed.len() == 4 => {
                    let middle = corners.iter().map(|v| v / 4.0).sum::<f64>() >= level;
                    let pieces = if middle == a {
                        [(bottom, right), (left, top)]
                    } else {
                        [(bottom, left), (right, top)]
                    };
                    segments.extend(pieces);
                }
                _ => {}
            }
        }
    }
    segments
}

/// Where a line crosses an edge.
fn crossing(grid: &Grid<f64>, level: f64, edge: usize) -> (f64, f64) {
    let columns = grid.x().len();
    let (node, upwards) = (edge / 2, edge % 2);
    let (column, row) = (node % columns, node / columns);
    let (to_column, to_row) = (column + 1 - upwards, row + upwards);
    let (from, to) = (grid.at(column, row), grid.at(to_column, to_row));
    let share = ((level - from) / (to - from)).clamp(0.0, 1.0);
    let along = |axis: &[f64], a: usize, b: usize| axis[a] + share * (axis[b] - axis[a]);
    (along(grid.x(), column, to_column), along(grid.y(), row, to_row))
}
