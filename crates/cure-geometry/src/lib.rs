//! The geometry of the loss ℓ around images, with respect to the **input**: curvature, the bounds on
//! robustness that follow from it, and sections through loss and decision regions.
//!
//! ℓ(x) is a sample's cross-entropy at its label, g = ∇ₓℓ, H = ∇²ₓℓ with d = C·H·W rows. All that
//! measures curvature is written against [`Hessian`], an operator that multiplies vectors:
//!
//! | operator | what it is |
//! |---|---|
//! | [`FiniteDifference`] | (∇ℓ(x + hv) − ∇ℓ(x))/h, the paper's eq. 1, or central; any h, on purpose |
//! | [`Exact`] | the R-operator; h → 0 |
//! | [`Factor`] | the whole exact H of a piecewise linear network, of rank K − 1 at most |
//!
//! | module's function | the paper |
//! |---|---|
//! | [`curvature_profile`] | all eigenvalues: Figs 2, 9, 12 |
//! | [`extremes`] | the largest and smallest ones, with vectors and residuals |
//! | [`density`] | how the spectrum is distributed, without computing it |
//! | [`frobenius`](fn@frobenius) | ‖H‖_F: Figs 10, 14 |
//! | [`alignment`](fn@alignment) | \|gᵀu\|/‖g‖: Remark 3 |
//! | [`bounds`](fn@bounds) | Theorem 1: Figs 4, 5 |
//! | [`section`](fn@section) | loss surfaces: Figs 3, 8, 13 |
//! | [`boundary`](fn@boundary) | decision boundaries: Fig. 1 |
//!
//! Lengths are in the declared [`Scale`](cure_network::Scale), pixels of [0, 1] unless said
//! otherwise: in a scale whose unit is s pixels, h and perturbations are 1/s times as long, g is s
//! times and H is s² times what it is in pixels.

mod alignment;
mod bounds;
mod density;
mod error;
mod frobenius;
mod hessian;
mod krylov;
mod lanczos;
mod linear;
mod losses;
mod mean;
mod perturbation;
mod profile;
mod random;
mod ray;
mod section;

pub use alignment::{Alignment, alignment};
pub use bounds::{
    BoundsOptions, BoundsRow, QuadraticModel, Standing, TheoremOne, Violation, bounds, crossing,
    nearest,
};
pub use density::{Density, DensityOptions, density};
pub use error::{GeometryError, Result};
pub use frobenius::{Frobenius, FrobeniusOptions, frobenius};
pub use hessian::{Columns, Difference, Exact, Factor, FiniteDifference, Hessian};
pub use lanczos::{Eigenpair, Extremes, LanczosOptions, extremes};
pub use losses::{Gradients, Losses, Values};
pub use mean::{Mean, RunningMean};
pub use perturbation::check_nearest;
pub use profile::{Profile, curvature_profile};
pub use section::{Boundary, BoundaryOptions, Plane, Section, boundary, planes, section};
