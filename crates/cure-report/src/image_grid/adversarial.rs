//! The rows that show what an attack did: image | perturbation ×k | perturbed
//! image | labels and confidences.

use super::{GridCell, GridRow, ImageGrid};
use crate::ReportError;
use crate::image::{Image, Perturbation};

/// Characters a label and its confidence may take together on one line.
const WORDS_WIDTH: usize = 20;

/// What a network says about an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prediction {
    /// Name of the predicted class.
    pub label: String,
    /// Its probability in `[0, 1]`.
    pub confidence: f32,
}

impl Prediction {
    /// The predicted class and its probability.
    pub fn new(label: impl Into<String>, confidence: f32) -> Self {
        Self { label: label.into(), confidence }
    }

    /// On one line where it is short, else the confidence below the label.
    fn lines(&self, what: &str) -> Vec<String> {
        let label = format!("{what}: {}", self.label);
        let confidence = if self.confidence.is_finite() {
            format!("({:.1} %)", 100.0 * self.confidence)
        } else {
            "(no confidence)".to_string()
        };
        if label.chars().count() + confidence.chars().count() < WORDS_WIDTH {
            vec![format!("{label} {confidence}")]
        } else {
            vec![label, confidence]
        }
    }
}

/// An image, its perturbed copy and what the network says of both.
#[derive(Debug, Clone, PartialEq)]
pub struct AdversarialExample {
    /// Shown to the left, such as the image's index.
    pub name: String,
    /// The clean image.
    pub image: Image,
    /// The perturbed image, of the same shape.
    pub perturbed: Image,
    /// Name of the true class.
    pub label: String,
    /// Prediction for the clean image.
    pub clean: Prediction,
    /// Prediction for the perturbed image.
    pub attacked: Prediction,
}

impl AdversarialExample {
    /// Image | perturbation ×k | perturbed image | labels and confidences.
    fn row(&self) -> Result<GridRow, ReportError> {
        let perturbation = Perturbation::between(&self.image, &self.perturbed)?;
        let scale = perturbation.scale_text();
        let picture = |image: &Image| GridCell { image: Some(image.clone()), lines: Vec::new() };
        let mut difference = picture(&perturbation.image);
        let mut lines = vec![format!("true: {}", self.label)];
        lines.extend(self.clean.lines("clean"));
        lines.extend(self.attacked.lines("attacked"));
        let mut parts = scale.split(", ").map(str::to_string);
        difference.lines.extend(parts.next());
        lines.extend(parts);
        let words = GridCell { image: None, lines };
        let cells = vec![picture(&self.image), difference, picture(&self.perturbed), words];
        Ok(GridRow { caption: self.name.clone(), cells })
    }
}

impl ImageGrid {
    /// Rows of image | perturbation ×k | perturbed image | labels and confidences.
    ///
    /// # Errors
    /// [`ReportError::PerturbationShape`] when the two images of an example
    /// differ in shape.
    pub fn adversarial(
        title: impl Into<String>,
        examples: &[AdversarialExample],
    ) -> Result<Self, ReportError> {
        let columns = ["image", "perturbation", "perturbed", "predictions"];
        Ok(Self {
            title: title.into(),
            columns: columns.map(String::from).to_vec(),
            rows: examples.iter().map(AdversarialExample::row).collect::<Result<_, _>>()?,
            magnification: None,
            caption: "The perturbation is shown as 0.5 + k·δ with k = 1/(2·max|δ|), \
                      written beneath it: grey where nothing changed."
                .into(),
        })
    }
}
