//! `cure geometry frobenius`: ‖H‖_F, and ‖Hz‖ along the gradient's signs (Figs 10 and 14).

use clap::Args;
use cure_geometry::{Frobenius, FrobeniusOptions, frobenius};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::arguments::{Common, OperatorArguments, Usual};
use super::manifest::NetworkFacts;
use super::measure;
use super::operator::{Operator, per_square};
use super::report::{Report, exact, middle, shown};
use super::study::{Found, Group, Measured, Proceed, Study};
use crate::arguments::General;
use crate::failure::{Blame, Outcome};

#[derive(Args, Debug)]
#[command(after_help = "\
Without --limit or --indices the first 100 images are measured. ‖H‖²_F = E‖Hz‖² over z ~ N(0, I),
from --draws products with H an image. Over the course of a training: `--curvature-every` of cure
train and cure finetune measures both, `cure runs compare RUN RUN --out FILE` draws them (Figs 10
and 14).")]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    operator: OperatorArguments,
    /// Products with H an image.
    #[arg(long, value_name = "N", default_value_t = FrobeniusOptions::default().draws)]
    draws: usize,
    /// Measure the directions that H stretches most exactly and draw from the others alone (Hutch++):
    /// far narrower intervals where few eigenvalues matter.
    #[arg(long)]
    deflated: bool,
}

/// ‖H‖_F and ‖Hz‖ of each sample.
#[derive(Serialize, Deserialize)]
pub(super) struct Norms {
    operator: Operator,
    draws: usize,
    deflated: bool,
}

pub(super) fn run(general: &General, options: &Options) -> Outcome {
    let operator = options.operator.parse(options.common.scale()?, Usual::Forward)?;
    let study = Norms { operator, draws: options.draws, deflated: options.deflated };
    measure::run(general, &options.common, study)
}

/// The name of the figure of ‖Hz‖.
const SIGNS: &str = "gradient-sign";

impl Norms {
    /// A value of all images, smallest first, of each network: means of tails this long say little.
    fn draw(
        &self,
        found: &Found<'_, Frobenius>,
        [title, label, what]: [&str; 3],
        value: impl Fn(&Frobenius) -> Option<f64>,
    ) -> Outcome<Figure> {
        let (manifest, how) = (found.manifest, self.operator.describe(found.manifest.scale));
        let mut plot = LinePlot::new(
            title,
            "place of the image, smallest value first",
            format!("{label} ({})", per_square(manifest.scale)),
        )
        .log_y()
        .caption(format!("{what} of {}, sorted for each network. {how}.", manifest.images()));
        for network in &found.networks {
            let mut values: Vec<f64> = network.rows().filter_map(&value).collect();
            values.sort_by(f64::total_cmp);
            let points = values.into_iter().enumerate().map(|(i, value)| ((i + 1) as f64, value));
            plot = plot.series(Series::new(network.facts.name.as_str(), points));
        }
        plot.draw().failed()
    }

    fn options(&self, seed: u64) -> FrobeniusOptions {
        FrobeniusOptions { draws: self.draws, deflated: self.deflated, seed }
    }
}

impl Study for Norms {
    type Row = Frobenius;
    type Sums = ();

    const NAME: &'static str = "frobenius";
    const DEFAULT_SAMPLES: usize = 100;

    fn operator(&self) -> Option<Operator> {
        Some(self.operator)
    }

    fn group(&self) -> usize {
        self.operator.group()
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        vec![Self::NAME.into(), SIGNS.into()]
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
    ) -> cure_geometry::Result<Vec<Measured<Frobenius>>> {
        let rows: Vec<usize> = (0..group.losses.samples()).collect();
        let mut operator = self.operator.open(&group.losses, self.draws + 1)?;
        let gradients = group.losses.gradients()?.gradients;
        let (hessian, indices) = (operator.hessian(), &group.indices);
        let options = self.options(group.seed);
        let found = frobenius(hessian, &rows, indices, &gradients, &options, proceed)?;
        let row = |found: Option<Frobenius>| match found {
            Some(found) => Measured::Row(found),
            None => Measured::left_out("H not finite"),
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn report(&self, found: &Found<'_, Frobenius>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let draws = match self.deflated {
            true => format!(
                "{} products an image, a third of them on what is left when the directions that H stretches most are taken out",
                self.draws
            ),
            false => format!("{} random directions an image", self.draws),
        };
        let mut text = Table::new(
            format!("Curvature in two numbers ({}), {how}", manifest.images()),
            ["network", "n", "‖H‖_F", "median", "‖Hz‖ along the signs", "median", "no gradient"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let norm = network.mean(|row| Some(row.frobenius));
            let sign = network.mean(|row| row.gradient_sign);
            let flat = network.rows().filter(|row| row.gradient_sign.is_none()).count();
            let name = network.facts.name.as_str();
            let n = network.measured();
            text = text.row([
                name.into(),
                n.into(),
                shown(norm),
                middle(norm),
                shown(sign),
                middle(sign),
                flat.into(),
            ]);
            summaries.push(json!({
                "measured": n,
                "frobenius": norm,
                "gradient_sign": sign,
                "no_gradient": flat,
            }));
        }
        let norms = self.draw(
            found,
            ["Curvature around images", "‖H‖_F", &format!("‖H‖_F from {draws},")],
            |row| Some(row.frobenius),
        )?;
        let signs = self.draw(
            found,
            ["Curvature along the gradient's signs", "‖Hz‖", "‖Hz‖ for z = sign(∇ℓ)/‖sign(∇ℓ)‖₂"],
            |row| row.gradient_sign,
        )?;
        let columns = ["frobenius", "frobenius_low", "frobenius_high", "gradient_sign"];
        Ok(Report {
            figures: vec![(Self::NAME.into(), norms), (SIGNS.into(), signs)],
            samples: found.table(columns, |row| {
                let [low, high] = row.ci95;
                let values = [Some(row.frobenius), Some(low), Some(high), row.gradient_sign];
                vec![values.map(exact).to_vec()]
            }),
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}
