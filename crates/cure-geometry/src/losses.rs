use cure_network::{Classifier, Linearized};
use cure_tensor::{Tensor, ops};

use crate::error::{GeometryError, Result, check_count};

/// The losses ℓ of some samples, each a function of its own input: the cross-entropy at its label.
/// Gradients are in the declared scale, whose unit is so many pixels in each channel.
pub struct Losses<'a> {
    classifier: &'a dyn Classifier,
    images: Tensor,
    labels: Vec<usize>,
    /// Pixels of [0, 1] that one unit is, for each entry of an image.
    units: Vec<f64>,
    batch: usize,
}

/// ℓ and the prediction at some points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// ℓ of each.
    pub losses: Vec<f64>,
    /// The predicted class of each, the first of equals.
    pub predicted: Vec<usize>,
}

/// ℓ, the prediction and ∇ℓ of some samples.
pub struct Gradients {
    /// ℓ of each.
    pub losses: Vec<f64>,
    /// The predicted class of each, the first of equals.
    pub predicted: Vec<usize>,
    /// ∇ℓ of each, in the declared scale.
    pub gradients: Vec<Vec<f64>>,
}

/// The longest step that is taken in any scale: far outside of anything that an image can become.
pub(crate) const LONGEST: f64 = 1e6;

impl<'a> Losses<'a> {
    /// The losses of `images` at their labels.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels`: `N` classes; `units`: `C` lengths in
    /// pixels ([`Scale::units`](cure_network::Scale::units)). `batch` images at most are sent
    /// through the network at once.
    ///
    /// # Errors
    /// If images, labels and units do not fit the classifier, a unit is not above 0, or the batch
    /// is 0.
    pub fn new(
        classifier: &'a dyn Classifier,
        images: Tensor,
        labels: Vec<usize>,
        units: &[f32],
        batch: usize,
    ) -> Result<Self> {
        let [channels, height, width] = classifier.input_shape();
        let samples = images.shape().first().copied().unwrap_or(0);
        let expected = samples * channels * height * width;
        check_count("images", expected, images.len())?;
        check_count("labels", samples, labels.len())?;
        check_count("units", channels, units.len())?;
        if let Some(&label) = labels.iter().find(|&&label| label >= classifier.classes()) {
            let accepted = format!("0 to {}", classifier.classes().saturating_sub(1));
            return Err(GeometryError::setting("a label", label, accepted));
        }
        if let Some(&unit) = units.iter().find(|unit| !(unit.is_finite() && **unit > 0.0)) {
            return Err(GeometryError::setting("a unit of the scale", unit, "above 0, in pixels"));
        }
        if batch == 0 {
            return Err(GeometryError::setting("the batch", batch, "1 or more"));
        }
        let of_channel = |unit: &f32| std::iter::repeat_n(f64::from(*unit), height * width);
        let units = units.iter().flat_map(of_channel).collect();
        Ok(Self { classifier, images, labels, units, batch })
    }

    /// N.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// d = C·H·W.
    pub fn dimension(&self) -> usize {
        self.units.len()
    }

    /// The label of each sample.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The network.
    pub fn classifier(&self) -> &'a dyn Classifier {
        self.classifier
    }

    /// `[N, C, H, W]`.
    pub fn images(&self) -> &Tensor {
        &self.images
    }

    /// Images sent through the network at once, at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    pub(crate) fn labels_of(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.labels[row]).collect()
    }

    /// x + v for each row's sample x and its v in the declared scale: `[M, C, H, W]`.
    pub(crate) fn points(&self, rows: &[usize], changes: &[Vec<f64>]) -> Result<Tensor> {
        let (host, d) = (self.images.host(), self.dimension());
        let mut values = Vec::with_capacity(rows.len() * d);
        for (&row, change) in rows.iter().zip(changes) {
            check_count("a direction", d, change.len())?;
            let image = &host[row * d..][..d];
            let moved = image.iter().zip(change).zip(&self.units);
            values.extend(moved.map(|((&x, v), unit)| (f64::from(x) + v * unit) as f32));
        }
        self.tensor(rows.len(), values)
    }

    /// Refuses a step of this length, in the declared scale, that pixels in f32 cannot take: along a
    /// direction that all pixels share alike it must move each by many of f32's spacings.
    pub(crate) fn check_step(&self, h: f64) -> Result<()> {
        /// Spacings of f32 below 1: a step is then right to 1 %.
        const SPACINGS: f64 = 25.0;
        let smallest = self.units.iter().copied().fold(f64::INFINITY, f64::min);
        let least = SPACINGS * f64::from(f32::EPSILON) / 2.0 * (self.dimension() as f64).sqrt();
        if h * smallest >= least {
            return Ok(());
        }
        let least = least / smallest;
        let accepted =
            format!("{least:.1e} or more: pixels in single precision take no shorter steps");
        Err(GeometryError::setting("h", h, accepted))
    }

    /// Directions in the declared scale, as directions in pixels: `[M, C, H, W]`.
    pub(crate) fn directions(&self, directions: &[Vec<f64>]) -> Result<Tensor> {
        let mut values = Vec::with_capacity(directions.len() * self.dimension());
        for direction in directions {
            check_count("a direction", self.dimension(), direction.len())?;
            values.extend(direction.iter().zip(&self.units).map(|(v, unit)| (v * unit) as f32));
        }
        self.tensor(directions.len(), values)
    }

    /// Derivatives with respect to pixels, as rows of derivatives in the declared scale.
    pub(crate) fn rows(&self, pixels: &Tensor) -> Vec<Vec<f64>> {
        let host = pixels.host();
        let scaled = |row: &[f32]| {
            row.iter().zip(&self.units).map(|(&value, unit)| f64::from(value) * unit).collect()
        };
        host.chunks_exact(self.dimension().max(1)).map(scaled).collect()
    }

    fn tensor(&self, rows: usize, values: Vec<f32>) -> Result<Tensor> {
        let [channels, height, width] = self.classifier.input_shape();
        Ok(Tensor::new(&[rows, channels, height, width], values)?)
    }

    /// The network at the samples themselves, one of them a row.
    pub(crate) fn linearize(&self, rows: &[usize]) -> Result<Box<dyn Linearized + 'a>> {
        let classifier: &'a dyn Classifier = self.classifier;
        Ok(classifier.linearize(&ops::select(&self.images, rows)?)?)
    }

    /// ℓ, the prediction and ∇ℓ at x + v for each row's sample x and its v. Cost: 2 passes a row.
    ///
    /// # Errors
    /// If the classifier fails or a direction is not of the samples' dimension.
    pub fn gradients_at(&self, rows: &[usize], changes: &[Vec<f64>]) -> Result<Gradients> {
        let mut found = Gradients {
            losses: Vec::with_capacity(rows.len()),
            predicted: Vec::with_capacity(rows.len()),
            gradients: Vec::with_capacity(rows.len()),
        };
        for (rows, changes) in rows.chunks(self.batch).zip(changes.chunks(self.batch)) {
            let network = self.classifier.linearize(&self.points(rows, changes)?)?;
            self.note(&*network, rows, &mut found)?;
        }
        Ok(found)
    }

    /// ℓ, the prediction and ∇ℓ at every sample itself.
    ///
    /// # Errors
    /// If the classifier fails.
    pub fn gradients(&self) -> Result<Gradients> {
        let still = vec![0.0; self.dimension()];
        let rows: Vec<usize> = (0..self.samples()).collect();
        self.gradients_at(&rows, &vec![still; rows.len()])
    }

    fn note(&self, network: &dyn Linearized, rows: &[usize], found: &mut Gradients) -> Result<()> {
        let loss = ops::cross_entropy(network.logits(), &self.labels_of(rows))?;
        found.gradients.extend(self.rows(&network.pullback(&loss.residual)?));
        found.losses.extend(loss.losses.to_vec());
        found.predicted.extend(self.predictions(network.logits()));
        Ok(())
    }

    /// The predicted class of each row of logits, the first of equals.
    pub(crate) fn predictions(&self, logits: &Tensor) -> Vec<usize> {
        let first_of_the_largest = |row: &[f32]| {
            (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
        };
        logits
            .host()
            .chunks_exact(self.classifier.classes().max(1))
            .map(first_of_the_largest)
            .collect()
    }

    /// ℓ and the prediction at x + v for each row's sample x and its v. Cost: a pass a row.
    ///
    /// # Errors
    /// If the classifier fails or a direction is not of the samples' dimension.
    pub fn at(&self, rows: &[usize], changes: &[Vec<f64>]) -> Result<Values> {
        let mut found = Values::default();
        for (rows, changes) in rows.chunks(self.batch).zip(changes.chunks(self.batch)) {
            let logits = self.classifier.logits(&self.points(rows, changes)?)?;
            let loss = ops::cross_entropy(&logits, &self.labels_of(rows))?;
            found.losses.extend(loss.losses.to_vec());
            found.predicted.extend(self.predictions(&logits));
        }
        Ok(found)
    }

    /// A change in pixels, in the declared scale.
    pub(crate) fn in_units(&self, pixels: impl Iterator<Item = f64>) -> Vec<f64> {
        pixels.zip(&self.units).map(|(pixel, unit)| pixel / unit).collect()
    }
}
