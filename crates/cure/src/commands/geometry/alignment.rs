//! `cure geometry alignment`: |gᵀu|/‖g‖ (Remark 3).

use clap::Args;
use cure_geometry::{Alignment, LanczosOptions, alignment, extremes};
use cure_report::plot::HistogramPlot;
use cure_report::{Cell, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::arguments::{Common, OperatorArguments, Usual};
use super::manifest::NetworkFacts;
use super::measure;
use super::operator::Operator;
use super::report::{Report, exact, middle, number, shown};
use super::study::{Found, Group, Measured, Proceed, Study};
use crate::arguments::General;
use crate::failure::{Blame, Outcome};

#[derive(Args, Debug)]
#[command(after_help = "\
Without --limit or --indices the first 100 images are measured. u is the unit eigenvector of the
algebraically largest eigenvalue of H, g the gradient of the loss. The paper has 0.43 before
adversarial fine-tuning and 0.90 after it, over 1000 images of CIFAR-10; a random direction has
1/√d in the root of the mean square. Where gᵀHg/‖g‖² is over the largest λ found, u is not what it
should be; that is counted.")]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    operator: OperatorArguments,
    /// Products with H an image, at most.
    #[arg(long, value_name = "N", default_value_t = LanczosOptions::default().steps)]
    steps: usize,
    /// The residual ‖Hu − νu‖ that ends Lanczos' method, as a share of the largest |λ|.
    #[arg(long, value_name = "SHARE", default_value_t = LanczosOptions::default().tolerance)]
    tolerance: f64,
}

/// |gᵀu|/‖g‖ of each sample.
#[derive(Serialize, Deserialize)]
pub(super) struct Cosines {
    operator: Operator,
    steps: usize,
    tolerance: f64,
}

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(flatten)]
    found: Alignment,
    /// gᵀHg/‖g‖²: no direction has more than the largest eigenvalue.
    along_gradient: f64,
    has_converged: bool,
}

impl Row {
    /// Whether the gradient's own direction bends more than the largest eigenvalue allows.
    fn is_surpassed(&self) -> bool {
        self.along_gradient > self.found.largest + 1e-3 * self.found.largest.abs()
    }
}

pub(super) fn run(general: &General, options: &Options) -> Outcome {
    let operator = options.operator.parse(options.common.scale()?, Usual::Exact)?;
    let study = Cosines { operator, steps: options.steps, tolerance: options.tolerance };
    measure::run(general, &options.common, study)
}

impl Cosines {
    fn options(&self, seed: u64) -> LanczosOptions {
        let (steps, tolerance) = (self.steps, self.tolerance);
        LanczosOptions { largest: 1, smallest: 0, steps, tolerance, seed }
    }
}

impl Study for Cosines {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "alignment";
    const DEFAULT_SAMPLES: usize = 100;

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
        self.options(0).check(dimension)?;
        networks.iter().try_for_each(|n| self.operator.check(n.piecewise_linear, n.classes))
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let mut operator = self.operator.open(&group.losses, self.steps)?;
        let gradients = group.losses.gradients()?.gradients;
        let options = self.options(group.seed);
        let found = extremes(operator.hessian(), &rows, &group.indices, &options, proceed)?;
        let products = operator.hessian().apply(&rows, &gradients)?;
        type Of<'a> = ((&'a Vec<f64>, &'a Vec<f64>), &'a Option<cure_geometry::Extremes>);
        let row = |((g, product), ends): Of<'_>| match ends {
            None => Measured::left_out("H not finite"),
            Some(ends) => match alignment(g, ends) {
                Some(found) => {
                    let along: f64 = g.iter().zip(product).map(|(g, p)| g * p).sum();
                    let along_gradient = along / found.gradient.powi(2);
                    Measured::Row(Row { found, along_gradient, has_converged: ends.has_converged })
                }
                None if g.iter().all(|value| *value == 0.0) => Measured::left_out("gradient zero"),
                None => Measured::left_out("gradient not finite"),
            },
        };
        Ok(gradients.iter().zip(&products).zip(&found).map(row).collect())
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let chance = 1.0 / (manifest.dimension() as f64).sqrt();
        let mut plot = HistogramPlot::new(
            "Alignment of the gradient with the direction of largest curvature",
            "|gᵀu|/‖g‖",
        )
        .bins(0.0, 1.0, 20)
        .guide(format!("1/√d = {} of chance", number(chance)), chance)
        .caption(format!(
            "u is the unit eigenvector of the algebraically largest eigenvalue, g the gradient: {}. \
             A random direction has 1/√d in the root of the mean square, d = {}. {how}.",
            manifest.images(),
            manifest.dimension(),
        ));
        let mut text = Table::new(
            format!("|gᵀu|/‖g‖ ({}), {how}; by chance {}", manifest.images(), number(chance)),
            ["network", "n", "mean", "median", "largest λ", "λ < 0", "g bends more", "converged"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let name = network.facts.name.as_str();
            let mean = network.mean(|row| Some(row.found.alignment)).map(|it| it.within(0.0, 1.0));
            let surpassed = network.rows().filter(|row| row.is_surpassed()).count();
            let largest = network.mean(|row| Some(row.found.largest));
            let n = network.measured();
            let converged = network.rows().filter(|row| row.has_converged).count();
            let concave = network.rows().filter(|row| row.found.largest < 0.0).count();
            plot = plot.sample(name, network.rows().map(|row| row.found.alignment));
            text = text.row([
                name.into(),
                n.into(),
                shown(mean),
                middle(mean),
                shown(largest),
                concave.into(),
                surpassed.into(),
                format!("{converged}/{n}").into(),
            ]);
            summaries.push(json!({
                "measured": n,
                "alignment": mean,
                "largest": largest,
                "largest_is_negative": concave,
                "gradient_bends_more": surpassed,
                "gradient": network.mean(|row| Some(row.found.gradient)),
                "converged": converged,
            }));
        }
        let figure = plot.draw().failed()?;
        let mut details = Map::new();
        details.insert("chance".into(), chance.into());
        let columns =
            ["alignment", "largest", "residual", "gradient", "along_gradient", "converged"];
        Ok(Report {
            figures: vec![(Self::NAME.into(), figure)],
            samples: found.table(columns, |row| {
                let Alignment { alignment, largest, residual, gradient } = row.found;
                let numbers = [alignment, largest, residual, gradient, row.along_gradient];
                let numbers = numbers.map(|value| exact(Some(value)));
                let converged = Cell::from(if row.has_converged { "yes" } else { "no" });
                vec![numbers.into_iter().chain([converged]).collect()]
            }),
            summaries,
            details,
            text: text.to_text(),
        })
    }
}
