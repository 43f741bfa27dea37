//! How the spectrum is distributed.

use cure_geometry::{Density, DensityOptions, density};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Operator, per_square};
use super::super::report::{Report, exact, middle, shown};
use super::super::study::{Found, Group, Measured, Proceed, Study};
use crate::failure::{Blame, Outcome};

/// The distribution of each sample's eigenvalues.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Spread {
    pub(super) operator: Operator,
    pub(super) probes: usize,
    pub(super) steps: usize,
}

/// Points of a curve.
const POINTS: usize = 400;
/// Standard deviation of the Gaussian that each node is spread as, as a share of the axis.
const WIDTH: f64 = 1.0 / 150.0;

impl Study for Spread {
    type Row = Density;
    type Sums = ();

    const NAME: &'static str = "density";
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
        _dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.options(0).check()?;
        networks.iter().try_for_each(|n| self.operator.check(n.piecewise_linear, n.classes))
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Density>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let mut operator = self.operator.open(&group.losses, self.probes * self.steps)?;
        let options = self.options(group.seed);
        let found = density(operator.hessian(), &rows, &group.indices, &options, proceed)?;
        let row = |found: Option<Density>| match found {
            Some(found) => Measured::Row(found),
            None => Measured::left_out("H not finite"),
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn report(&self, found: &Found<'_, Density>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let together: Vec<Density> = found
            .networks
            .iter()
            .map(|network| Density::together(&network.rows().cloned().collect::<Vec<_>>()))
            .collect();
        let nodes = || together.iter().flat_map(|density| density.nodes.iter().copied());
        let (low, high) = nodes()
            .fold((0.0, 0.0), |(low, high): (f64, f64), node| (low.min(node), high.max(node)));
        let width = ((high - low) * WIDTH).max(f64::MIN_POSITIVE);
        let (low, high) = (low - 4.0 * width, high + 4.0 * width);
        // A hundredth of what one eigenvalue alone has at its place.
        let floor = 1e-2 / (manifest.dimension() as f64 * width * std::f64::consts::TAU.sqrt());
        let mut plot = LinePlot::new(
            "Density of the Hessian's eigenvalues",
            format!("λ ({})", per_square(manifest.scale)),
            "share of the eigenvalues, for each unit of λ",
        )
        .log_y()
        .caption(format!(
            "By stochastic Lanczos quadrature, {} probes of {} steps an image, over {}; each node is \
             a Gaussian of standard deviation {:.3e}. {how}. What is lower is drawn at {floor:.1e}.",
            self.probes,
            self.steps,
            manifest.images(),
            width
        ));
        let mut text = Table::new(
            format!("Density of the spectrum ({}), {how}", manifest.images()),
            ["network", "n", "H = 0", "tr H", "‖(H + Hᵀ)/2‖_F", "median", "share below 0"],
        );
        let mut summaries = Vec::new();
        let dimension = manifest.dimension() as f64;
        for (network, all) in found.networks.iter().zip(&together) {
            let name = &network.facts.name;
            if network.measured() > 0 {
                let at = |i: usize| low + (high - low) * i as f64 / (POINTS - 1) as f64;
                let points = (0..POINTS).map(|i| (at(i), all.at(at(i), width).max(floor)));
                plot = plot.series(Series::new(name, points));
            }
            let trace = network.mean(|row| Some(dimension * row.mean(|value| value)));
            let frobenius = network.mean(|row| Some((dimension * row.mean(|v| v * v)).sqrt()));
            // What is as small as this beside the largest is 0, and its sign is rounding.
            let below = network.mean(|row| {
                let most = row.nodes.iter().fold(0.0, |most: f64, node| most.max(node.abs()));
                Some(row.mean(|value| f64::from(u8::from(value < -1e-6 * most))))
            });
            let below = below.map(|mean| mean.within(0.0, 1.0));
            let zero = network.rows().filter(|row| row.mean(|v| v * v) == 0.0).count();
            let cells = [shown(trace), shown(frobenius), middle(frobenius), shown(below)];
            let head = [Cell::from(name.as_str()), network.measured().into(), zero.into()];
            text = text.row(head.into_iter().chain(cells));
            summaries.push(json!({
                "measured": network.measured(),
                "zero": zero,
                "trace": trace,
                "frobenius": frobenius,
                "share_below_zero": below,
            }));
        }
        let figure = plot.draw().failed()?;
        let mut details = Map::new();
        details.insert("gaussian_width".into(), json!(width));
        Ok(Report {
            figures: vec![(Self::NAME.into(), figure)],
            samples: found.table(["node", "weight"], |row| {
                let pairs = row.nodes.iter().zip(&row.weights);
                pairs.map(|(&node, &weight)| vec![exact(Some(node)), exact(Some(weight))]).collect()
            }),
            summaries,
            details,
            text: text.to_text(),
        })
    }
}

impl Spread {
    fn options(&self, seed: u64) -> DensityOptions {
        DensityOptions { probes: self.probes, steps: self.steps, seed }
    }
}
