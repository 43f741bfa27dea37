//! Curvature against h.

use cure_geometry::{Frobenius, FrobeniusOptions, Mean, frobenius};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Operator, per_square, unit};
use super::super::report::{Report, exact, middle, number, shown};
use super::super::study::{Found, Group, Measured, OfNetwork, Proceed, Study};
use crate::failure::{Blame, Outcome};

/// ‖H‖_F and ‖Hz‖ for several h. No eigenvalue: what differences along any direction multiply by is no matrix.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Sweep {
    /// Whose h stands for each of the lengths.
    pub(super) operator: Operator,
    pub(super) lengths: Vec<f64>,
    pub(super) draws: usize,
}

/// A sample's values at one h.
#[derive(Clone, Serialize, Deserialize)]
pub(in super::super) struct At {
    frobenius: f64,
    gradient_sign: Option<f64>,
}

impl Sweep {
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
        vec![Self::NAME.into(), SIGNS.into()]
    }

    fn check(
        &self,
        _networks: &[NetworkFacts],
        _dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.options(0).check()
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Vec<At>>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let gradients = group.losses.gradients()?.gradients;
        let options = self.options(group.seed);
        let mut found: Vec<Option<Vec<At>>> = vec![Some(Vec::new()); rows.len()];
        for (position, &h) in self.lengths.iter().enumerate() {
            let mut proceed = |_: usize, _: usize| proceed(position, self.lengths.len());
            let mut operator = self.operator_at(h).open(&group.losses, self.draws + 1)?;
            let (hessian, indices) = (operator.hessian(), &group.indices);
            let norms = frobenius(hessian, &rows, indices, &gradients, &options, &mut proceed)?;
            for (found, norm) in found.iter_mut().zip(norms) {
                match (norm, &mut *found) {
                    (Some(Frobenius { frobenius, gradient_sign, .. }), Some(values)) => {
                        values.push(At { frobenius, gradient_sign });
                    }
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
        let how = format!("H by {} differences", self.kind());
        let mut text = Table::new(
            format!("Curvature against h ({}), {how}, {}", manifest.images(), unit(manifest.scale)),
            ["network", "h", "n", "‖H‖_F", "median", "‖Hz‖ along the signs", "median"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let (name, n) = (network.facts.name.as_str(), network.measured());
            let mut places: Vec<Value> = Vec::new();
            for (place, &h) in self.lengths.iter().enumerate() {
                let norm = mean(network, place, |at| Some(at.frobenius));
                let sign = mean(network, place, |at| at.gradient_sign);
                let cells = [shown(norm), middle(norm), shown(sign), middle(sign)];
                let head = [Cell::from(name), number(h).into(), n.into()];
                text = text.row(head.into_iter().chain(cells));
                places.push(json!({ "h": h, "frobenius": norm, "gradient_sign": sign }));
            }
            summaries.push(json!({ "measured": n, "sweep": places }));
        }
        let norms = self.draw(found, "‖H‖_F", |at| Some(at.frobenius))?;
        let signs =
            self.draw(found, "‖Hz‖ along the gradient's signs", |at| at.gradient_sign)?;
        Ok(Report {
            figures: vec![(Self::NAME.into(), norms), (SIGNS.into(), signs)],
            samples: found.table(["h", "frobenius", "gradient_sign"], |row| {
                let line = |(&h, at): (&f64, &At)| {
                    [Some(h), Some(at.frobenius), at.gradient_sign].map(exact).to_vec()
                };
                self.lengths.iter().zip(row).map(line).collect()
            }),
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}

/// The name of the figure of ‖Hz‖.
const SIGNS: &str = "sweep-signs";

/// The mean of a value at one of the lengths.
fn mean(
    network: &OfNetwork<'_, Vec<At>>,
    place: usize,
    value: fn(&At) -> Option<f64>,
) -> Option<Mean> {
    network.mean(|row| row.get(place).and_then(value))
}

impl Sweep {
    /// A value of each network against h.
    fn draw(
        &self,
        found: &Found<'_, Vec<At>>,
        what: &str,
        value: fn(&At) -> Option<f64>,
    ) -> Outcome<Figure> {
        let manifest = found.manifest;
        let mut plot = LinePlot::new(
            format!("{what} against the length of the step"),
            format!("h (ℓ2, {})", unit(manifest.scale)),
            format!("mean over images ({})", per_square(manifest.scale)),
        )
        .log_x()
        .log_y()
        .caption(format!(
            "{what}; ‖H‖_F is from {} random directions. Means over {} with 95 % intervals of the mean. \
             H by {} differences.",
            self.draws,
            manifest.images(),
            self.kind(),
        ));
        for network in &found.networks {
            let means: Vec<(f64, Mean)> = (0..self.lengths.len())
                .filter_map(|place| Some((self.lengths[place], mean(network, place, value)?)))
                .collect();
            let points = means.iter().map(|(h, mean)| (*h, mean.mean));
            let bounds = means.iter().map(|(_, mean)| mean.ci95.into());
            let series = Series::new(network.facts.name.as_str(), points).with_error(bounds);
            plot = plot.series(series);
        }
        plot.draw().failed()
    }
}
