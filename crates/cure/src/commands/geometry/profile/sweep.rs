//! Curvature against h.

use cure_geometry::{FrobeniusOptions, LanczosOptions, extremes, frobenius};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Operator, per_square, unit};
use super::super::report::{Report, exact, number, shown};
use super::super::study::{Found, Group, Measured, Proceed, Study};
use crate::failure::{Blame, Outcome};

/// ‖H‖_F, ‖Hz‖ and the largest eigenvalue for several h.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Sweep {
    /// Whose h stands for each of the lengths.
    pub(super) operator: Operator,
    pub(super) lengths: Vec<f64>,
    pub(super) steps: usize,
    pub(super) tolerance: f64,
    pub(super) draws: usize,
}

/// A sample's values at one h.
#[derive(Clone, Serialize, Deserialize)]
pub(in super::super) struct At {
    frobenius: f64,
    gradient_sign: Option<f64>,
    largest: f64,
    residual: f64,
}

impl Sweep {
    fn lanczos(&self, seed: u64) -> LanczosOptions {
        let (steps, tolerance) = (self.steps, self.tolerance);
        LanczosOptions { largest: 1, smallest: 0, steps, tolerance, seed }
    }

    fn options(&self, seed: u64) -> FrobeniusOptions {
        FrobeniusOptions { draws: self.draws, deflated: false, seed }
    }

    fn operator_at(&self, h: f64) -> Operator {
        match self.operator {
            Operator::Central { .. } => Operator::Central { h },
            _ => Operator::Forward { h },
        }
    }

    fn kind(&self) -> &'static str {
        match self.operator {
            Operator::Central { .. } => "central",
            _ => "forward",
        }
    }
}

impl Study for Sweep {
    /// One value for each length.
    type Row = Vec<At>;
    type Sums = ();

    const NAME: &'static str = "sweep";
    const COMMAND: &'static str = "profile";
    const DEFAULT_SAMPLES: usize = 20;

    fn operator(&self) -> Option<Operator> {
        self.lengths.iter().copied().reduce(f64::min).map(|h| self.operator_at(h))
    }

    fn group(&self) -> usize {
        8
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        vec![Self::NAME.into()]
    }

    fn check(
        &self,
        _networks: &[NetworkFacts],
        dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.options(0).check()?;
        self.lanczos(0).check(dimension)
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Vec<At>>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let gradients = group.losses.gradients()?.gradients;
        let (options, lanczos) = (self.options(group.seed), self.lanczos(group.seed));
        let mut found: Vec<Option<Vec<At>>> = vec![Some(Vec::new()); rows.len()];
        for (position, &h) in self.lengths.iter().enumerate() {
            let mut proceed = |_: usize, _: usize| proceed(position, self.lengths.len());
            let mut operator = self.operator_at(h).open(&group.losses, self.steps)?;
            let (hessian, indices) = (operator.hessian(), &group.indices);
            let norms = frobenius(hessian, &rows, indices, &gradients, &options, &mut proceed)?;
            let ends = extremes(hessian, &rows, indices, &lanczos, &mut proceed)?;
            for ((found, norm), ends) in found.iter_mut().zip(norms).zip(ends) {
                let at = norm.zip(ends).and_then(|(norm, ends)| {
                    let first = ends.largest.first()?;
                    Some(At {
                        frobenius: norm.frobenius,
                        gradient_sign: norm.gradient_sign,
                        largest: first.value,
                        residual: first.residual,
                    })
                });
                match (at, &mut *found) {
                    (Some(at), Some(values)) => values.push(at),
                    _ => *found = None,
                }
            }
        }
        let row = |found: Option<Vec<At>>| match found {
            Some(values) => Measured::Row(values),
            None => Measured::left_out("H not finite at one of the h"),
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn report(&self, found: &Found<'_, Vec<At>>) -> Outcome<Report> {
        let manifest = found.manifest;
        let unit = unit(manifest.scale);
        let how = format!("H by {} differences", self.kind());
        let mut plot = LinePlot::new(
            "Curvature against the length of the step",
            format!("h (ℓ2, {unit})"),
            format!("mean over images ({})", per_square(manifest.scale)),
        )
        .log_x()
        .log_y()
        .caption(format!(
            "‖H‖_F from {} random directions and the algebraically largest eigenvalue, means over {} \
             with 95 % intervals of the mean. {how}.",
            self.draws,
            manifest.images()
        ));
        let mut text = Table::new(
            format!("Curvature against h ({}), {how}, {unit}", manifest.images()),
            ["network", "h", "n", "‖H‖_F", "‖Hz‖ along the signs", "largest λ"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let name = &network.facts.name;
            let values: [fn(&At) -> Option<f64>; 3] =
                [|at| Some(at.frobenius), |at| at.gradient_sign, |at| Some(at.largest)];
            let mean = |place: usize, value: fn(&At) -> Option<f64>| {
                network.mean(|row| row.get(place).and_then(value))
            };
            for (what, value) in [("‖H‖_F", values[0]), ("largest λ", values[2])] {
                let means: Vec<_> = (0..self.lengths.len())
                    .filter_map(|place| Some((self.lengths[place], mean(place, value)?)))
                    .collect();
                let points = means.iter().map(|(h, mean)| (*h, mean.mean));
                let bounds = means.iter().map(|(_, mean)| (mean.ci95[0], mean.ci95[1]));
                let series = Series::new(format!("{name}, {what}"), points);
                plot = plot.series(series.with_error(bounds));
            }
            let mut places: Vec<Value> = Vec::new();
            for (place, &h) in self.lengths.iter().enumerate() {
                let [norm, sign, largest] = values.map(|value| mean(place, value));
                let cells = [shown(norm), shown(sign), shown(largest)];
                let n = network.measured();
                let head = [Cell::from(name.as_str()), number(h).into(), n.into()];
                text = text.row(head.into_iter().chain(cells));
                places.push(json!({
                    "h": h, "frobenius": norm, "gradient_sign": sign, "largest": largest,
                }));
            }
            summaries.push(json!({ "measured": network.measured(), "sweep": places }));
        }
        let figure = plot.draw().failed()?;
        let columns = ["h", "frobenius", "gradient_sign", "largest", "residual"];
        Ok(Report {
            figures: vec![(Self::NAME.into(), figure)],
            samples: found.table(columns, |row| {
                let line = |(&h, at): (&f64, &At)| {
                    let values = [
                        Some(h),
                        Some(at.frobenius),
                        at.gradient_sign,
                        Some(at.largest),
                        Some(at.residual),
                    ];
                    values.map(exact).to_vec()
                };
                self.lengths.iter().zip(row).map(line).collect()
            }),
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}
