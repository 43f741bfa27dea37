//! `cure geometry gallery`: images, perturbations and what networks say of them (Fig. 11).

use clap::Args;
use cure_attacks::{AttackSpec, Streams};
use cure_geometry::GeometryError;
use cure_report::{AdversarialExample, Cell, Image, ImageGrid, Prediction, Table};
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::arguments::Common;
use super::manifest::NetworkFacts;
use super::measure;
use super::report::{Report, exact, shown};
use super::study::{Found, Group, Measured, OfNetwork, Proceed, Study};
use crate::arguments::General;
use crate::failure::{Blame, Outcome};

#[derive(Args, Debug)]
#[command(after_help = "\
Without --limit or --indices the first 5 images are shown, each for every network: the image,
what the attack adds to it (magnified, the factor written beneath), the sum, and the predictions
with their confidences. Images that a network misclassifies as they are, or that the attack
leaves standing, are counted and not shown.")]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// The attack; cure attacks list shows them all.
    #[arg(long, value_name = "SPEC", default_value = "deepfool:norm=l2")]
    attack: String,
}

/// The attack on each sample.
#[derive(Serialize, Deserialize)]
pub(super) struct Examples {
    attack: AttackSpec,
}

/// A sample's.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    image: Vec<f32>,
    perturbed: Vec<f32>,
    /// Class and confidence.
    clean: (usize, f64),
    attacked: (usize, f64),
    /// The length of the perturbation in the attack's norm, over pixels in [0, 1].
    norm: f64,
}

pub(super) fn run(general: &General, options: &Options) -> Outcome {
    let study = Examples { attack: options.attack.parse().input()? };
    measure::run(general, &options.common, study)
}

/// More rows than a picture holds.
const MOST: usize = 100;

impl Study for Examples {
    type Row = Row;
    type Sums = ();

    const NAME: &'static str = "gallery";
    const DEFAULT_SAMPLES: usize = 5;

    fn group(&self) -> usize {
        8
    }

    fn figures(&self, _indices: &[usize]) -> Vec<String> {
        vec![Self::NAME.into()]
    }

    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        samples: usize,
    ) -> cure_geometry::Result<()> {
        if samples * networks.len() > MOST {
            return Err(GeometryError::Setting {
                name: "the number of images times networks",
                value: (samples * networks.len()).to_string(),
                accepted: format!("at most {MOST}, for one picture"),
            });
        }
        for network in networks {
            self.attack.check(Some(dimension), Some(network.classes))?;
        }
        Ok(())
    }

    fn measure(
        &self,
        group: &Group<'_>,
        _proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Row>>> {
        let losses = &group.losses;
        let (classifier, images, d) = (losses.classifier(), losses.images(), losses.dimension());
        let streams = Streams::new(group.seed, &group.indices);
        let attacked = self.attack.run(classifier, images, losses.labels(), &streams)?;
        let before = ops::softmax(&classifier.logits(images)?)?;
        let after = ops::softmax(&classifier.logits(&attacked.images)?)?;
        let row = |row: usize| {
            let pixels = |images: &Tensor| images.host()[row * d..][..d].to_vec();
            let (image, perturbed) = (pixels(images), pixels(&attacked.images));
            let change = image.iter().zip(&perturbed).map(|(a, b)| f64::from(*b) - f64::from(*a));
            let norm = self.attack.norm().of(change);
            let predictions = [prediction(&before, row), prediction(&after, row)];
            match predictions {
                _ if let Some(reason) = group.unfit[row] => Measured::left_out(reason),
                _ if !attacked.solved[row] => Measured::left_out("the attack found nothing"),
                [Some(clean), Some(attacked)] => {
                    Measured::Row(Row { image, perturbed, clean, attacked, norm })
                }
                _ => Measured::left_out("logits not finite"),
            }
        };
        Ok((0..losses.samples()).map(row).collect())
    }

    fn report(&self, found: &Found<'_, Row>) -> Outcome<Report> {
        let manifest = found.manifest;
        let mut text = Table::new(
            format!("{} ({})", self.attack, manifest.images()),
            ["network", "fooled", "|δ|", "confidence before", "after"],
        );
        let mut summaries = Vec::new();
        for network in &found.networks {
            let norm = network.mean(|row| Some(row.norm));
            let share = |value: fn(&Row) -> f64| {
                network.mean(|row| Some(value(row))).map(|mean| mean.within(0.0, 1.0))
            };
            let (before, after) = (share(|row| row.clean.1), share(|row| row.attacked.1));
            let fooled = format!("{}/{}", network.measured(), network.samples.len());
            let cells = [shown(norm), shown(before), shown(after)];
            let head = [Cell::from(network.facts.name.as_str()), fooled.into()];
            text = text.row(head.into_iter().chain(cells));
            summaries.push(json!({
                "measured": network.measured(),
                "norm": norm,
                "confidence": before,
                "attacked_confidence": after,
            }));
        }
        let examples = examples(found)?;
        let mut grid = ImageGrid::adversarial(
            format!("What {} makes of images", self.attack.name()),
            &examples,
        )
        .failed()?;
        grid.caption = format!(
            "From {}, by {}. {} The confidence is the predicted class's.",
            manifest.images(),
            self.attack,
            grid.caption
        );
        let figure = grid.draw().failed()?;
        let columns = ["norm", "attacked", "clean_confidence", "attacked_confidence"];
        Ok(Report {
            figures: vec![(Self::NAME.into(), figure)],
            samples: found.table(columns, |row| {
                let (norm, before, after) = (row.norm, row.clean.1, row.attacked.1);
                let class = Cell::from(row.attacked.0);
                vec![vec![exact(Some(norm)), class, exact(Some(before)), exact(Some(after))]]
            }),
            summaries,
            details: Map::new(),
            text: text.to_text(),
        })
    }
}

/// Sample by sample, each for all networks.
fn examples(found: &Found<'_, Row>) -> Outcome<Vec<AdversarialExample>> {
    let manifest = found.manifest;
    let [channels, height, width] = manifest.shape;
    let is_alone = found.networks.len() == 1;
    let mut examples = Vec::new();
    for sample in 0..manifest.indices.len() {
        for OfNetwork { facts, samples, .. } in &found.networks {
            let entry = &samples[sample];
            let Measured::Row(row) = &entry.found else { continue };
            let picture =
                |pixels: &[f32]| Image::new(channels, height, width, pixels.to_vec()).failed();
            let prediction = |(class, confidence): (usize, f64)| {
                Prediction::new(manifest.class(class), confidence as f32)
            };
            examples.push(AdversarialExample {
                name: match is_alone {
                    true => format!("no. {}", entry.index),
                    false => format!("no. {} {}", entry.index, facts.name),
                },
                image: picture(&row.image)?,
                perturbed: picture(&row.perturbed)?,
                label: manifest.class(entry.label),
                clean: prediction(row.clean),
                attacked: prediction(row.attacked),
            });
        }
    }
    Ok(examples)
}

/// The predicted class, the first of equals, and its probability; none where it is not finite.
fn prediction(probabilities: &Tensor, row: usize) -> Option<(usize, f64)> {
    let classes = probabilities.shape().get(1).copied()?;
    let all = probabilities.host();
    let row = all.get(row * classes..(row + 1) * classes)?;
    let best =
        (1..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    let confidence = f64::from(*row.get(best)?);
    confidence.is_finite().then_some((best, confidence))
}
