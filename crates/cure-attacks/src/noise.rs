//! Random noise in the ball: the weakest attack, as a sanity check of all others.

use std::fmt;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::{Adversarial, Goal, Search};
use crate::attack::{Attack, AttackSpec};
use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

pub(crate) const ENTRY: Entry = Entry {
    name: "noise",
    title: "random noise",
    knowledge: Knowledge::Nothing,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    reference: "a sanity check; Carlini et al. 2019",
    cost: "draws + 1 forwards",
    parameters: &[
        Parameter::new("norm", "linf", "linf, l2 or l1"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("draws", "100", "points drawn around each image"),
        Parameter::new("sphere", "false", "whether they lie at distance eps, not within it"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = NoiseOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(NoiseOptions {
        draws: given.or("draws", default.draws)?,
        sphere: given.or("sphere", default.sphere)?,
        ..default
    }))
}

/// The stream of the first draw, apart from those of random starts.
const FIRST_STREAM: usize = 1 << 21;

/// The parameters of [`noise`]. The defaults are those of [`NoiseOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseOptions {
    /// The norm of the ball. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// Points drawn around each image. Default 100.
    pub draws: usize,
    /// Whether they lie at distance ε in a random direction (in ℓ∞ corners of the ball), not
    /// anywhere within it, before the box cuts them. Default no.
    pub sphere: bool,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl NoiseOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self { norm, epsilon, draws: 100, sphere: false, region: None }
    }
}

impl Attack for NoiseOptions {
    usual!(noise: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        self.epsilon.check_within("ε", self.norm, dimension)?;
        if self.draws == 0 {
            return Err(AttackError::Parameter {
                attack: ENTRY.name,
                parameter: "draws",
                value: "0".into(),
                reason: "at least 1 is needed".into(),
            });
        }
        Ok(())
    }
}

impl fmt::Display for NoiseOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epsilon = self.epsilon.notation();
        write!(out, "noise:norm={},eps={epsilon},draws={}", self.norm, self.draws)?;
        if self.sphere { out.write_str(",sphere=true") } else { Ok(()) }
    }
}

/// Looks at random points around each image, uniform in the ball or on its border, cut to the box;
/// the clean image first. An attack that finds less than this does not work.
///
/// The point of largest margin is kept. A sample whose logits were the same at every point ends
/// undecided: nothing was seen of how the classifier changes.
///
/// Cost: at most `draws + 1` forwards an image, no backward.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn noise(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &NoiseOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let centers = images.host();
    let region = options.region.as_ref();
    let ball = Ball::new(options.norm, options.epsilon, &centers, labels.len(), region);
    let mut search = Search::new(&images, Goal::away_from(labels));
    let mut rows: Vec<usize> = (0..labels.len()).collect();
    let (mut forward, mut points, mut before) = (0, images.clone(), None);
    for draw in 0..=options.draws {
        if rows.is_empty() {
            break;
        }
        let logits = check::logits_of(classifier, &points)?;
        forward += rows.len() as u64;
        search.judge(&rows, &points, &logits, Loss::Margin)?;
        if let Some(before) = &before {
            search.note_tried(&changed(&rows, before, &logits));
        }
        let keep: Vec<usize> =
            (0..rows.len()).filter(|&slot| !search.is_solved(rows[slot])).collect();
        rows = keep.iter().map(|&slot| rows[slot]).collect();
        before = Some(ops::select(&logits, &keep)?);
        if draw < options.draws {
            let stream = FIRST_STREAM + draw;
            points = ball.random_start(&rows, images.shape(), streams, stream, options.sphere)?;
        }
    }
    search.finish(forward, 0)
}

/// Those of `rows` whose logits differ.
fn changed(rows: &[usize], before: &Tensor, after: &Tensor) -> Vec<usize> {
    let classes = after.shape().last().copied().unwrap_or(1).max(1);
    let (before, after) = (before.host(), after.host());
    let pairs = before.chunks_exact(classes).zip(after.chunks_exact(classes));
    rows.iter().zip(pairs).filter(|(_, (a, b))| a != b).map(|(&row, _)| row).collect()
}
