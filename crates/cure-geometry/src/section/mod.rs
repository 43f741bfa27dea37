//! Sections through loss and decision regions in the plane of r, the normal to the decision boundary,
//! and a random v (Figs 1, 3, 8, 13).

mod boundary;
mod plane;

pub use boundary::{Boundary, BoundaryOptions, boundary};
pub use plane::{Plane, planes};

use cure_tensor::ops;

use crate::error::{GeometryError, Result};
use crate::losses::{LONGEST, Losses};

/// The loss and the class on a square grid of a plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Places along r and along v alike, rising, in the declared scale; x is at 0.
    pub axis: Vec<f64>,
    /// ℓ at x + a·r + b·v, b outer and a inner: axis² values.
    pub losses: Vec<f64>,
    /// The predicted class at the same places.
    pub classes: Vec<usize>,
    /// How many of the points have a pixel outside [0, 1], where no image is.
    pub outside: usize,
}

impl Section {
    /// So many places from −span to span.
    pub fn axis(span: f64, points: usize) -> Vec<f64> {
        let last = points.saturating_sub(1).max(1) as f64;
        (0..points).map(|i| span * (2.0 * i as f64 / last - 1.0)).collect()
    }

    /// Whether a section of this span and so many places along an axis can be made; [`section`] asks
    /// the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(span: f64, points: usize) -> Result<()> {
        if !(3..=MOST).contains(&points) {
            let accepted = format!("3 to {MOST}");
            return Err(GeometryError::setting("the number of places", points, accepted));
        }
        match span > 0.0 && span <= LONGEST {
            true => Ok(()),
            false => {
                let accepted = format!("a length above 0 and at most {LONGEST:e}");
                Err(GeometryError::setting("the span", span, accepted))
            }
        }
    }
}

/// Most places along an axis.
const MOST: usize = 1001;

/// The section of a sample's loss by `plane`, from −span to span with `points` places along each
/// axis. Pixels may leave [0, 1], as in the paper's figures. Cost: points² passes.
///
/// # Errors
/// If there are under 3 places or over 1001, the span is not above 0, the classifier fails, or
/// `proceed` says no.
pub fn section(
    losses: &Losses<'_>,
    plane: &Plane,
    span: f64,
    points: usize,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Section> {
    Section::check(span, points)?;
    let axis = Section::axis(span, points);
    let mut found =
        Section { axis: axis.clone(), losses: Vec::new(), classes: Vec::new(), outside: 0 };
    for (line, &b) in axis.iter().enumerate() {
        if !proceed(line, points) {
            return Err(GeometryError::Stopped);
        }
        for axis in axis.chunks(losses.batch()) {
            let changes: Vec<Vec<f64>> = axis.iter().map(|&a| plane.at(a, b)).collect();
            let images = losses.points(&vec![plane.row; changes.len()], &changes)?;
            let leaves = |image: &[f32]| image.iter().any(|pixel| !(0.0..=1.0).contains(pixel));
            found.outside +=
                images.host().chunks_exact(losses.dimension()).filter(|i| leaves(i)).count();
            let logits = losses.classifier().logits(&images)?;
            let labels = losses.labels_of(&vec![plane.row; changes.len()]);
            found.losses.extend(ops::cross_entropy(&logits, &labels)?.losses.to_vec());
            found.classes.extend(losses.predictions(&logits));
        }
    }
    Ok(found)
}
