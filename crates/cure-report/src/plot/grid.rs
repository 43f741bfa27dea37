//! Values at the nodes of a rectangular grid.

use super::Scale;
use super::axis::drawable;
use crate::ReportError;

/// Most nodes along a side.
const LARGEST_SIDE: usize = 4096;

/// A value at each node of a rectangular grid in a plane.
///
/// ```
/// use cure_report::plot::Grid;
/// let axis: Vec<f64> = (-2..=2).map(f64::from).collect();
/// let bowl = Grid::from_fn(axis.clone(), axis, |x, y| x * x + y * y)?;
/// assert_eq!(bowl.get(0, 4), Some(8.0));
/// assert_eq!(bowl.get(5, 0), None);
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Grid<T> {
    x: Vec<f64>,
    y: Vec<f64>,
    values: Vec<T>,
}

impl<T: Copy> Grid<T> {
    /// # Shapes
    /// `values` has one row for each `y`, one after another, and in each a value
    /// for every `x`.
    ///
    /// # Errors
    /// [`ReportError::GridAxis`] when an axis has not 2 to 4096 finite numbers,
    /// each greater than the one before; [`ReportError::GridValues`] when there
    /// are not as many values as nodes.
    pub fn new(x: Vec<f64>, y: Vec<f64>, values: Vec<T>) -> Result<Self, ReportError> {
        check_axis("x", &x)?;
        check_axis("y", &y)?;
        if values.len() == x.len() * y.len() {
            Ok(Self { x, y, values })
        } else {
            let (columns, rows) = (x.len(), y.len());
            Err(ReportError::GridValues { columns, rows, values: values.len() })
        }
    }

    /// The values of a function at the nodes, asked for row by row.
    ///
    /// # Errors
    /// [`ReportError::GridAxis`] as for [`Grid::new`].
    pub fn from_fn(
        x: Vec<f64>,
        y: Vec<f64>,
        mut f: impl FnMut(f64, f64) -> T,
    ) -> Result<Self, ReportError> {
        check_axis("x", &x)?;
        check_axis("y", &y)?;
        let mut values = Vec::with_capacity(x.len() * y.len());
        for &b in &y {
            values.extend(x.iter().map(|&a| f(a, b)));
        }
        Self::new(x, y, values)
    }

    /// The numbers along the x axis, ascending.
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The numbers along the y axis, ascending.
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// The values, row by row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The value at a node, if there is such a node.
    pub fn get(&self, column: usize, row: usize) -> Option<T> {
        let is_one = column < self.x.len() && row < self.y.len();
        is_one.then(|| self.at(column, row))
    }

    /// The value at a node that there is.
    pub(super) fn at(&self, column: usize, row: usize) -> T {
        self.values[row * self.x.len() + column]
    }

    /// Ends of the x axis.
    pub(super) fn x_range(&self) -> (f64, f64) {
        (self.x[0], self.x[self.x.len() - 1])
    }

    /// Ends of the y axis.
    pub(super) fn y_range(&self) -> (f64, f64) {
        (self.y[0], self.y[self.y.len() - 1])
    }

    pub(super) fn contains(&self, (x, y): (f64, f64)) -> bool {
        let within = |value: f64, (low, high): (f64, f64)| low <= value && value <= high;
        within(x, self.x_range()) && within(y, self.y_range())
    }

    /// The cell around a point: its lower left node, and where in it the point is.
    pub(super) fn cell(&self, x: f64, y: f64) -> Cell {
        let (column, u) = locate(&self.x, x);
        let (row, v) = locate(&self.y, y);
        Cell { column, row, u, v }
    }

    /// Values at the corners of a cell: lower left and right, upper left and right.
    pub(super) fn corners(&self, column: usize, row: usize) -> [T; 4] {
        let at = |dx: usize, dy: usize| self.at(column + dx, row + dy);
        [at(0, 0), at(1, 0), at(0, 1), at(1, 1)]
    }
}

impl Grid<f64> {
    /// The bilinear interpolation; NaN where a value it needs cannot be drawn.
    pub(super) fn interpolate(&self, x: f64, y: f64) -> f64 {
        let Cell { column, row, u, v } = self.cell(x, y);
        let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        let mut sum = 0.0;
        for (value, weight) in self.corners(column, row).into_iter().zip(weights) {
            // A node has no say where its weight is 0, whatever its value.
            if weight > 0.0 {
                sum += if drawable(value, Scale::Linear) { weight * value } else { f64::NAN };
            }
        }
        sum
    }

    /// Least and greatest of the values that can be drawn.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let drawn = self.values.iter().copied().filter(|&v| drawable(v, Scale::Linear));
        drawn.fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
        })
    }
}

/// A place within a cell, `u` and `v` from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) column: usize,
    pub(super) row: usize,
    pub(super) u: f64,
    pub(super) v: f64,
}

fn locate(axis: &[f64], value: f64) -> (usize, f64) {
    let after = axis.partition_point(|&at| at <= value);
    let index = after.clamp(1, axis.len() - 1) - 1;
    let share = (value - axis[index]) / (axis[index + 1] - axis[index]);
    (index, share.clamp(0.0, 1.0))
}

fn check_axis(name: &'static str, axis: &[f64]) -> Result<(), ReportError> {
    let fault = |cause: String| Err(ReportError::GridAxis { name, cause });
    if !(2..=LARGEST_SIDE).contains(&axis.len()) {
        return fault(format!("{} numbers", axis.len()));
    }
    if let Some(i) = axis.iter().position(|&at| !drawable(at, Scale::Linear)) {
        return fault(format!("number {} is {:e}", i + 1, axis[i]));
    }
    if let Some(i) = (1..axis.len()).find(|&i| axis[i - 1] >= axis[i]) {
        return fault(format!("number {} is {}, after {}", i + 1, axis[i], axis[i - 1]));
    }
    let (low, high) = (axis[0], axis[axis.len() - 1]);
    if high - low <= 1e-9 * low.abs().max(high.abs()) || high - low < 1e-150 {
        return fault(format!("{low} and {high} are too close to be told apart"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_and_finds_cells() {
        let grid =
            Grid::from_fn(vec![0.0, 1.0, 4.0], vec![-1.0, 1.0], |x, y| x + 10.0 * y).unwrap();
        assert_eq!(grid.cell(2.5, 0.0), Cell { column: 1, row: 0, u: 0.5, v: 0.5 });
        assert_eq!(grid.interpolate(2.5, 0.5), 7.5);
        assert_eq!(grid.interpolate(4.0, 1.0), 14.0);
        assert_eq!((grid.contains((4.0, 1.0)), grid.contains((4.1, 0.0))), (true, false));
        assert_eq!(grid.range(), Some((-10.0, 14.0)));
    }

    #[test]
    fn a_missing_value_hides_only_what_depends_on_it() {
        let values = vec![1.0, 2.0, f64::NAN, 3.0, 4.0, 5.0];
        let grid = Grid::new(vec![0.0, 1.0, 2.0], vec![0.0, 1.0], values).unwrap();
        assert_eq!(grid.interpolate(1.0, 0.5), 3.0);
        assert!(grid.interpolate(1.5, 0.5).is_nan());
        assert_eq!(grid.range(), Some((1.0, 5.0)));
    }
}
