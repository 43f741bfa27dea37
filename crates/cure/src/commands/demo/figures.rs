//! The pictures of the report.

use std::path::Path;

use cure_attacks::Verdict;
use cure_data::Dataset;
use cure_network::Classifier as _;
use cure_report::plot::{LinePlot, Series};
use cure_report::{AdversarialExample, Figure, Image, ImageGrid, Prediction};
use cure_tensor::{Tensor, ops};
use cure_training::EpochRow;

use super::recipe::{HEADLINE, Role, VALIDATION_STEPS};
use super::story::{Story, Subject};
use crate::failure::{Blame, Outcome};

/// Images shown with their perturbations.
const SHOWN: usize = 3;

/// All pictures.
pub(super) struct Figures {
    pub(super) robust_accuracy: Figure,
    pub(super) accuracy: Figure,
    pub(super) loss: Figure,
    /// None where no image is classified correctly by both networks.
    pub(super) images: Option<Figure>,
}

impl Figures {
    pub(super) fn draw(story: &Story) -> Outcome<Self> {
        Ok(Self {
            robust_accuracy: robust_accuracy(story)?,
            accuracy: accuracy(story)?,
            loss: loss(story)?,
            images: images(story)?,
        })
    }

    /// Writes each as SVG, PNG and CSV.
    pub(super) fn save(&self, folder: &Path) -> Outcome {
        let drawn = [
            ("robust-accuracy", Some(&self.robust_accuracy)),
            ("training-accuracy", Some(&self.accuracy)),
            ("training-loss", Some(&self.loss)),
            ("images", self.images.as_ref()),
        ];
        for (stem, figure) in drawn {
            if let Some(figure) = figure {
                figure.save(folder, stem).failed()?;
            }
        }
        Ok(())
    }
}

fn robust_accuracy(story: &Story) -> Outcome<Figure> {
    let caption = format!(
        "Share of the {} test images that stand; ε = 0 is no attack, bars are 95 % intervals.",
        story.test.len()
    );
    let mut plot = LinePlot::new(
        "Robust accuracy under PGD-20",
        "ε, largest change of a pixel (0 to 1)",
        "robust accuracy",
    )
    .percent_y()
    .y_range(0.0, 1.0)
    .caption(caption);
    for subject in &story.networks {
        let clean = &subject.evaluation.clean;
        let mut points = vec![(0.0, clean.accuracy)];
        let mut bounds = vec![clean.ci95];
        for (plan, result) in story.plans.iter().zip(&subject.evaluation.attacks) {
            if plan.family == "PGD-20" {
                points.push((plan.epsilon, result.robust_accuracy));
                bounds.push(result.ci95);
            }
        }
        let bounds = bounds.into_iter().map(|[low, high]| (low, high));
        plot = plot.series(Series::new(subject.role.name(), points).with_error(bounds));
    }
    plot.draw().failed()
}

/// A value of the epochs of a training, behind `before` earlier ones.
fn over_epochs(
    rows: &[EpochRow],
    before: usize,
    value: impl Fn(&EpochRow) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let point = |row: &EpochRow| Some(((before + row.epoch) as f64, value(row)?));
    rows.iter().filter_map(point).collect()
}

/// A value over the epochs of the original and the plain fine-tuning in one line, and over those
/// with CURE in another, which leaves it where the first training ends.
fn branches(
    story: &Story,
    value: impl Fn(&EpochRow) -> Option<f64>,
) -> [(&'static str, Vec<(f64, f64)>); 2] {
    let [original, control, cure] = &story.networks;
    let before = Role::Original.epochs();
    let mut plain = over_epochs(&original.rows, 0, &value);
    let mut with_cure: Vec<(f64, f64)> = plain.last().copied().into_iter().collect();
    plain.extend(over_epochs(&control.rows, before, &value));
    with_cure.extend(over_epochs(&cure.rows, before, &value));
    [("plain throughout", plain), ("with CURE", with_cure)]
}

fn accuracy(story: &Story) -> Outcome<Figure> {
    let mut plot = LinePlot::new("Accuracy on the validation images", "epoch", "accuracy")
        .percent_y()
        .y_range(0.0, 1.0)
        .caption(format!(
            "Fine-tuning begins after epoch {}. Under attack: PGD, {VALIDATION_STEPS} steps at \
             ε = {HEADLINE}. No network was picked by these curves; each is that of its last epoch.",
            Role::Original.epochs(),
        ));
    for (name, points) in branches(story, |row| row.validation_accuracy) {
        plot = plot.series(Series::new(format!("clean, {name}"), points));
    }
    for (name, points) in branches(story, |row| row.validation_robust_accuracy) {
        plot = plot.series(Series::new(format!("under attack, {name}"), points));
    }
    plot.draw().failed()
}

fn loss(story: &Story) -> Outcome<Figure> {
    let [_, _, cure] = &story.networks;
    let before = Role::Original.epochs();
    let mut plot = LinePlot::new("Training: loss and regulariser", "epoch", "mean over the epoch")
        .log_y()
        .caption(format!(
            "The loss ℓ without the regulariser; L_r = ‖∇ℓ(x + hz) − ∇ℓ(x)‖ without γ, as h grows \
             ({}).",
            cure.training.h
        ));
    for (name, points) in branches(story, |row| Some(row.loss)) {
        plot = plot.series(Series::new(format!("loss, {name}"), points));
    }
    let regularizer = over_epochs(&cure.rows, before, |row| Some(row.regularizer));
    plot.series(Series::new("L_r, with CURE", regularizer)).draw().failed()
}

/// The first test images that both networks classify correctly and the original loses to the
/// attack, with what the attack made of them against each network.
fn images(story: &Story) -> Outcome<Option<Figure>> {
    let [original, _, cure] = &story.networks;
    let right = |subject: &Subject, row: usize| {
        let row = &subject.evaluation.rows[row];
        row.clean_prediction == Some(row.label)
    };
    let stands = |subject: &Subject, row: usize| {
        subject.evaluation.rows[row].attacks[subject.headline].verdict == Verdict::Robust
    };
    let lost: Vec<usize> = (0..story.test.len())
        .filter(|&row| right(original, row) && right(cure, row) && !stands(original, row))
        .collect();
    let shown = &lost[..lost.len().min(SHOWN)];
    if shown.is_empty() {
        return Ok(None);
    }
    let held = lost.iter().filter(|&&row| stands(cure, row)).count();
    let clean = story.test.batch(shown).failed()?.images;
    let views = [View::of(original, &clean, shown)?, View::of(cure, &clean, shown)?];
    let mut examples = Vec::new();
    for (place, &row) in shown.iter().enumerate() {
        for (view, name) in views.iter().zip(["original", "with CURE"]) {
            examples.push(view.example(name, &story.test, row, place)?);
        }
    }
    let title = format!("What PGD-20 at ε = {HEADLINE} makes of the same images");
    let mut grid = ImageGrid::adversarial(title, &examples).failed()?;
    grid.caption = format!(
        "The first {} of the {} test images that both networks classify correctly and the original \
         loses to the attack; the network fine-tuned with CURE holds {held} of the {}. The \
         confidence is the predicted class's. {}",
        shown.len(),
        lost.len(),
        lost.len(),
        grid.caption
    );
    grid.draw().failed().map(Some)
}

/// Some images before and after the attack on a network, and what it says of them.
struct View<'a> {
    clean: &'a Tensor,
    attacked: Tensor,
    clean_probabilities: Tensor,
    attacked_probabilities: Tensor,
}

impl<'a> View<'a> {
    fn of(subject: &Subject, clean: &'a Tensor, rows: &[usize]) -> Outcome<Self> {
        let frozen = subject.loaded.network.frozen().failed()?;
        let probabilities = |images: &Tensor| {
            let logits = frozen.logits(images).failed()?;
            ops::softmax(&logits).failed()
        };
        let attacked = ops::select(&subject.evaluation.images[subject.headline], rows).failed()?;
        Ok(Self {
            clean_probabilities: probabilities(clean)?,
            attacked_probabilities: probabilities(&attacked)?,
            clean,
            attacked,
        })
    }

    fn example(
        &self,
        name: &str,
        data: &Dataset,
        row: usize,
        place: usize,
    ) -> Outcome<AdversarialExample> {
        let class = |class: usize| data.class_names().get(class).cloned().unwrap_or_default();
        let prediction = |probabilities: &Tensor| {
            let row = row_of(probabilities, place);
            let top = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            top.map_or_else(Prediction::default, |(top, &confidence)| {
                Prediction::new(class(top), confidence)
            })
        };
        let [channels, height, width] = data.shape();
        let picture =
            |images: &Tensor| Image::new(channels, height, width, row_of(images, place)).failed();
        Ok(AdversarialExample {
            name: name.into(),
            image: picture(self.clean)?,
            perturbed: picture(&self.attacked)?,
            label: class(data.labels()[row]),
            clean: prediction(&self.clean_probabilities),
            attacked: prediction(&self.attacked_probabilities),
        })
    }
}

/// The values of one row of a batch.
fn row_of(tensor: &Tensor, row: usize) -> Vec<f32> {
    let length = tensor.len() / tensor.shape().first().copied().unwrap_or(1).max(1);
    tensor.host()[row * length..(row + 1) * length].to_vec()
}
