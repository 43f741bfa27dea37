//! A step up a loss that ends near where it began.

use super::elementwise::same_shape;
use super::parallel::over_pieces;
use crate::buffer::Buffer;
use crate::{Result, Tensor};

/// The `f32` nearest to centre + change, or its neighbour towards the centre if it is further
/// away than `limit` ≥ |change|.
pub fn rounded_within(centre: f32, change: f64, limit: f64) -> f32 {
    let point = (f64::from(centre) + change) as f32;
    if (f64::from(point) - f64::from(centre)).abs() <= limit {
        point
    } else if point > centre {
        point.next_down()
    } else {
        point.next_up()
    }
}

/// Each point moved by `step · sign(gradient)` with sign(0) = 0, then back to within `limit` of the centre
/// and into [0, 1]: in `f64`, rounded once, and never out of the limit.
///
/// # Errors
/// If the shapes differ.
pub fn sign_step(
    points: &Tensor,
    centres: &Tensor,
    gradients: &Tensor,
    step: f64,
    limit: f64,
) -> Result<Tensor> {
    let _running = crate::meter::operation("sign_step");
    same_shape("sign_step", centres, points)?;
    same_shape("sign_step", centres, gradients)?;
    on_torch!(sign_step(points, centres, gradients, step, limit));
    let (from, to, up) = (points.cpu(), centres.cpu(), gradients.cpu());
    let mut output = Buffer::stale(from.len());
    over_pieces(&mut output, |offset, piece| {
        let at = offset..offset + piece.len();
        let places = from[at.clone()].iter().zip(&to[at.clone()]).zip(&up[at]);
        for (out, ((&from, &centre), &gradient)) in piece.iter_mut().zip(places) {
            let sign = f64::from(u8::from(gradient > 0.0)) - f64::from(u8::from(gradient < 0.0));
            let change = f64::from(from) - f64::from(centre) + step * sign;
            let change = change.clamp(-limit, limit);
            *out = rounded_within(centre, change, limit).clamp(0.0, 1.0);
        }
    });
    Ok(Tensor::trusted(points.shape(), output))
}
