//! How large a picture may be.

/// Width and height in pixels of a picture of a plane, without its legend.
pub(super) const PLANE_SIZE: (f64, f64) = (700.0, 540.0);

/// The size asked for within what can be drawn and read.
pub(super) fn drawn_size((width, height): (f64, f64)) -> (f64, f64) {
    // NaN stays NaN when clamped.
    let side = |asked: f64, usual: f64| {
        if asked.is_nan() { usual } else { asked.clamp(240.0, 2000.0).round() }
    };
    (side(width, PLANE_SIZE.0), side(height, PLANE_SIZE.1))
}
