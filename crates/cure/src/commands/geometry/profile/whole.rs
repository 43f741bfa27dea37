//! All eigenvalues.

use cure_geometry::{GeometryError, Profile, RunningMean, curvature_profile};
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::super::manifest::NetworkFacts;
use super::super::operator::{Opened, Operator, per_square};
use super::super::report::{Report, exact, middle, shown};
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
    /// Largest first, without the zeros at the end; none once they are absorbed.
    eigenvalues: Vec<f64>,
    largest: f64,
    smallest: f64,
    trace: f64,
    asymmetry: f64,
    frobenius: f64,
}

impl Row {
    fn new(found: Profile) -> Self {
        let Profile { mut eigenvalues, asymmetry, frobenius } = found;
        let end = |value: Option<&f64>| value.copied().unwrap_or(0.0);
        let (largest, smallest) = (end(eigenvalues.first()), end(eigenvalues.last()));
        let trace = eigenvalues.iter().sum();
        eigenvalues.truncate(places(&eigenvalues, |value| *value));
        Self { eigenvalues, largest, smallest, trace, asymmetry, frobenius }
    }
}

/// The mean of each place's eigenvalue, over samples that all have as many.
#[derive(Default)]
pub(in super::super) struct Places {
    means: Vec<RunningMean>,
    /// Samples so far, those of which all eigenvalues are 0 too.
    samples: usize,
}

impl Places {
    /// The next sample's, without the zeros at the end.
    fn add(&mut self, eigenvalues: &[f64]) {
        while self.means.len() < eigenvalues.len() {
            // Earlier samples had nothing there but zeros.
            let mut zeros = RunningMean::default();
            (0..self.samples).for_each(|_| zeros.add(0.0));
            self.means.push(zeros);
        }
        for (at, mean) in self.means.iter_mut().enumerate() {
            mean.add(eigenvalues.get(at).copied().unwrap_or(0.0));
        }
        self.samples += 1;
    }
}

impl Study for Whole {
    type Row = Row;
    type Sums = Places;

    const NAME: &'static str = "profile";
    const DEFAULT_SAMPLES: usize = 20;

    fn operator(&self) -> Option<Operator> {
        Some(self.operator)
    }

    fn group(&self) -> usize {
        // As many d × d matrices are held at once.
        4
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
            Opened::Factor(factor) => {
                let profile = |&row: &usize| match factor.profile(row) {
                    Ok(profile) => Ok(Some(profile)),
                    // Of what is not finite there are none.
                    Err(GeometryError::Eigenvalues { .. }) => Ok(None),
                    Err(error) => Err(error),
                };
                rows.iter().map(profile).collect::<cure_geometry::Result<_>>()?
            }
            Opened::Products(hessian) => curvature_profile(&mut **hessian, &rows, proceed)?,
        };
        let row = |profile: Option<Profile>| match profile {
            Some(found) => Measured::Row(Row::new(found)),
            None => Measured::left_out("H not finite"),
        };
        Ok(profiles.into_iter().map(row).collect())
    }

    fn absorb(&self, places: &mut Places, row: &mut Row) {
        places.add(&std::mem::take(&mut row.eigenvalues));
    }

    fn report(&self, found: &Found<'_, Row, Places>) -> Outcome<Report> {
        let manifest = found.manifest;
        let how = self.operator.describe(manifest.scale);
        let mut text = Table::new(
            format!("Curvature profile, mean over {}, {how}", manifest.images()),
            [
                "network",
                "n",
                "H = 0",
                "largest λ",
                "median",
                "smallest λ",
                "‖H‖_F",
                "median",
                "asymmetry",
            ],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let first = network.mean(|row| Some(row.largest));
            let last = network.mean(|row| Some(row.smallest));
            let frobenius = network.mean(|row| Some(row.frobenius));
            let asymmetry = network.mean(|row| Some(row.asymmetry));
            let name = Cell::from(network.facts.name.as_str());
            let zero = network.rows().filter(|row| row.frobenius == 0.0).count();
            text = text.row([
                name,
                network.measured().into(),
                zero.into(),
                shown(first),
                middle(first),
                shown(last),
                shown(frobenius),
                middle(frobenius),
                shown(asymmetry),
            ]);
            summaries.push(json!({
                "measured": network.measured(),
                "zero": zero,
                "factor": self.uses_factor(network, manifest.dimension()),
                "largest": first,
                "smallest": last,
                "trace": network.mean(|row| Some(row.trace)),
                "frobenius": frobenius,
                "asymmetry": asymmetry,
            }));
        }
        let columns = ["largest", "smallest", "trace", "frobenius", "asymmetry"];
        let samples = found.table(columns, |row| {
            let values = [row.largest, row.smallest, row.trace, row.frobenius, row.asymmetry];
            vec![values.map(|value| exact(Some(value))).to_vec()]
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

impl Whole {
    fn uses_factor(&self, network: &OfNetwork<'_, Row, Places>, dimension: usize) -> bool {
        let facts = network.facts;
        self.operator.uses_factor(facts.piecewise_linear, facts.classes, dimension)
    }

    fn draw(&self, found: &Found<'_, Row, Places>) -> Outcome<Figure> {
        let manifest = found.manifest;
        let means: Vec<(&str, &[RunningMean])> = found
            .networks
            .iter()
            .map(|network| (network.facts.name.as_str(), network.sums.means.as_slice()))
            .collect();
        let values = || means.iter().flat_map(|(_, means)| means.iter().map(RunningMean::mean));
        let largest = values().fold(0.0, |most: f64, value| most.max(value.abs()));
        let places =
            means.iter().map(|(_, means)| places(means, RunningMean::mean)).max().unwrap_or(0);
        let rest = match manifest.dimension() - places.min(manifest.dimension()) {
            0 => String::new(),
            rest => format!(" The other {rest} are 0 and not drawn."),
        };
        let mut plot = LinePlot::new(
            "Curvature profile",
            "place of the eigenvalue, largest first",
            format!("λ, mean over images ({})", per_square(manifest.scale)),
        );
        let mut csv = Table::new("", ["network", "place", "mean", "low", "high", "n"]);
        for (name, means) in &means {
            let place = |(i, mean): (usize, &RunningMean)| ((i + 1) as f64, mean.mean());
            let bounds = means.iter().map(|mean| mean.ci95().into());
            let series = Series::new(*name, means.iter().enumerate().map(place).take(places));
            plot = plot.series(series.with_band(bounds.take(places)));
            for (i, mean) in means.iter().enumerate() {
                let [low, high] = mean.ci95();
                let numbers = [mean.mean(), low, high].map(|value| exact(Some(value)));
                let head = [Cell::from(*name), (i + 1).into()];
                csv = csv.row(head.into_iter().chain(numbers).chain([mean.n().into()]));
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

/// Places up to the last one whose value is not 0.
fn places<T>(values: &[T], value: impl Fn(&T) -> f64) -> usize {
    values.iter().rposition(|it| value(it) != 0.0).map_or(0, |last| last + 1)
}

/// Where a signed logarithmic axis turns linear: three decades below the largest value.
pub(super) fn decade(largest: f64) -> i32 {
    if largest > 0.0 { largest.log10().floor() as i32 - 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn zeros_that_are_not_kept_count() {
        // The first of three samples bends nowhere, the second less often than the third.
        let mut places = Places::default();
        for eigenvalues in [&[][..], &[6.0], &[3.0, 1.5]] {
            places.add(eigenvalues);
        }
        let means: Vec<(f64, usize)> = places.means.iter().map(|m| (m.mean(), m.n())).collect();
        assert_eq!(means, [(3.0, 3), (0.5, 3)]);
    }
}
