//! The ends of the spectrum.

use cure_geometry::{Extremes, LanczosOptions, Mean, extremes};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Operator, per_square};
use super::super::report::{Report, exact, middle, shown};
use super::super::study::{Found, Group, Measured, OfNetwork, Proceed, Study};
use super::whole::decade;
use crate::failure::{Blame, Outcome};

/// The largest and the smallest eigenvalues of each sample.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Ends {
    pub(super) operator: Operator,
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) steps: usize,
    pub(super) tolerance: f64,
}

/// λ and ‖Hv − λv‖.
type Pair = (f64, f64);

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Row {
    /// Largest first.
    largest: Vec<Pair>,
    /// Smallest first.
    smallest: Vec<Pair>,
    steps: usize,
    has_converged: bool,
    asymmetry: f64,
}

impl Row {
    fn new(found: &Extremes) -> Self {
        let pairs = |pairs: &[cure_geometry::Eigenpair]| {
            pairs.iter().map(|pair| (pair.value, pair.residual)).collect()
        };
        Self {
            largest: pairs(&found.largest),
            smallest: pairs(&found.smallest),
            steps: found.steps,
            has_converged: found.has_converged,
            asymmetry: found.asymmetry,
        }
    }

    /// The eigenvalue of the largest magnitude.
    fn dominant(&self) -> Option<f64> {
        let values = self.largest.iter().chain(&self.smallest).map(|(value, _)| *value);
        values.max_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    /// The largest residual beside the largest magnitude.
    fn residual(&self) -> Option<f64> {
        let residuals = self.largest.iter().chain(&self.smallest).map(|(_, residual)| *residual);
        let dominant = self.dominant()?.abs();
        (dominant > 0.0).then(|| residuals.fold(0.0, f64::max) / dominant)
    }
}

impl Ends {
    fn lanczos(&self, seed: u64) -> LanczosOptions {
        LanczosOptions {
            largest: self.top,
            smallest: self.bottom,
            steps: self.steps,
            tolerance: self.tolerance,
            seed,
        }
    }
}

impl Study for Ends {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "ends";
    const COMMAND: &'static str = "profile";
    const DEFAULT_SAMPLES: usize = 20;

    fn operator(&self) -> Option<Operator> {
        Some(self.operator)
    }

    fn group(&self) -> usize {
        self.operator.group()
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        vec![Self::NAME.into()]
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.lanczos(0).check(dimension)?;
        networks.iter().try_for_each(|n| self.operator.check(n.piecewise_linear, n.classes))
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let mut operator = self.operator.open(&group.losses, self.steps)?;
        let options = self.lanczos(group.seed);
        let found = extremes(operator.hessian(), &rows, &group.indices, &options, proceed)?;
        let row = |found: &Option<Extremes>| match found {
            Some(found) => Measured::Row(Row::new(found)),
            None => Measured::left_out("H not finite"),
        };
        Ok(found.iter().map(row).collect())
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let caption = format!(
            "The algebraically largest and smallest eigenvalues by Lanczos' method, means over {} \
             with 95 % intervals of the mean. {how}. The axis is linear near 0 and logarithmic beyond.",
            manifest.images()
        );
        let label = format!("λ, mean over images ({})", per_square(manifest.scale));
        let mut plot = LinePlot::new("Ends of the spectrum", "place from the end", label)
            .x_step(if self.top.max(self.bottom) <= 12 { 1.0 } else { 5.0 })
            .caption(caption);
        let columns = [
            "network",
            "n",
            "H = 0",
            "largest λ",
            "median",
            "smallest λ",
            "smallest leads",
            "residual/|λ|",
            "converged",
        ];
        let mut text =
            Table::new(format!("Ends of the spectrum ({}), {how}", manifest.images()), columns);
        let mut summaries = Vec::new();
        // The network with the smallest eigenvalues is to be read as well.
        let mut least = f64::INFINITY;
        for network in &found.networks {
            let name = &network.facts.name;
            let mut most: f64 = 0.0;
            for (end, count, of) in [
                ("largest", self.top, (|row| &row.largest) as fn(&Row) -> &Vec<Pair>),
                ("smallest", self.bottom, |row| &row.smallest),
            ] {
                let means = means(network, count, of);
                most = means.iter().fold(most, |most, (_, mean)| most.max(mean.mean.abs()));
                let points = means.iter().map(|(place, mean)| (*place, mean.mean));
                let bounds = means.iter().map(|(_, mean)| (mean.ci95[0], mean.ci95[1]));
                let series = Series::new(format!("{name}, {end}"), points);
                plot = plot.series(series.with_error(bounds));
            }
            least = least.min(if most > 0.0 { most } else { least });
            let n = network.measured();
            let first = network.mean(|row| row.largest.first().map(|(value, _)| *value));
            let last = network.mean(|row| row.smallest.first().map(|(value, _)| *value));
            let leads =
                network.rows().filter(|row| row.dominant().is_some_and(|v| v < 0.0)).count();
            let converged = network.rows().filter(|row| row.has_converged).count();
            let residual = network.mean(Row::residual);
            let zero = network.rows().filter(|row| row.dominant() == Some(0.0)).count();
            text = text.row([
                name.as_str().into(),
                n.into(),
                zero.into(),
                shown(first),
                middle(first),
                shown(last),
                format!("{leads}/{n}").into(),
                shown(residual),
                format!("{converged}/{n}").into(),
            ]);
            summaries.push(json!({
                "measured": n,
                "zero": zero,
                "largest": first,
                "smallest": last,
                "largest_magnitude": network.mean(|row| row.dominant().map(f64::abs)),
                "largest_magnitude_is_negative": leads,
                "relative_residual": residual,
                "converged": converged,
                "asymmetry": network.mean(|row| Some(row.asymmetry)),
                "places": self.places(network),
            }));
        }
        let least = if least.is_finite() { least } else { 0.0 };
        let figure = plot.signed_log_y(decade(least)).draw().failed()?;
        let columns = [
            "end",
            "place",
            "eigenvalue",
            "residual",
            "largest_magnitude",
            "steps",
            "converged",
            "asymmetry",
        ];
        Ok(Report {
            figures: vec![(Self::NAME.into(), figure)],
            samples: found.table(columns, lines),
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}

impl Ends {
    /// The mean of each eigenvalue.
    fn places(&self, network: &OfNetwork<'_, Row>) -> Value {
        let of = |count, of: fn(&Row) -> &Vec<Pair>| -> Vec<Mean> {
            means(network, count, of).into_iter().map(|(_, mean)| mean).collect()
        };
        json!({
            "largest": of(self.top, |row| &row.largest),
            "smallest": of(self.bottom, |row| &row.smallest),
        })
    }
}

fn means(
    network: &OfNetwork<'_, Row>,
    count: usize,
    of: fn(&Row) -> &Vec<Pair>,
) -> Vec<(f64, Mean)> {
    let mean = |place: usize| network.mean(|row| of(row).get(place).map(|(value, _)| *value));
    (0..count).filter_map(|place| Some(((place + 1) as f64, mean(place)?))).collect()
}

/// A line for each eigenvalue.
fn lines(row: &Row) -> Vec<Vec<Cell>> {
    let dominant = row.dominant();
    let of = |end: &'static str, pairs: &[Pair]| -> Vec<Vec<Cell>> {
        let line = |(place, &(value, residual)): (usize, &Pair)| {
            vec![
                Cell::from(end),
                Cell::from(place + 1),
                exact(Some(value)),
                exact(Some(residual)),
                Cell::from(if dominant == Some(value) { "yes" } else { "no" }),
                Cell::from(row.steps),
                Cell::from(if row.has_converged { "yes" } else { "no" }),
                exact(Some(row.asymmetry)),
            ]
        };
        pairs.iter().enumerate().map(line).collect()
    };
    [of("largest", &row.largest), of("smallest", &row.smallest)].concat()
}
