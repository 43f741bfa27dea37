//! How H multiplies, as it is said on the command line and in results.

use cure_geometry::{
    Columns, Difference, Exact, Factor, FiniteDifference, GeometryError, Hessian, Losses, Result,
};
use cure_network::Scale;
use serde::{Deserialize, Serialize};

/// A way to multiply by H.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum Operator {
    /// Forward differences.
    Forward { h: f64 },
    /// Central differences.
    Central { h: f64 },
    /// The symmetric part of the forward differences' matrix.
    Columns { h: f64 },
    /// The R-operator, or the factor where that costs less.
    Exact,
    /// The exact factor of a piecewise linear network.
    Factor,
}

/// An operator at some samples.
pub(super) enum Opened<'a> {
    Factor(Factor),
    Products(Box<dyn Hessian + 'a>),
}

impl Operator {
    /// Whether the factor is used for so many products a sample: it takes K + 1 passes for any number
    /// of them, the R-operator 2 for each.
    pub(super) fn uses_factor(
        self,
        piecewise_linear: bool,
        classes: usize,
        products: usize,
    ) -> bool {
        match self {
            Self::Factor => true,
            Self::Exact => piecewise_linear && classes + 1 < 2 * products,
            _ => false,
        }
    }

    /// The operator at the samples of `losses`, for so many products with each.
    pub(super) fn open<'a>(self, losses: &'a Losses<'a>, products: usize) -> Result<Opened<'a>> {
        let classifier = losses.classifier();
        let (piecewise, classes) = (classifier.is_piecewise_linear(), classifier.classes());
        if self.uses_factor(piecewise, classes, products) {
            return Factor::new(losses).map(Opened::Factor);
        }
        let difference = |difference, h| {
            FiniteDifference::new(losses, difference, h).map(|it| Box::new(it) as _)
        };
        let products: Box<dyn Hessian + 'a> = match self {
            Self::Forward { h } => difference(Difference::Forward, h)?,
            Self::Central { h } => difference(Difference::Central, h)?,
            Self::Columns { h } => {
                Box::new(Columns::new(FiniteDifference::new(losses, Difference::Forward, h)?))
            }
            Self::Exact | Self::Factor => Box::new(Exact::new(losses)),
        };
        Ok(Opened::Products(products))
    }

    /// Samples that are measured together: matrices are large.
    pub(super) fn group(self) -> usize {
        match self {
            Self::Columns { .. } => 2,
            _ => 16,
        }
    }

    /// Refuses the factor of a network that has none.
    pub(super) fn check(self, piecewise_linear: bool, classes: usize) -> Result<()> {
        match self {
            Self::Factor if !piecewise_linear => Err(GeometryError::Curved { classes }),
            _ => Ok(()),
        }
    }

    /// In words, for captions.
    pub(super) fn describe(self, scale: Scale) -> String {
        let unit = unit(scale);
        match self {
            Self::Forward { h } => format!("H by forward differences, h = {h} (ℓ2, {unit})"),
            Self::Central { h } => format!("H by central differences, h = {h} (ℓ2, {unit})"),
            Self::Columns { h } => format!(
                "H of forward differences along each pixel, h = {h} (ℓ2, {unit}), made symmetric"
            ),
            Self::Exact | Self::Factor => format!("H exactly ({unit})"),
        }
    }
}

impl<'a> Opened<'a> {
    pub(super) fn hessian(&mut self) -> &mut (dyn Hessian + 'a) {
        match self {
            Self::Factor(factor) => factor,
            Self::Products(products) => &mut **products,
        }
    }
}

/// What second derivatives are measured in.
pub(super) fn per_square(scale: Scale) -> &'static str {
    match scale {
        Scale::Pixel => "1/pixel², pixels in [0, 1]",
        Scale::Pixel255 => "1/pixel², pixels in [0, 255]",
        Scale::Normalized => "1/pixel², normalised",
    }
}

/// What lengths are measured in.
pub(super) fn unit(scale: Scale) -> &'static str {
    match scale {
        Scale::Pixel => "pixels in [0, 1]",
        Scale::Pixel255 => "pixels in [0, 255]",
        Scale::Normalized => "normalised pixels",
    }
}
