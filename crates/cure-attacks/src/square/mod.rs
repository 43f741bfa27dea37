//! The Square attack (Andriushchenko et al. 2020): a random search that needs logits alone.

mod patch;

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use crate::adversarial::{Adversarial, Goal, Search};
use crate::attack::{Attack, AttackSpec};
use crate::ball::{Ball, some_of};
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

use patch::{Canvas, Patch};

pub(crate) const ENTRY: Entry = Entry {
    name: "square",
    title: "Square attack, a random search",
    knowledge: Knowledge::Logits,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2],
    reference: "Andriushchenko et al. 2020",
    cost: "restarts × (queries + 1) forwards",
    parameters: &[
        Parameter::new("norm", "linf", "linf or l2"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("queries", "5000", "candidates of each restart"),
        Parameter::new("restarts", "1", "independent runs, judged image by image"),
        Parameter::new("p-init", "0.8", "share of the image that the first squares cover"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = SquareOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(SquareOptions {
        queries: given.or("queries", default.queries)?,
        restarts: given.or("restarts", default.restarts)?,
        p_init: given.or("p-init", default.p_init)?,
        ..default
    }))
}

/// The parameters of [`square`]. The defaults are those of [`SquareOptions::new`], and of
/// AutoAttack.
#[derive(Clone, Debug, PartialEq)]
pub struct SquareOptions {
    /// The norm of the ball: ℓ∞ or ℓ2. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// Candidates of each restart, its start not counted. Default 5000.
    pub queries: usize,
    /// Independent runs, judged sample by sample. Default 1.
    pub restarts: usize,
    /// The share of the image that the first squares cover. Default 0.8.
    pub p_init: f64,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

const P_INIT: f64 = 0.8;

impl SquareOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self { norm, epsilon, queries: 5000, restarts: 1, p_init: P_INIT, region: None }
    }
}

impl Attack for SquareOptions {
    usual!(square: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        ENTRY.check_norm(self.norm)?;
        self.epsilon.check_within("ε", self.norm, dimension)?;
        let refuse = |parameter, value: String, reason: &str| {
            let attack = ENTRY.name;
            Err(AttackError::Parameter { attack, parameter, value, reason: reason.into() })
        };
        for (parameter, count) in [("queries", self.queries), ("restarts", self.restarts)] {
            if count == 0 {
                return refuse(parameter, "0".into(), "at least 1 is needed");
            }
        }
        if !(self.p_init > 0.0 && self.p_init <= 1.0) {
            let reason = "a share over 0 and up to 1 is needed; 0.8 is usual";
            return refuse("p-init", self.p_init.to_string(), reason);
        }
        Ok(())
    }
}

impl fmt::Display for SquareOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm, epsilon, queries, restarts, p_init, .. } = self;
        let epsilon = epsilon.notation();
        write!(out, "square:norm={norm},eps={epsilon},queries={queries},restarts={restarts}")?;
        if *p_init == P_INIT { Ok(()) } else { write!(out, ",p-init={p_init}") }
    }
}

/// p over its first value at a query: the schedule of the paper's section 4, as AutoAttack uses it,
/// not stretched to the number of queries.
fn share(query: usize) -> f64 {
    const LAST: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
    let halvings = LAST.iter().filter(|&&last| query > last).count();
    0.5f64.powi(halvings as i32)
}

/// One sample in the search.
struct Seeker {
    /// Its position in the batch.
    row: usize,
    random: ChaCha8Rng,
    /// The candidate of largest margin, and that margin.
    point: Vec<f32>,
    margin: f64,
}

/// Random search in the ball: a candidate differs from the best one by a square at a random place,
/// which takes its place if the margin max z_j − z_y is larger. Squares shrink on the way. In ℓ∞ the
/// perturbation starts as vertical stripes and each square is ±ε; in ℓ2 it starts as bumps, and
/// squares are bumps paid for by another square.
///
/// Each sample draws squares of its own, from all places of the image. (The authors' program draws
/// one for the whole batch, and never reaches the last row and column.) With a mask every square covers
/// a pixel that may change.
///
/// Without gradients nothing can be said where no query changes the margin: such a sample is
/// undecided.
///
/// In a region squares fall on all places, and what may not change stays as it is.
///
/// Every candidate is judged; a misclassified one is never lost. Each lies within ε·(1 + 1e-6) of
/// its image, and in [0, 1].
///
/// Source: Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial attack
/// via random search". Cost of a restart: at most `queries + 1` forwards an image.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn square(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &SquareOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let centers = images.host();
    let region = options.region.as_ref();
    let ball = Ball::new(options.norm, options.epsilon, &centers, labels.len(), region);
    let canvas_of = |row: usize| Canvas {
        shape: classifier.input_shape(),
        norm: options.norm,
        epsilon: ball.radius(row),
    };
    // Sides and places do not depend on ε.
    let canvas = canvas_of(0);
    let mut search = Search::new(&images, Goal::away_from(labels));
    let mut forward = 0;
    // The margin of each candidate.
    let mut ask = |rows: &[usize], points: &Tensor, search: &mut Search<'_>| -> Result<Vec<f64>> {
        forward += rows.len() as u64;
        let logits = check::logits_of(classifier, points)?;
        let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        let (margins, _) = Loss::Margin.evaluate(&logits, &labels)?;
        search.keep(rows, points, &logits, &margins)?;
        Ok(margins)
    };
    for restart in 0..options.restarts {
        let mut rows = search.unsolved();
        if rows.is_empty() {
            break;
        }
        // Two streams a restart: one for the start, one for the squares.
        let points = ball.place(&rows, |slot, _, perturbation| {
            canvas_of(rows[slot]).start(&mut streams.stream(rows[slot], 2 * restart), perturbation);
        });
        let points = some_of(images.shape(), points, rows.len())?;
        let margins = ask(&rows, &points, &mut search)?;
        let points = points.host();
        let points = points.chunks_exact(ball.length.max(1));
        let mut seekers: Vec<Seeker> = rows
            .iter()
            .zip(points)
            .zip(margins)
            .map(|((&row, point), margin)| {
                let random = streams.stream(row, 2 * restart + 1);
                Seeker { row, random, point: point.to_vec(), margin }
            })
            .collect();
        for query in 0..options.queries {
            seekers.retain(|seeker| !search.is_solved(seeker.row));
            if seekers.is_empty() {
                break;
            }
            let side = canvas.side(options.p_init * share(query));
            let patches: Vec<Patch> = seekers
                .iter_mut()
                .map(|one| canvas.draw(side, ball.mask(one.row), &mut one.random))
                .collect();
            rows = seekers.iter().map(|seeker| seeker.row).collect();
            let points = ball.place(&rows, |slot, center, perturbation| {
                let changes = perturbation.iter_mut().zip(&seekers[slot].point).zip(center);
                changes.for_each(|((out, &from), &to)| *out = f64::from(from) - f64::from(to));
                canvas_of(rows[slot]).apply(&patches[slot], perturbation);
            });
            let points = some_of(images.shape(), points, rows.len())?;
            let margins = ask(&rows, &points, &mut search)?;
            let points = points.host();
            let points = points.chunks_exact(ball.length.max(1));
            for ((seeker, point), margin) in seekers.iter_mut().zip(points).zip(margins) {
                if margin != seeker.margin {
                    search.note_tried(&[seeker.row]);
                }
                if margin > seeker.margin {
                    seeker.margin = margin;
                    seeker.point.copy_from_slice(point);
                }
            }
        }
    }
    search.finish(forward, 0)
}
