//! `cure geometry bounds`: Theorem 1 beside measured distances (Figs 4 and 5).

mod figures;
mod row;

use clap::Args;
use cure_attacks::AttackSpec;
use cure_geometry::{BoundsOptions, LanczosOptions, Standing, Violation, bounds};
use cure_report::{Cell, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::row::Row;
use super::arguments::{Common, NearestArguments, OperatorArguments, Usual};
use super::manifest::NetworkFacts;
use super::measure;
use super::operator::Operator;
use super::report::{Report, shown};
use super::study::{Found, Group, Measured, OfNetwork, Proceed, Study};
use crate::arguments::General;
use crate::failure::Outcome;

#[derive(Args, Debug)]
#[command(after_help = "\
Without --limit or --indices the first 100 images are measured. The theorem is about a loss of
two classes, for which t = log 2 is the boundary, and about its quadratic model; beside it stand
the model's exact minimum and the distance of the attack's adversarial example. Where a bound
does not hold, the loss bends otherwise than its model, or the boundary lies beyond t; the table
counts which. The theorem's H is that of one point, --operator exact; --operator columns is that of
a neighbourhood. Differences along any direction, forward and central, are no matrix, and the model
may leave its bounds.")]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    operator: OperatorArguments,
    #[command(flatten)]
    nearest: NearestArguments,
    /// t, the loss at the boundary [default: log 2, that of two classes]
    #[arg(long, value_name = "LOSS")]
    threshold: Option<f64>,
    /// Products with H an image for λ_max, at most.
    #[arg(long, value_name = "N", default_value_t = LanczosOptions::default().steps)]
    steps: usize,
    /// The residual ‖Hu − νu‖ that ends Lanczos' method, as a share of the largest |λ|.
    #[arg(long, value_name = "SHARE", default_value_t = LanczosOptions::default().tolerance)]
    tolerance: f64,
    /// Products with H an image for the quadratic model's minimum, at most.
    #[arg(long, value_name = "N", default_value_t = BoundsOptions::default().model_steps)]
    model_steps: usize,
}

/// Bounds and distance of each sample.
#[derive(Serialize, Deserialize)]
pub(super) struct Distances {
    operator: Operator,
    attack: AttackSpec,
    threshold: f64,
    steps: usize,
    tolerance: f64,
    model_steps: usize,
}

pub(super) fn run(general: &General, options: &Options) -> Outcome {
    let study = Distances {
        operator: options.operator.parse(options.common.scale_of_distances()?, Usual::Exact)?,
        attack: options.nearest.parse()?,
        threshold: options.threshold.unwrap_or(BoundsOptions::default().threshold),
        steps: options.steps,
        tolerance: options.tolerance,
        model_steps: options.model_steps,
    };
    measure::run(general, &options.common, study)
}

/// Every standing, with what tables call it.
const STANDINGS: [(Standing, &str, &str); 6] = [
    (Standing::Bounded, "bounded", "bounded"),
    (Standing::Misclassified, "misclassified", "misclassified"),
    (Standing::OverThreshold, "over-threshold", "ℓ over t (c < 0)"),
    (Standing::Concave, "concave", "concave (ν < 0)"),
    (Standing::NoGradient, "no-gradient", "gradient zero"),
    (Standing::NotFinite, "not-finite", "not finite"),
];

/// Every violation, likewise.
const VIOLATIONS: [(Violation, &str, &str); 3] = [
    (
        Violation::RisesFaster,
        "rises-faster",
        "nearer than the lower bound: the loss rises faster than its model",
    ),
    (
        Violation::RisesSlower,
        "rises-slower",
        "farther than the upper bound: the loss rises more slowly, or the attack missed",
    ),
    (
        Violation::BoundaryBeyondThreshold,
        "boundary-beyond-threshold",
        "farther than the upper bound: ℓ reaches t within it, the class changes beyond",
    ),
];

impl Distances {
    fn options(&self, seed: u64) -> BoundsOptions {
        let (steps, tolerance) = (self.steps, self.tolerance);
        BoundsOptions {
            threshold: self.threshold,
            lanczos: LanczosOptions { largest: 1, smallest: 0, steps, tolerance, seed },
            model_steps: self.model_steps,
        }
    }
}

impl Study for Distances {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "bounds";
    const DEFAULT_SAMPLES: usize = 100;

    fn operator(&self) -> Option<Operator> {
        Some(self.operator)
    }

    fn group(&self) -> usize {
        self.operator.group()
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        ["bounds", "bounds-curvature", "bounds-theory"].map(String::from).to_vec()
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.options(0).check(&self.attack, dimension)?;
        for network in networks {
            self.operator.check(network.piecewise_linear, network.classes)?;
            self.attack.check(Some(dimension), Some(network.classes))?;
        }
        Ok(())
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        let products = self.steps + self.model_steps;
        let mut operator = self.operator.open(&group.losses, products)?;
        let options = self.options(group.seed);
        let (losses, indices) = (&group.losses, &group.indices);
        let rows = bounds(losses, operator.hessian(), indices, &self.attack, &options, proceed)?;
        Ok(rows.iter().map(|row| Measured::Row(Row::new(row))).collect())
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let how = self.operator.describe(found.manifest.scale);
        let heading = format!("Theorem 1 ({}), {how}", found.manifest.images());
        let lengths = found.networks.iter().fold(
            Table::new(
                format!("{heading}; ‖r‖ by {}", self.attack),
                ["network", "bounded", "lower", "model", "measured", "upper", "holds"],
            ),
            |table, network| table.row(self.lengths(network)),
        );
        let mut details = Map::new();
        details.insert(
            "note".into(),
            "Theorem 1 is about a loss of two classes and its quadratic model; the distances are real."
                .into(),
        );
        Ok(Report {
            figures: figures::draw(self, found)?,
            samples: found.table(row::COLUMNS, |row| vec![row.cells()]),
            summaries: found.networks.iter().map(|network| self.summary(network)).collect(),
            details,
            text: lengths.to_text() + "\n" + &counts(found).to_text(),
        })
    }
}

impl Distances {
    fn lengths(&self, network: &OfNetwork<'_, Row>) -> Vec<Cell> {
        let bounded = |row: &&Row| row.standing == Standing::Bounded;
        let compared = network.rows().filter(bounded).filter(|row| row.measured.is_some());
        let (mut held, mut all) = (0, 0);
        for row in compared {
            all += 1;
            held += usize::from(row.violation.is_none());
        }
        let mean = |value: fn(&Row) -> Option<f64>| {
            let bounded = |row: &Row| row.standing == Standing::Bounded;
            shown(network.mean(|row| value(row).filter(|_| bounded(row))))
        };
        vec![
            network.facts.name.as_str().into(),
            network.rows().filter(bounded).count().into(),
            mean(|row| row.lower),
            mean(|row| row.model),
            mean(|row| row.measured),
            mean(|row| row.upper),
            format!("{held}/{all}").into(),
        ]
    }

    fn summary(&self, network: &OfNetwork<'_, Row>) -> Value {
        let mean = |value: fn(&Row) -> Option<f64>| {
            network.mean(|row| value(row).filter(|_| row.standing == Standing::Bounded))
        };
        let standings = STANDINGS.iter().map(|(standing, key, _)| {
            let count = network.rows().filter(|row| row.standing == *standing).count();
            ((*key).to_owned(), Value::from(count))
        });
        let violations = VIOLATIONS.iter().map(|(violation, key, _)| {
            let count = network.rows().filter(|row| row.violation == Some(*violation)).count();
            ((*key).to_owned(), Value::from(count))
        });
        json!({
            "measured": network.measured(),
            "standings": standings.collect::<Map<_, _>>(),
            "violations": violations.collect::<Map<_, _>>(),
            "model_outside_bounds": network.rows().filter(|row| row.model_is_outside()).count(),
            "lanczos_not_converged": network.rows().filter(|row| row.is_unsettled()).count(),
            "attack_failed": network.rows().filter(|row| row.measured.is_none()).count(),
            "model_never_reaches": network.rows().filter(|row| row.never_reaches()).count(),
            "of_bounded": {
                "lower": mean(|row| row.lower),
                "model": mean(|row| row.model),
                "measured": mean(|row| row.measured),
                "crossing": mean(|row| row.crossing),
                "upper": mean(|row| row.upper),
                "curvature": mean(|row| row.curvature),
                "gradient": mean(|row| row.gradient),
                "c": mean(|row| row.c),
            },
        })
    }
}

/// How many samples are of each standing, and which bounds do not hold.
fn counts(found: &Found<'_, Row>) -> Table {
    let names = found.networks.iter().map(|network| network.facts.name.as_str());
    let table = Table::new("Samples by standing", ["samples"].into_iter().chain(names));
    let line = |what: &str, has: &dyn Fn(&Row) -> bool| -> Vec<Cell> {
        let count = |network: &OfNetwork<'_, Row>| {
            Cell::from(network.rows().filter(|row| has(row)).count())
        };
        std::iter::once(what.into()).chain(found.networks.iter().map(count)).collect()
    };
    let table = STANDINGS.iter().fold(table, |table, (standing, _, what)| {
        table.row(line(what, &|row| row.standing == *standing))
    });
    let table = VIOLATIONS.iter().fold(table, |table, (violation, _, what)| {
        table.row(line(what, &|row| row.violation == Some(*violation)))
    });
    table
        .row(line("the attack found nothing", &|row| row.measured.is_none()))
        .row(line("bounded, but the model never reaches t", &Row::never_reaches))
        .row(line("the model's minimum is outside the bounds", &Row::model_is_outside))
        .row(line("Lanczos not at its tolerance", &Row::is_unsettled))
}
