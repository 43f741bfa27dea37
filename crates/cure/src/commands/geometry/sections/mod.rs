//! Sections in the plane of r, towards the boundary, and a random v: loss surfaces and class regions.

pub(super) mod boundary;
pub(super) mod surface;

use clap::Args;
use cure_attacks::AttackSpec;
use cure_geometry::{Plane, Section, planes, section};
use serde::{Deserialize, Serialize};

use super::arguments::NearestArguments;
use super::manifest::NetworkFacts;
use super::study::{Found, Group, Measured, OfNetwork, Proceed, Setting};
use crate::failure::{Blame, Failure, Outcome};

#[derive(Args, Debug)]
pub(super) struct SectionArguments {
    #[command(flatten)]
    nearest: NearestArguments,
    /// How far to both sides of the image along r and v, in the scale of --scale [default: twice
    /// the largest distance to the boundary, of all images and networks]
    #[arg(long, value_name = "LENGTH")]
    span: Option<f64>,
}

/// Which sections are made.
#[derive(Serialize, Deserialize)]
pub(super) struct Cut {
    pub(super) attack: AttackSpec,
    /// To both sides, alike for all images and networks; none until it is settled.
    span: Option<f64>,
    points: usize,
}

/// Distances to the boundary that a section reaches where nothing is said.
const REACH: f64 = 2.0;

/// A span that is as good as any: there is no plane to be seen in it.
const NO_PLANE: f64 = 1.0;

impl Cut {
    pub(super) fn parse(arguments: &SectionArguments, points: usize) -> Outcome<Self> {
        Section::check(arguments.span.unwrap_or(NO_PLANE), points).input()?;
        Ok(Self { attack: arguments.nearest.parse()?, span: arguments.span, points })
    }

    pub(super) fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
    ) -> cure_geometry::Result<()> {
        for network in networks {
            self.attack.check(Some(dimension), Some(network.classes))?;
        }
        Ok(())
    }

    /// Settles the span, where none was given, by the distances of all images.
    pub(super) fn prepare(&mut self, setting: &Setting<'_>) -> Outcome {
        if self.span.is_some() {
            return Ok(());
        }
        let mut largest: f64 = 0.0;
        for network in setting.networks {
            let classifier = network.model.classifier()?;
            for row in 0..setting.data.len() {
                if crate::interrupt::asked() {
                    return Err(Failure::Interrupted("interrupted; nothing was noted yet".into()));
                }
                let sample = setting.samples(&[row])?;
                let losses = setting.losses(network, classifier.as_ref(), &sample, 1).failed()?;
                let indices = &setting.data.indices()[row..=row];
                let found = planes(&losses, indices, &self.attack, setting.seed).failed()?;
                largest =
                    found.iter().flatten().fold(largest, |most, plane| most.max(plane.distance));
            }
        }
        self.span = Some(if largest > 0.0 { two_digits(REACH * largest) } else { NO_PLANE });
        Ok(())
    }

    fn span(&self) -> f64 {
        self.span.unwrap_or(NO_PLANE)
    }

    /// What is made of each sample's plane and section; those that have none are left out.
    pub(super) fn measure<R>(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
        mut make: impl FnMut(&Plane, Section) -> cure_geometry::Result<R>,
    ) -> cure_geometry::Result<Vec<Measured<R>>> {
        let losses = &group.losses;
        let found = planes(losses, &group.indices, &self.attack, group.seed)?;
        let mut rows = Vec::with_capacity(found.len());
        for (row, plane) in found.iter().enumerate() {
            rows.push(match (group.unfit[row], plane) {
                (Some(reason), _) => Measured::left_out(reason),
                (None, None) => Measured::left_out("the attack found nothing"),
                (None, Some(plane)) => {
                    let section = section(losses, plane, self.span(), self.points, &mut *proceed)?;
                    Measured::Row(make(plane, section)?)
                }
            });
        }
        Ok(rows)
    }

    /// Places along both axes.
    pub(super) fn axis(&self) -> Vec<f64> {
        Section::axis(self.span(), self.points)
    }
}

/// Rounded up to two digits that count.
fn two_digits(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    (value / unit).ceil() * unit
}

/// The names of the figures `what-index`, one for each sample.
pub(super) fn stems(what: &str, indices: &[usize]) -> Vec<String> {
    indices.iter().map(|index| format!("{what}-{index}")).collect()
}

/// A sentence on the networks that have no panel for a sample, if there are any.
pub(super) fn absent<R>(found: &Found<'_, R>, sample: usize) -> String {
    let reason = |network: &OfNetwork<'_, R>| match &network.samples[sample].found {
        Measured::Row(_) => None,
        Measured::LeftOut(reason) => Some(format!("{} ({reason})", network.facts.name)),
    };
    let names: Vec<String> = found.networks.iter().filter_map(reason).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" Without a panel: {}.", names.join(", "))
    }
}

/// Width and height of each of so many panels side by side.
pub(super) fn panel_size(panels: usize) -> (f64, f64) {
    match panels {
        1 => (620.0, 560.0),
        2 | 4 => (460.0, 440.0),
        _ => (380.0, 370.0),
    }
}

/// Panels beside each other.
pub(super) fn columns(panels: usize) -> usize {
    if panels == 4 { 2 } else { panels.min(3) }
}
