//! The colours between the lines.

use crate::ReportError;
use crate::plot::grid::Grid;
use crate::plot::sketch::{Colours, Plane, Raster};

/// Most bytes of the image in the SVG: a rough function has larger dots.
const LARGEST: usize = 140_000;

/// The colours of a function over the area of a plane.
pub(super) fn image(
    grid: &Grid<f64>,
    plane: &Plane,
    colours: Colours,
    title: &str,
) -> Result<Raster, ReportError> {
    let mut side = 1.0;
    loop {
        let count = |length: f64| (length / side).ceil().max(1.0) as usize;
        let (width, height) = (count(plane.area.width), count(plane.area.height));
        let dot = |column: usize, row: usize| {
            let share = |i: usize, n: usize| (i as f64 + 0.5) / n as f64;
            let (x, y) = plane.value(share(column, width), share(row, height));
            colours.dot(grid.interpolate(x, y))
        };
        let image = Raster::new(width, height, Colours::palette(), dot);
        if side >= 4.0 || image.data_uri(title)?.len() <= LARGEST {
            return Ok(image);
        }
        side += 1.0;
    }
}
