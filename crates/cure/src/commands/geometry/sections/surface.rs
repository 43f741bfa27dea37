//! `cure geometry surface`: −ℓ in the plane of r and v (Figs 3, 8 and 13).

use clap::Args;
use cure_report::plot::{ContourPlot, Grid, PanelFigure, SurfacePlot};
use cure_report::{Cell, Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::super::arguments::Common;
use super::super::manifest::NetworkFacts;
use super::super::measure;
use super::super::operator::unit;
use super::super::report::{Report, exact, number, shown};
use super::super::study::{Found, Group, Measured, OfNetwork, Proceed, Setting, Study};
use super::{Cut, SectionArguments, absent, columns, panel_size, stems};
use crate::arguments::General;
use crate::failure::{Blame, Outcome};

#[derive(Args, Debug)]
#[command(after_help = "\
Without --limit or --indices the first 3 images are shown. r points to the nearest point of the
decision boundary that the attack finds, v is random and orthogonal to it, the same for every
network. For each image there are two figures, surface-INDEX in three dimensions and
contour-INDEX, with a panel a network, one span and one range of values for all. Pixels may leave
[0, 1] in them, as in the paper's.")]
pub(in super::super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    section: SectionArguments,
    /// Places along each axis: N² passes an image and network.
    #[arg(long, value_name = "N", default_value_t = 61)]
    points: usize,
}

/// ℓ in each sample's plane.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Surfaces {
    #[serde(flatten)]
    cut: Cut,
}

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Row {
    /// How far along r the boundary is.
    distance: f64,
    /// ℓ where it is finite: places along v, and for each those along r.
    losses: Vec<Option<f64>>,
    /// Points of the plane where no image is.
    outside: usize,
}

pub(in super::super) fn run(general: &General, options: &Options) -> Outcome {
    options.common.scale_of_distances()?;
    let study = Surfaces { cut: Cut::parse(&options.section, options.points)? };
    measure::run(general, &options.common, study)
}

/// The networks that have a section of a sample.
type Shown<'r> = Vec<(&'r str, &'r Row)>;

impl Study for Surfaces {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "surface";
    const DEFAULT_SAMPLES: usize = 3;

    fn group(&self) -> usize {
        1
    }

    fn figures(&self, indices: &[usize]) -> Vec<String> {
        [stems("surface", indices), stems("contour", indices)].concat()
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.cut.check(networks, dimension)
    }

    fn prepare(&mut self, setting: &Setting<'_>) -> Outcome {
        self.cut.prepare(setting)
    }

    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        self.cut.measure(group, proceed, |plane, section| {
            let finite = |loss: f64| Some(loss).filter(|loss| loss.is_finite());
            Ok(Row {
                distance: plane.distance,
                losses: section.losses.into_iter().map(finite).collect(),
                outside: section.outside,
            })
        })
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let mut text = Table::new(
            format!("Loss surfaces ({})", found.manifest.images()),
            ["network", "n", "distance along r", "largest ℓ shown", "farthest from its tangent"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let distance = network.mean(|row| Some(row.distance));
            let most = network.mean(|row| row.range().map(|(_, most)| most));
            let bend = network.mean(|row| row.deviation(&self.cut.axis()));
            let cells = [shown(distance), shown(most), shown(bend)];
            let head = [Cell::from(network.facts.name.as_str()), network.measured().into()];
            text = text.row(head.into_iter().chain(cells));
            summaries.push(json!({
                "measured": network.measured(), "distance": distance, "largest_loss": most,
                "deviation": bend,
            }));
        }
        let mut figures = Vec::new();
        for (sample, index) in found.manifest.indices.iter().enumerate() {
            let rows = rows_of(found, sample);
            if rows.is_empty() {
                continue;
            }
            figures.push((format!("surface-{index}"), self.draw(found, sample, &rows, true)?));
            figures.push((format!("contour-{index}"), self.draw(found, sample, &rows, false)?));
        }
        let mut details = Map::new();
        details.insert("axis".into(), json!(self.cut.axis()));
        let axis = self.cut.axis();
        let columns = ["distance", "least", "largest", "deviation", "missing", "outside"];
        Ok(Report {
            figures,
            samples: found.table(columns, |row| {
                let range = row.range();
                let missing = row.losses.iter().filter(|loss| loss.is_none()).count();
                vec![vec![
                    exact(Some(row.distance)),
                    exact(range.map(|(least, _)| least)),
                    exact(range.map(|(_, most)| most)),
                    exact(row.deviation(&axis)),
                    missing.into(),
                    row.outside.into(),
                ]]
            }),
            summaries,
            details,
            text: text.to_text(),
        })
    }
}

impl Surfaces {
    /// All networks' panels of a sample, in space or as contours.
    fn draw(
        &self,
        found: &Found<'_, Row>,
        sample: usize,
        rows: &Shown<'_>,
        in_space: bool,
    ) -> Outcome<Figure> {
        let manifest = found.manifest;
        let index = manifest.indices[sample];
        let label = found.networks.first().map_or(0, |network| network.samples[sample].label);
        let unit = unit(manifest.scale);
        let ranges = rows.iter().filter_map(|(_, row)| row.range());
        let (least, most) = ranges
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), range| {
                (low.min(range.0), high.max(range.1))
            });
        let title = format!("−ℓ around image {index}, class {}", manifest.class(label));
        let distances = rows.iter().map(|(name, row)| format!("{name} {}", number(row.distance)));
        let distances: Vec<String> = distances.collect();
        let mut panels =
            PanelFigure::new(title, columns(rows.len())).colour_bar("−ℓ", -most, -least);
        for (name, row) in rows {
            panels =
                panels.panel(*name, self.panel(row, unit, (-most, -least), rows.len(), in_space)?);
        }
        panels
            .caption(format!(
                "The negative loss at x + a·r + b·v: r towards the nearest point of the boundary \
                 that {} finds, v random and orthogonal to it, seed {}; lengths are ℓ2 over {unit}. \
                 One range of values for all networks. How far the attack went: {}. The networks are \
                 evaluated where pixels leave [0, 1] too.{}",
                self.cut.attack,
                manifest.head["seed"],
                distances.join(", "),
                absent(found, sample),
            ))
            .draw()
            .failed()
    }

    fn panel(
        &self,
        row: &Row,
        unit: &str,
        range: (f64, f64),
        panels: usize,
        in_space: bool,
    ) -> Outcome<Figure> {
        let axis = self.cut.axis();
        let heights = row.losses.iter().map(|loss| loss.map_or(f64::NAN, |loss| -loss)).collect();
        let grid = Grid::new(axis.clone(), axis, heights).failed()?;
        let (width, height) = panel_size(panels);
        if in_space {
            return SurfacePlot::new("", "along r", "along v", "−ℓ")
                .grid(grid)
                .range(range.0, range.1)
                .point("image", 0.0, 0.0)
                .without_colour_bar()
                .size(width, height)
                .draw()
                .failed();
        }
        ContourPlot::new("", format!("along r ({unit})"), format!("along v ({unit})"), "−ℓ")
            .grid(grid)
            .range(range.0, range.1)
            .point("image", 0.0, 0.0)
            .point("the attack's example", row.distance, 0.0)
            .without_colour_bar()
            .equal_axes()
            .size(width, height)
            .draw()
            .failed()
    }
}

impl Row {
    /// How far the loss goes from its tangent plane at the image, where in the section it goes farthest: the
    /// measure of local linearity of Qin et al., *Adversarial robustness through local linearization*, 2019,
    /// eq. (5), here in a plane. The tangent is that of the points beside the image; without one there, nothing.
    fn deviation(&self, axis: &[f64]) -> Option<f64> {
        let middle = axis.iter().position(|&at| at == 0.0)?;
        let loss = |v: usize, r: usize| *self.losses.get(v * axis.len() + r)?;
        let (before, after) = (middle.checked_sub(1)?, middle + 1);
        let apart = axis.get(after)? - axis[before];
        let here = loss(middle, middle)?;
        let along_r = (loss(middle, after)? - loss(middle, before)?) / apart;
        let along_v = (loss(after, middle)? - loss(before, middle)?) / apart;
        let off = |v: usize, r: usize| {
            Some((loss(v, r)? - here - along_r * axis[r] - along_v * axis[v]).abs())
        };
        let places = (0..axis.len()).flat_map(|v| (0..axis.len()).map(move |r| (v, r)));
        places.filter_map(|(v, r)| off(v, r)).reduce(f64::max)
    }

    /// The least and the largest loss.
    fn range(&self) -> Option<(f64, f64)> {
        let mut finite = self.losses.iter().flatten().copied();
        let first = finite.next()?;
        Some(finite.fold((first, first), |(low, high), loss| (low.min(loss), high.max(loss))))
    }
}

fn rows_of<'r>(found: &'r Found<'_, Row>, sample: usize) -> Shown<'r> {
    let row = |network: &'r OfNetwork<'_, Row>| match &network.samples[sample].found {
        Measured::Row(row) => Some((network.facts.name.as_str(), row)),
        Measured::LeftOut(_) => None,
    };
    found.networks.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn a_plane_has_no_deviation_and_a_bowl_its_height() {
        let axis = [-2.0, -1.0, 0.0, 1.0, 2.0];
        let row = |loss: fn(f64, f64) -> f64| Row {
            distance: 1.0,
            losses: axis.iter().flat_map(|&v| axis.map(|r| Some(loss(r, v)))).collect(),
            outside: 0,
        };
        assert!(row(|r, v| 3.0 + 2.0 * r - v).deviation(&axis).is_some_and(|found| found < 1e-12));
        let bowl = row(|r, v| 2.0 * r + r * r + 3.0 * v * v);
        assert!(bowl.deviation(&axis).is_some_and(|found| (found - 16.0).abs() < 1e-12));
        assert_eq!(bowl.deviation(&[-1.0, 1.0]), None);
        let mut hole = row(|r, v| r * v);
        hole.losses[12] = None;
        assert_eq!(hole.deviation(&axis), None);
    }
}
