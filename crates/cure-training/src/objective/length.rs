//! Lengths of gradients and their derivatives, where gradients may be as short as single precision
//! can say: those of samples that a network has learned are.

use cure_tensor::{Tensor, ops};

use crate::Result;

/// A shorter gradient counts as zero, in value and derivative: the derivative of a direction is in
/// units of 1/length, which single precision holds up to 3e38, with the factors of the passes that
/// it goes through.
const SHORTEST: f64 = 1e-30;

/// Each sample's ‖g‖₂ and g/‖g‖₂; both are 0 where g is too short to have a direction.
pub(super) fn units(gradients: &Tensor) -> Result<(Vec<f64>, Tensor)> {
    let mut lengths = ops::sample_l2(gradients)?;
    lengths.iter_mut().filter(|length| **length < SHORTEST).for_each(|length| *length = 0.0);
    let factors =
        lengths.iter().map(|&length| if length > 0.0 { (1.0 / length) as f32 } else { 0.0 });
    let factors: Vec<f32> = factors.collect();
    Ok((lengths, ops::scale_samples(gradients, &factors)?))
}

/// Each sample's ‖g‖₂², or ‖g‖₂ where it is not `squared`, and the derivatives by g: 2g, or g/‖g‖₂.
pub(super) fn penalty(gradients: &Tensor, squared: bool) -> Result<(Vec<f64>, Tensor)> {
    if !squared {
        return units(gradients);
    }
    let lengths = ops::sample_l2(gradients)?;
    let values = lengths.into_iter().map(|length| length * length).collect();
    Ok((values, ops::scale(2.0, gradients.clone())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn directions_survive_any_length_that_has_one() {
        let rows = [[3.0, -4.0], [3e-29, -4e-29], [3e-31, -4e-31], [3e-42, -4e-42], [0.0, 0.0]];
        let gradients = Tensor::new(&[5, 1, 1, 2], rows.concat()).unwrap();
        let (lengths, units) = units(&gradients).unwrap();
        for (row, length) in [5.0, 5e-29].into_iter().enumerate() {
            assert!((lengths[row] / length - 1.0).abs() < 1e-6);
            let unit = &units.host()[2 * row..][..2];
            assert!((unit[0] - 0.6).abs() < 1e-6 && (unit[1] + 0.8).abs() < 1e-6, "{unit:?}");
        }
        assert_eq!(lengths[2..], [0.0; 3]);
        assert_eq!(units.host()[4..], [0.0; 6]);
    }

    #[test]
    fn penalties_and_their_derivatives() {
        let gradients = Tensor::new(&[1, 1, 1, 2], vec![3.0, -4.0]).unwrap();
        let (values, by) = penalty(&gradients, true).unwrap();
        assert_eq!((values[0], &by.host()[..]), (25.0, &[6.0, -8.0][..]));
        assert_eq!(penalty(&gradients, false).unwrap().0, [5.0]);
    }
}
