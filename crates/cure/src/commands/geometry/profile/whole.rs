//! All eigenvalues.

use cure_geometry::{Mean, curvature_profile};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Opened, Operator, per_square};
use super::super::report::{Report, exact, shown};
use super::super::study::{Found, Group, Measured, OfNetwork, Proceed, Study};
use crate::failure::{Blame, Outcome};

/// All d eigenvalues of each sample.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Whole {
    pub(super) operator: Operator,
}

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Row {
    /// Largest first.
    eigenvalues: Vec<f64>,
    asymmetry: f64,
    frobenius: f64,
}

impl Study for Whole {
    type Row = Row;

    const NAME: &'static str = "profile";
    /// The d × d matrices of a few samples are held at once.
    const GROUP: usize = 4;
    const DEFAULT_SAMPLES: usize = 20;

    fn operator(&self) -> Option<Operator> {
        Some(self.operator)
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        vec![Self::NAME.into()]
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        _dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        networks.iter().try_for_each(|n| self.operator.check(n.piecewise_linear, n.classes))
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let mut operator = self.operator.open(&group.losses, group.losses.dimension())?;
        let profiles = match &mut operator {
            Opened::Factor(factor) => rows.iter().map(|&row| factor.profile(row).ok()).collect(),
            Opened::Products(hessian) => curvature_profile(&mut **hessian, &rows, proceed)?,
        };
        let row = |profile: Option<cure_geometry::Profile>| match profile {
            Some(found) => Measured::Row(Row {
                eigenvalues: found.eigenvalues,
                asymmetry: found.asymmetry,
                frobenius: found.frobenius,
            }),
            None => Measured::left_out("H not finite"),
        };
        Ok(profiles.into_iter().map(row).collect())
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let mut text = Table::new(
            format!("Curvature profile, mean over {}, {how}", manifest.images()),
            ["network", "n", "largest λ", "smallest λ", "‖H‖_F", "asymmetry"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let first = network.mean(|row| row.eigenvalues.first().copied());
            let last = network.mean(|row| row.eigenvalues.last().copied());
            let frobenius = network.mean(|row| Some(row.frobenius));
            let asymmetry = network.mean(|row| Some(row.asymmetry));
            let name = Cell::from(network.facts.name.as_str());
            let cells = [first, last, frobenius, asymmetry].map(shown);
            text = text.row([name, network.measured().into()].into_iter().chain(cells));
            summaries.push(json!({
                "measured": network.measured(),
                "factor": self.uses_factor(network, manifest.dimension()),
                "largest": first,
                "smallest": last,
                "trace": network.mean(|row| Some(row.trace())),
                "frobenius": frobenius,
                "asymmetry": asymmetry,
            }));
        }
        let columns = ["largest", "smallest", "trace", "frobenius", "asymmetry"];
        let samples = found.table(columns, |row| {
            let ends = [row.eigenvalues.first().copied(), row.eigenvalues.last().copied()];
            let rest = [row.trace(), row.frobenius, row.asymmetry].map(Some);
            vec![ends.into_iter().chain(rest).map(exact).collect()]
        });
        Ok(Report {
            figures: vec![(Self::NAME.into(), self.draw(found)?)],
            samples,
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}

impl Row {
    fn trace(&self) -> f64 {
        self.eigenvalues.iter().sum()
    }
}

impl Whole {
    fn uses_factor(&self, network: &OfNetwork<'_, Row>, dimension: usize) -> bool {
        let facts = network.facts;
        self.operator.uses_factor(facts.piecewise_linear, facts.classes, dimension)
    }
}

impl Whole {
    fn draw(&self, found: &Found<'_, Row>) -> Outcome<Figure> {
        let manifest = found.manifest;
        let means: Vec<(&str, Vec<Mean>)> =
            found.networks.iter().map(|of| (of.facts.name.as_str(), means(of))).collect();
        let values = || means.iter().flat_map(|(_, means)| means.iter().map(|mean| mean.mean));
        let largest = values().fold(0.0, |most: f64, value| most.max(value.abs()));
        let places = means.iter().map(|(_, means)| places(means)).max().unwrap_or(0);
        let rest = match manifest.dimension() - places.min(manifest.dimension()) {
            0 => String::new(),
            rest => format!(" The other {rest} are 0 and not drawn."),
        };
        let mut plot = LinePlot::new(
            "Curvature profile",
            "place of the eigenvalue, largest first",
            format!("λ, mean over images ({})", per_square(manifest.scale)),
        );
        let mut csv = Table::new("", ["network", "place", "mean", "low", "high", "median", "n"]);
        for (name, means) in &means {
            let place = |(i, mean): (usize, &Mean)| ((i + 1) as f64, mean.mean);
            let bounds = means.iter().map(|mean| (mean.ci95[0], mean.ci95[1]));
            let series = Series::new(*name, means.iter().enumerate().map(place).take(places));
            plot = plot.series(series.with_band(bounds.take(places)));
            for (i, Mean { mean, median, ci95: [low, high], n, .. }) in means.iter().enumerate() {
                let numbers = [mean, low, high, median].map(|value| exact(Some(*value)));
                let head = [Cell::from(*name), (i + 1).into()];
                csv = csv.row(head.into_iter().chain(numbers).chain([(*n).into()]));
            }
        }
        let is_positive = values().all(|value| value >= 0.0);
        let (plot, axis) = match is_positive && places < manifest.dimension() {
            true => {
                (plot.log_y().x_step(1.0), "logarithmic, and bands that reach 0 end at its edge")
            }
            false => (plot.signed_log_y(decade(largest)), "linear near 0 and logarithmic beyond"),
        };
        let made = if self.is_exact() { "" } else { ", made symmetric" };
        let caption = format!(
            "The eigenvalues of the loss's Hessian over the image, sorted and averaged over {}; bands \
             are 95 % intervals of the mean. {}{made}. The axis is {axis}.{rest}",
            manifest.images(),
            self.operator.describe(manifest.scale),
        );
        Ok(plot.caption(caption).draw().failed()?.with_csv(csv.to_csv()))
    }

    fn is_exact(&self) -> bool {
        matches!(self.operator, Operator::Exact | Operator::Factor)
    }
}

/// Places up to the last one whose mean is not 0.
fn places(means: &[Mean]) -> usize {
    means.iter().rposition(|mean| mean.mean != 0.0).map_or(0, |last| last + 1)
}

/// The mean of each place's eigenvalue over the samples.
fn means(network: &OfNetwork<'_, Row>) -> Vec<Mean> {
    let length = network.rows().map(|row| row.eigenvalues.len()).max().unwrap_or(0);
    (0..length).filter_map(|rank| network.mean(|row| row.eigenvalues.get(rank).copied())).collect()
}

/// Where a signed logarithmic axis turns linear: three decades below the largest value.
pub(super) fn decade(largest: f64) -> i32 {
    if largest > 0.0 { largest.log10().floor() as i32 - 2 } else { 0 }
}
