//! From three dimensions to two.

use crate::plot::sketch::Area;

/// Least and greatest height of the box in widths.
const HEIGHTS: (f64, f64) = (0.5, 0.9);

/// A parallel projection of a box from −1 to 1 along x, y and z, whose height
/// is chosen to fill the area.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    right: [f64; 3],
    up: [f64; 3],
    /// Towards the reader.
    pub(super) toward: [f64; 3],
    middle: (f64, f64),
    scale: f64,
    /// Height of the box in widths.
    height: f64,
}

impl View {
    /// The box as large as fits into an area, seen from an azimuth and an
    /// elevation in degrees.
    pub(super) fn new((azimuth, elevation): (f64, f64), area: Area) -> Self {
        // Along an axis or from above the box would fold up.
        let azimuth = if azimuth.is_finite() { azimuth.rem_euclid(360.0) } else { 0.0 };
        let corner = (azimuth / 90.0).floor().clamp(0.0, 3.0) * 90.0;
        let azimuth = (azimuth - corner).clamp(10.0, 80.0) + corner;
        let elevation = if elevation.is_finite() { elevation.clamp(10.0, 70.0) } else { 30.0 };
        let (sin_a, cos_a) = azimuth.to_radians().sin_cos();
        let (sin_e, cos_e) = elevation.to_radians().sin_cos();
        let mut view = Self {
            right: [-sin_a, cos_a, 0.0],
            up: [-sin_e * cos_a, -sin_e * sin_a, cos_e],
            toward: [cos_e * cos_a, cos_e * sin_a, sin_e],
            middle: area.middle(),
            scale: 1.0,
            height: 1.0,
        };
        let half_width = sin_a.abs() + cos_a.abs();
        let flat = sin_e * half_width;
        let filling = (half_width * area.height / area.width - flat) / cos_e;
        view.height = filling.clamp(HEIGHTS.0, HEIGHTS.1);
        let half_height = flat + view.height * cos_e;
        view.scale = (area.width / 2.0 / half_width).min(area.height / 2.0 / half_height);
        view
    }

    /// The place of a point, each coordinate from −1 to 1.
    pub(super) fn place(&self, [x, y, z]: [f64; 3]) -> (f64, f64) {
        let dot = |along: [f64; 3]| x * along[0] + y * along[1] + self.height * z * along[2];
        let (across, upwards) = (dot(self.right), dot(self.up));
        (self.middle.0 + self.scale * across, self.middle.1 - self.scale * upwards)
    }

    /// ±1: on which side of the box along an axis the reader is.
    pub(super) fn side(&self, axis: usize) -> f64 {
        1f64.copysign(self.toward[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_fills_the_area_and_stays_inside() {
        let area = Area { left: 10.0, top: 20.0, width: 300.0, height: 200.0 };
        for angles in [(-60.0, 25.0), (0.0, 0.0), (135.0, 89.0), (f64::NAN, f64::INFINITY)] {
            let view = View::new(angles, area);
            let mut most = 0f64;
            for corner in 0..8 {
                let sign = |bit: usize| if corner >> bit & 1 == 1 { 1.0 } else { -1.0 };
                let (x, y) = view.place([sign(0), sign(1), sign(2)]);
                let share = ((x - 160.0) / 150.0).abs().max(((y - 120.0) / 100.0).abs());
                most = most.max(share);
            }
            assert!((most - 1.0).abs() < 1e-9, "{angles:?} {most}");
        }
    }
}
