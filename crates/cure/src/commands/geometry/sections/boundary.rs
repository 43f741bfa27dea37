//! `cure geometry boundary`: the regions of the classes in the plane of r and v (Fig. 1).

use clap::Args;
use cure_geometry::{Boundary, BoundaryOptions, boundary};
use cure_report::plot::{Grid, PanelFigure, RegionPlot};
use cure_report::{Cell, Figure, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
Without --limit or --indices the first 3 images are shown, each as boundary-INDEX with a panel a
network. r points to the nearest point of the decision boundary that the attack finds, v is
random and orthogonal to it, the same for every network. The boundary beside the image is
followed along v and a parabola fitted to it: its curvature κ is over 0 where the boundary bends
away from the image and below 0 where it bends around it. Flatness is how far the boundary is
from its best straight line.")]
pub(in super::super) struct Options {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    section: SectionArguments,
    /// Places along each axis: N² passes an image and network.
    #[arg(long, value_name = "N", default_value_t = 101)]
    points: usize,
    /// How far along v the boundary is followed to both sides, as a share of the distance to it.
    #[arg(long, value_name = "SHARE", default_value_t = BoundaryOptions::default().width)]
    width: f64,
    /// Places along v at which the boundary is looked for.
    #[arg(long, value_name = "N", default_value_t = BoundaryOptions::default().places)]
    places: usize,
    /// How far along r it is looked for, as a share of the distance to it.
    #[arg(long, value_name = "SHARE", default_value_t = BoundaryOptions::default().reach)]
    reach: f64,
}

/// The classes in each sample's plane, and the boundary in it.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Regions {
    #[serde(flatten)]
    cut: Cut,
    width: f64,
    places: usize,
    reach: f64,
}

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Row {
    /// How far along r the boundary is.
    distance: f64,
    /// Places along v, and for each those along r.
    classes: Vec<usize>,
    /// Points of the plane where no image is.
    outside: usize,
    boundary: Boundary,
}

pub(in super::super) fn run(general: &General, options: &Options) -> Outcome {
    options.common.scale_of_distances()?;
    let study = Regions {
        cut: Cut::parse(&options.section, options.points)?,
        width: options.width,
        places: options.places,
        reach: options.reach,
    };
    measure::run(general, &options.common, study)
}

impl Regions {
    fn options(&self) -> BoundaryOptions {
        BoundaryOptions { width: self.width, places: self.places, reach: self.reach }
    }
}

impl Study for Regions {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "boundary";
    const DEFAULT_SAMPLES: usize = 3;

    fn group(&self) -> usize {
        1
    }

    fn figures(&self, indices: &[usize]) -> Vec<String> {
        stems(Self::NAME, indices)
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        _samples: usize,
    ) -> cure_geometry::Result<()> {
        self.options().check()?;
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
            Ok(Row {
                distance: plane.distance,
                classes: section.classes,
                outside: section.outside,
                boundary: boundary(&group.losses, plane, &self.options())?,
            })
        })
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let unit = unit(found.manifest.scale);
        let mut text = Table::new(
            format!("Decision boundaries ({}, lengths over {unit})", found.manifest.images()),
            [
                "network",
                "image",
                "distance",
                "class changes at",
                "κ",
                "κ · distance",
                "flatness/distance",
            ],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            for (entry, row) in network.entries() {
                let [at, bend, relative, flat] =
                    [row.along(), row.boundary.curvature, row.bend(), row.flatness()].map(read);
                text = text.row([
                    Cell::from(network.facts.name.as_str()),
                    entry.index.into(),
                    number(row.distance).into(),
                    at,
                    bend,
                    relative,
                    flat,
                ]);
            }
            summaries.push(summary(network));
        }
        for network in found.networks.iter().filter(|network| network.measured() > 1) {
            text = text.row([
                Cell::from(format!("{}, mean", network.facts.name)),
                network.measured().into(),
                shown(network.mean(|row| Some(row.distance))),
                shown(network.mean(Row::along)),
                shown(network.mean(|row| row.boundary.curvature)),
                shown(network.mean(Row::bend)),
                shown(network.mean(Row::flatness)),
            ]);
        }
        let mut figures = Vec::new();
        for (sample, index) in found.manifest.indices.iter().enumerate() {
            if let Some(figure) = self.draw(found, sample)? {
                figures.push((format!("{}-{index}", Self::NAME), figure));
            }
        }
        let mut details = Map::new();
        details.insert("axis".into(), json!(self.cut.axis()));
        let curves = found.networks.iter().flat_map(|network| {
            network.entries().map(|(entry, row)| {
                let (name, curve) = (&network.facts.name, &row.boundary.curve);
                json!({ "network": name, "index": entry.index, "curve": curve })
            })
        });
        details.insert("boundaries".into(), curves.collect());
        let columns = [
            "distance",
            "class_changes_at",
            "curvature",
            "curvature_distance",
            "flatness_share",
            "fit_residual",
            "outside",
        ];
        Ok(Report {
            figures,
            samples: found.table(columns, |row| {
                let Boundary { curvature, residual, .. } = row.boundary;
                let numbers = [
                    Some(row.distance),
                    row.along(),
                    curvature,
                    row.bend(),
                    row.flatness(),
                    residual,
                ]
                .map(exact);
                vec![numbers.into_iter().chain([row.outside.into()]).collect()]
            }),
            summaries,
            details,
            text: text.to_text(),
        })
    }
}

impl Regions {
    /// All networks' panels of a sample; none where no network has one.
    fn draw(&self, found: &Found<'_, Row>, sample: usize) -> Outcome<Option<Figure>> {
        let manifest = found.manifest;
        let row = |network: &'_ OfNetwork<'_, Row>| {
            matches!(network.samples[sample].found, Measured::Row(_))
        };
        let panels = found.networks.iter().filter(|network| row(network)).count();
        if panels == 0 {
            return Ok(None);
        }
        let index = manifest.indices[sample];
        let label = found.networks.first().map_or(0, |network| network.samples[sample].label);
        let title = format!("Class regions around image {index}, class {}", manifest.class(label));
        let mut figure = PanelFigure::new(title, columns(panels));
        let mut facts = Vec::new();
        for network in &found.networks {
            let Measured::Row(row) = &network.samples[sample].found else { continue };
            let name = network.facts.name.as_str();
            let classes = network.facts.classes.max(manifest.class_names.len());
            figure = figure.panel(name, self.panel(row, label, panels, found, classes)?);
            let bend = row.boundary.curvature.map_or_else(|| "none".into(), number);
            facts.push(format!("{name} distance {}, κ = {bend}", number(row.distance)));
        }
        let figure = figure.caption(format!(
            "The predicted class at x + a·r + b·v: r towards the nearest point of the boundary that {} \
             finds, v random and orthogonal to it, seed {}; lengths are ℓ2 over {}. κ is the curvature \
             of the boundary beside r. {}. The networks are evaluated where pixels leave [0, 1] too.{}",
            self.cut.attack,
            manifest.head["seed"],
            unit(manifest.scale),
            facts.join("; "),
            absent(found, sample),
        ));
        figure.draw().failed().map(Some)
    }

    fn panel(
        &self,
        row: &Row,
        label: usize,
        panels: usize,
        found: &Found<'_, Row>,
        classes: usize,
    ) -> Outcome<Figure> {
        let axis = self.cut.axis();
        let grid = Grid::new(axis.clone(), axis, row.classes.clone()).failed()?;
        let (width, height) = panel_size(panels);
        let unit = unit(found.manifest.scale);
        let names = (0..classes).map(|class| found.manifest.class(class));
        RegionPlot::new("", format!("along r ({unit})"), format!("along v ({unit})"), names)
            .grid(grid)
            .correct(label)
            .point("image", 0.0, 0.0)
            .arrow("r", (0.0, 0.0), (row.distance, 0.0))
            .equal_axes()
            .size(width, height)
            .draw()
            .failed()
    }
}

impl Row {
    /// κ in units of the distance: how much the boundary bends on the way it is away.
    fn bend(&self) -> Option<f64> {
        self.boundary.curvature.map(|curvature| curvature * self.distance)
    }

    /// Where along r the class is another one first, of the places looked at nearest to r: the attack
    /// goes somewhat beyond.
    fn along(&self) -> Option<f64> {
        let nearest = self.boundary.curve.iter().min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        nearest.and_then(|(_, along)| *along)
    }

    fn flatness(&self) -> Option<f64> {
        self.boundary.flatness.map(|flatness| flatness / self.distance)
    }
}

fn read(value: Option<f64>) -> Cell {
    value.map_or(Cell::Missing, |value| number(value).into())
}

fn summary(network: &OfNetwork<'_, Row>) -> Value {
    json!({
        "measured": network.measured(),
        "distance": network.mean(|row| Some(row.distance)),
        "class_changes_at": network.mean(Row::along),
        "curvature": network.mean(|row| row.boundary.curvature),
        "curvature_magnitude": network.mean(|row| row.boundary.curvature.map(f64::abs)),
        "curvature_distance": network.mean(Row::bend),
        "flatness_share": network.mean(Row::flatness),
        "without_boundary": network.rows().filter(|row| row.boundary.curvature.is_none()).count(),
    })
}
