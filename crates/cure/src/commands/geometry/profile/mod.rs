//! `cure geometry profile`: the eigenvalues of H, in four ways.

mod density;
mod ends;
mod sweep;
mod whole;

use clap::Args;
use cure_geometry::{DensityOptions, LanczosOptions};
pub(super) use density::Spread;
pub(super) use ends::Ends;
pub(super) use sweep::Sweep;
pub(super) use whole::Whole;

use super::arguments::{Common, OperatorArguments, Usual};
use super::measure;
use super::operator::Operator;
use crate::arguments::General;
use crate::failure::{Failure, Outcome};

#[derive(Args, Debug)]
#[command(after_help = "\
The paper's Figs 2, 9 and 12:
  cure geometry profile --weights original=net.pt --weights CURE=runs/cure/weights.safetensors \\
      --normalize cifar10 --data cifar10:DIR --limit 100 --h 0.5 --out profile

Without --limit or --indices the first 20 images are measured. All d eigenvalues cost d products
with H an image (3072 for CIFAR-10) and a d × d matrix a thread; --operator exact gives those of
a piecewise linear network, of which K − 1 at most are not 0, in K + 1 passes. --top and --bottom
cost --steps products an image at most, --density --probes times --steps. Files are profile.*,
ends.*, density.* or sweep.* of DIR.")]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    operator: OperatorArguments,
    /// Only the K algebraically largest eigenvalues, by Lanczos' method with their residuals; the
    /// smallest one besides, so that the largest magnitude is known.
    #[arg(long, value_name = "K", help_heading = "Which eigenvalues", conflicts_with_all = ["density", "h_sweep"])]
    top: Option<usize>,
    /// Only the K algebraically smallest eigenvalues, likewise; the largest one besides.
    #[arg(long, value_name = "K", help_heading = "Which eigenvalues", conflicts_with_all = ["density", "h_sweep"])]
    bottom: Option<usize>,
    /// How the spectrum is distributed, by stochastic Lanczos quadrature.
    #[arg(long, help_heading = "Which eigenvalues", conflicts_with = "h_sweep")]
    density: bool,
    /// How ‖H‖_F and ‖Hz‖ along the gradient's signs change with h: COUNT values from A to B in equal
    /// ratios, as 0.01..1@7.
    #[arg(
        long,
        value_name = "A..B@COUNT",
        help_heading = "Which eigenvalues",
        conflicts_with = "h"
    )]
    h_sweep: Option<String>,
    /// Products with H, at most, of Lanczos' method [default: 100; 32 with --density]
    #[arg(long, value_name = "N", help_heading = "Which eigenvalues")]
    steps: Option<usize>,
    /// The residual that ends Lanczos' method, as a share of the largest |λ| [default: 0.0001]
    #[arg(long, value_name = "SHARE", help_heading = "Which eigenvalues")]
    tolerance: Option<f64>,
    /// Random vectors of --density [default: 4]
    #[arg(long, value_name = "N", help_heading = "Which eigenvalues")]
    probes: Option<usize>,
    /// Random vectors of --h-sweep's ‖H‖_F [default: 30]
    #[arg(long, value_name = "N", help_heading = "Which eigenvalues")]
    draws: Option<usize>,
}

/// Random vectors of a sweep's ‖H‖_F where none are asked for.
const DRAWS: usize = 30;

impl Options {
    /// Refuses what the measurement that is asked for would not look at.
    fn check_used(&self) -> Outcome {
        let Self { top, bottom, density, h_sweep, .. } = self;
        let is_lanczos = top.is_some() || bottom.is_some();
        let options = [
            (
                "--steps",
                self.steps.is_some(),
                is_lanczos || *density,
                "--top, --bottom or --density",
            ),
            ("--tolerance", self.tolerance.is_some(), is_lanczos, "--top or --bottom"),
            ("--probes", self.probes.is_some(), *density, "--density"),
            ("--draws", self.draws.is_some(), h_sweep.is_some(), "--h-sweep"),
        ];
        match options.into_iter().find(|(_, is_given, is_used, _)| *is_given && !is_used) {
            None => Ok(()),
            Some((name, _, _, with)) => Err(Failure::Input(format!(
                "{name} is an option of {with}; write that too, or leave {name} out"
            ))),
        }
    }
}

pub(super) fn run(general: &General, options: &Options) -> Outcome {
    options.check_used()?;
    let looks_for_vectors = options.density || options.top.is_some() || options.bottom.is_some();
    let usual = match looks_for_vectors && options.h_sweep.is_none() {
        true => Usual::Exact,
        false => Usual::Forward,
    };
    let operator = options.operator.parse(options.common.scale()?, usual)?;
    let steps = options.steps;
    let tolerance = options.tolerance.unwrap_or(LanczosOptions::default().tolerance);
    if let Some(range) = &options.h_sweep {
        let study = Sweep {
            operator: operator_of_a_sweep(operator)?,
            lengths: read_lengths(range)?,
            draws: options.draws.unwrap_or(DRAWS),
        };
        return measure::run(general, &options.common, study);
    }
    if options.density {
        let steps = steps.unwrap_or(DensityOptions::default().steps);
        let probes = options.probes.unwrap_or(DensityOptions::default().probes);
        let study = Spread { operator, probes, steps };
        return measure::run(general, &options.common, study);
    }
    if options.top.is_some() || options.bottom.is_some() {
        let study = Ends {
            operator,
            top: options.top.unwrap_or(1),
            bottom: options.bottom.unwrap_or(1),
            steps: steps.unwrap_or(LanczosOptions::default().steps),
            tolerance,
        };
        return measure::run(general, &options.common, study);
    }
    let operator = match operator {
        // All eigenvalues are those of the columns.
        Operator::Columns { h } => Operator::Forward { h },
        operator => operator,
    };
    measure::run(general, &options.common, Whole { operator })
}

fn operator_of_a_sweep(operator: Operator) -> Outcome<Operator> {
    match operator {
        Operator::Forward { .. } | Operator::Central { .. } => Ok(operator),
        Operator::Exact | Operator::Factor | Operator::Columns { .. } => Err(Failure::Input(
            "--h-sweep is of finite differences; write --operator forward or central".into(),
        )),
    }
}

/// More values of h than anyone draws.
const MOST_LENGTHS: usize = 100;

fn read_lengths(text: &str) -> Outcome<Vec<f64>> {
    let refuse = || {
        Failure::Input(format!(
            "--h-sweep `{text}`: write A..B@COUNT with 0 < A < B and a count of 2 to \
             {MOST_LENGTHS}, as 0.01..1@7"
        ))
    };
    let read = || {
        let (ends, count) = text.split_once('@')?;
        let (from, to) = ends.split_once("..")?;
        let from: f64 = from.trim().parse().ok()?;
        let to: f64 = to.trim().parse().ok()?;
        Some((from, to, count.trim().parse::<usize>().ok()?))
    };
    let (from, to, count) = read().ok_or_else(refuse)?;
    if !(from > 0.0 && from < to && to.is_finite() && (2..=MOST_LENGTHS).contains(&count)) {
        return Err(refuse());
    }
    let at = |i: usize| from * (to / from).powf(i as f64 / (count - 1) as f64);
    Ok((0..count).map(at).collect())
}
