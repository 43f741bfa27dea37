//! Projected gradient descent (Madry et al. 2018), and its one-step form, FGSM.

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::{Adversarial, Search};
use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::loss::Loss;
use crate::streams::Streams;

/// The parameters of [`pgd`]. The defaults are those of [`PgdOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct PgdOptions {
    /// The norm of the ball, and of a step. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// What is climbed. Default the cross-entropy.
    pub loss: Loss,
    /// Steps of each restart. Default 20.
    pub steps: usize,
    /// The length of a step in pixels. Default ε/4, which for ε = 8/255 is the usual 2/255.
    pub step: Epsilon,
    /// Whether to start from a random point of the ball instead of the clean image. Default yes.
    pub random_start: bool,
    /// Independent runs, judged sample by sample. Default 1; more need a random start.
    pub restarts: usize,
    /// Whether a solved sample leaves the batch. It changes the cost, and which of several
    /// misclassified iterates is returned, never whether one is found. Default yes.
    pub early_stop: bool,
}

impl PgdOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self {
            norm,
            epsilon,
            loss: Loss::default(),
            steps: 20,
            step: epsilon.quarter(),
            random_start: true,
            restarts: 1,
            early_stop: true,
        }
    }

    /// Whether an attack can run with these, on images of `dimension` pixels where that is known.
    ///
    /// # Errors
    /// Lengths larger than the pixel range, no steps, no restarts, restarts that would not
    /// differ.
    pub fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.epsilon.check_within("ε", self.norm, dimension)?;
        self.step.check_within("step", self.norm, dimension)?;
        let refuse = |parameter, value: usize, reason: &str| {
            let (value, reason) = (value.to_string(), reason.to_owned());
            Err(AttackError::Parameter { attack: "pgd", parameter, value, reason })
        };
        if self.steps == 0 {
            return refuse("steps", 0, "at least 1 is needed");
        }
        if self.restarts == 0 {
            return refuse("restarts", 0, "at least 1 is needed");
        }
        if self.restarts > 1 && !self.random_start {
            let reason = "without a random start all restarts are the same; \
                          set random-start=true or restarts=1";
            return refuse("restarts", self.restarts, reason);
        }
        Ok(())
    }
}

/// One step of length ε up the loss: x + ε·sign(∇ℓ) in ℓ∞ (Goodfellow et al. 2015), x + ε·g/‖g‖₂
/// in ℓ2, clipped to [0, 1]. [`pgd`] with one step from the clean image; an image that is
/// misclassified already is kept only if its loss is higher.
///
/// Cost: two forwards, one backward.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels`: `N`.
///
/// # Errors
/// If images or labels do not fit the classifier, or ε is larger than the pixel range.
pub fn fgsm(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    norm: Norm,
    epsilon: Epsilon,
    loss: Loss,
) -> Result<Adversarial> {
    let options = PgdOptions {
        steps: 1,
        step: epsilon,
        loss,
        random_start: false,
        early_stop: false,
        ..PgdOptions::new(norm, epsilon)
    };
    // Nothing is random here: any indices do.
    let indices: Vec<usize> = (0..labels.len()).collect();
    pgd(classifier, images, labels, &options, &Streams::new(0, &indices))
}

/// Projected gradient ascent on the cross-entropy: x ← box(ball(x + step·direction(∇ℓ))), where
/// the direction is sign(g) with sign(0) = 0 in ℓ∞ and g/‖g‖₂ in ℓ2. Without a random start it is
/// Foolbox's `LinfPGD`/`L2PGD` with `abs_stepsize`.
///
/// Every iterate is judged, the first and the last included; a misclassified one is never lost.
/// Each iterate lies within ε·(1 + 1e-6) of its image, and in [0, 1].
///
/// Cost of a restart: at most `steps + 1` forwards and `steps` backwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by
/// [`PgdOptions::check`].
pub fn pgd(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &PgdOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    check::labels(classifier, images, labels)?;
    if streams.len() != labels.len() {
        let (count, images) = (streams.len(), labels.len());
        return Err(AttackError::Count { what: "indices", count, images });
    }
    let length = images.shape().iter().skip(1).product();
    options.check(Some(length))?;
    let images = check::pixels(images)?;
    let centers = images.host();
    let ball =
        Ball { norm: options.norm, epsilon: options.epsilon.value(), centers: &centers, length };
    let mut search = Search::new(&images, labels);
    let (mut forward, mut backward) = (0, 0);
    for restart in 0..options.restarts {
        // The samples still on their way: positions in the batch.
        let mut rows: Vec<usize> = (0..labels.len())
            .filter(|&row| !(options.early_stop && search.is_solved(row)))
            .collect();
        let mut points = if options.random_start {
            let [_, shape @ ..] = images.shape() else { break };
            let shape: Vec<usize> =
                std::iter::once(rows.len()).chain(shape.iter().copied()).collect();
            ball.random_start(&rows, &shape, streams, restart)?
        } else {
            images.clone()
        };
        for _ in 0..options.steps {
            if rows.is_empty() {
                break;
            }
            let network = classifier.linearize(&points)?;
            forward += rows.len() as u64;
            check::logits(classifier, network.logits(), rows.len())?;
            let residual = search.judge(&rows, &points, network.logits(), options.loss)?;
            let is_done = |row: usize| options.early_stop && search.is_solved(row);
            if rows.iter().all(|&row| is_done(row)) {
                rows.clear();
                break;
            }
            // ∇ℓ = Jᵀ ∂ℓ/∂logits; for the cross-entropy Jᵀ(p − y)
            let gradients = network.pullback(&residual)?;
            backward += rows.len() as u64;
            let directed = search.note_gradients(&rows, &gradients);
            let keep: Vec<usize> = (0..rows.len())
                .filter(|&slot| {
                    directed[slot] && !(options.early_stop && search.is_solved(rows[slot]))
                })
                .collect();
            rows = keep.iter().map(|&slot| rows[slot]).collect();
            points = ball.step(
                &rows,
                &ops::select(&points, &keep)?,
                &ops::select(&gradients, &keep)?,
                options.step.value(),
            )?;
        }
        if !rows.is_empty() {
            let logits = classifier.logits(&points)?;
            forward += rows.len() as u64;
            check::logits(classifier, &logits, rows.len())?;
            search.judge(&rows, &points, &logits, options.loss)?;
        }
    }
    search.finish(forward, backward)
}
