//! A sample's bounds, in numbers that JSON has.

use cure_geometry::{BoundsRow, Standing, Violation};
use cure_report::Cell;
use serde::{Deserialize, Serialize};

use super::super::report::exact;
use super::{STANDINGS, VIOLATIONS};

/// As [`BoundsRow`], without what is not finite.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Row {
    pub(super) standing: Standing,
    pub(super) c: Option<f64>,
    pub(super) gradient: Option<f64>,
    pub(super) curvature: Option<f64>,
    pub(super) residual: Option<f64>,
    pub(super) along: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) simple_lower: Option<f64>,
    pub(super) simple_upper: Option<f64>,
    pub(super) model: Option<f64>,
    pub(super) measured: Option<f64>,
    pub(super) attacked: Option<f64>,
    pub(super) has_converged: bool,
    pub(super) crossing: Option<f64>,
    pub(super) violation: Option<Violation>,
}

/// The columns of [`Row::cells`].
pub(super) const COLUMNS: [&str; 16] = [
    "standing",
    "c",
    "gradient",
    "curvature",
    "residual",
    "along",
    "lower",
    "upper",
    "simple_lower",
    "simple_upper",
    "model",
    "measured",
    "attacked",
    "crossing",
    "converged",
    "violation",
];

impl Row {
    pub(super) fn new(row: &BoundsRow) -> Self {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let bounds = row.bounds;
        Self {
            standing: row.standing,
            c: finite(row.c),
            gradient: finite(row.gradient),
            curvature: row.curvature.and_then(finite),
            residual: row.residual.and_then(finite),
            along: row.along.and_then(finite),
            lower: bounds.and_then(|bounds| finite(bounds.lower)),
            upper: bounds.and_then(|bounds| finite(bounds.upper)),
            simple_lower: bounds.and_then(|bounds| finite(bounds.simple_lower)),
            simple_upper: bounds.and_then(|bounds| finite(bounds.simple_upper)),
            model: row.model.and_then(finite),
            measured: row.measured.and_then(finite),
            attacked: row.attacked.and_then(finite),
            has_converged: row.has_converged,
            crossing: row.crossing.and_then(finite),
            violation: row.violation,
        }
    }

    /// Whether the theorem speaks of it though its quadratic model never rises to t.
    pub(super) fn never_reaches(&self) -> bool {
        self.standing == Standing::Bounded && self.model.is_none()
    }

    /// Whether the model's exact minimum is outside of the bounds, as it can be of an H that is not linear
    /// or not symmetric.
    pub(super) fn model_is_outside(&self) -> bool {
        let (Some(model), Some(lower), Some(upper)) = (self.model, self.lower, self.upper) else {
            return false;
        };
        model < lower * (1.0 - 1e-6) || model > upper * (1.0 + 1e-6)
    }

    /// Whether λ_max is one that the search did not come to the end of.
    pub(super) fn is_unsettled(&self) -> bool {
        self.curvature.is_some() && !self.has_converged
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let standing = STANDINGS.iter().find(|(standing, ..)| *standing == self.standing);
        let violation = VIOLATIONS.iter().find(|(kind, ..)| Some(*kind) == self.violation);
        let numbers = [
            self.c,
            self.gradient,
            self.curvature,
            self.residual,
            self.along,
            self.lower,
            self.upper,
            self.simple_lower,
            self.simple_upper,
            self.model,
            self.measured,
            self.attacked,
            self.crossing,
        ];
        let word = |key: Option<&str>| key.map_or(Cell::Missing, Cell::from);
        std::iter::once(word(standing.map(|(_, key, _)| *key)))
            .chain(numbers.map(exact))
            .chain([
                Cell::from(if self.has_converged { "yes" } else { "no" }),
                word(violation.map(|(_, key, _)| *key)),
            ])
            .collect()
    }
}
