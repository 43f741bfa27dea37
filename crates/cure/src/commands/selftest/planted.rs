//! Adversarial images that are known to be there, or not to be: those of a linear network, where the worst change of an
//! image is a sum over its pixels.

use cure_attacks::{AttackSpec, EvaluationOptions, EvaluationSet, Silent, Verdict, evaluate};
use cure_data::{Batch, DataSpec, Split};
use cure_network::{Architecture, Family, Network, Normalization};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};

use super::Finding;
use crate::failure::{Blame, Outcome};

/// Images at most.
const IMAGES: usize = 240;
/// At which some of them stand, and some fall.
const EPSILON: f64 = 0.1;
/// Of the images whose distances are measured: so far from the box that it is in no way.
const CONTRAST: f32 = 0.3;
/// Distances below which the rounding of logits counts.
const SHORT: f64 = 0.01;
/// Margins, as a share of what an attack can move them by, that f32 cannot tell from none.
const TIE: f64 = 1e-3;

/// The digits that a network of two classes tells apart: it confuses them now and then.
const TWO: [usize; 2] = [3, 8];
pub(super) const ALL: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// The training images of some digits, and where each digit is among these.
fn digits(of: &[usize]) -> Outcome<(Batch, Vec<usize>)> {
    let digits: DataSpec = "digits".parse().failed()?;
    let digits = digits.load(Split::Train).failed()?;
    let all: Vec<usize> = (0..digits.len()).collect();
    let batch = digits.batch(&all).failed()?;
    let rows: Vec<usize> = all.into_iter().filter(|&row| of.contains(&batch.labels[row])).collect();
    let class = |row: &usize| of.iter().position(|&digit| digit == batch.labels[*row]).unwrap_or(0);
    let labels = rows.iter().map(class).collect();
    Ok((digits.batch(&rows).failed()?, labels))
}

/// The classifier of some digits by the nearest mean image: W's rows are the means μ, b = −‖μ‖²/2.
pub(super) fn linear(of: &[usize]) -> Outcome<Network> {
    let (batch, labels) = digits(of)?;
    let mut sums = vec![0.0_f64; of.len() * 64];
    let mut counts = vec![0.0_f64; of.len()];
    for (image, &label) in batch.images.host().chunks_exact(64).zip(&labels) {
        counts[label] += 1.0;
        for (sum, &pixel) in sums[64 * label..].iter_mut().zip(image) {
            *sum += f64::from(pixel);
        }
    }
    let means: Vec<f64> =
        sums.iter().enumerate().map(|(at, sum)| sum / counts[at / 64].max(1.0)).collect();
    let biases = means.chunks_exact(64).map(|mean| {
        let square: f64 = mean.iter().map(|value| value * value).sum();
        (-square / 2.0) as f32
    });
    let architecture = Architecture {
        family: Family::Perceptron { hidden: Vec::new() },
        activation: Activation::Relu,
        classes: of.len(),
        input: [1, 8, 8],
    };
    let mut network = Network::random(architecture, Normalization::none(1), 0).failed()?;
    let weights = means.iter().map(|&value| value as f32).collect();
    let shape = network.tensors()[0].shape().to_vec();
    network.set_tensor(0, Tensor::new(&shape, weights).failed()?).failed()?;
    network.set_tensor(1, Tensor::new(&[of.len()], biases.collect()).failed()?).failed()?;
    Ok(network)
}

/// The first of these images.
fn set(of: &[usize]) -> Outcome<EvaluationSet> {
    let (batch, labels) = digits(of)?;
    let rows: Vec<usize> = (0..IMAGES.min(labels.len())).collect();
    let images = ops::select(&batch.images, &rows).failed()?;
    EvaluationSet::new(images, labels[..rows.len()].to_vec(), rows).failed()
}

/// What a closed form says of an image.
#[derive(PartialEq)]
enum Known {
    Stands,
    Falls,
    /// Too near to be told apart in f32.
    Tie,
}

/// The least that z_y − z_k can be made within the ball and the box, for each other class k: each pixel moves as far as
/// it may against the sign of its weight.
fn known(image: &[f32], label: usize, rows: &[&[f32]], biases: &[f32]) -> Known {
    let mut found = Known::Stands;
    for (class, row) in rows.iter().enumerate().filter(|(class, _)| *class != label) {
        let (mut margin, mut moved) =
            (f64::from(biases[label]) - f64::from(biases[class]), 0.0_f64);
        for ((&x, &own), &other) in image.iter().zip(rows[label]).zip(*row) {
            let (x, weight) = (f64::from(x), f64::from(own) - f64::from(other));
            let change = if weight > 0.0 { -EPSILON.min(x) } else { EPSILON.min(1.0 - x) };
            margin += weight * x;
            moved += weight * change;
        }
        let least = margin + moved;
        if least.abs() <= TIE * moved.abs() {
            found = Known::Tie;
        } else if least < 0.0 {
            return Known::Falls;
        }
    }
    found
}

/// FGSM, PGD and Auto-PGD against the closed form, image by image: with two classes the gradient's sign is the worst
/// direction everywhere.
pub(super) fn outcomes() -> Outcome<Finding> {
    let (network, set) = (linear(&TWO)?, set(&TWO)?);
    let frozen = network.frozen().failed()?;
    let attacks = [
        format!("fgsm:eps={EPSILON}"),
        format!("pgd:eps={EPSILON},steps=10,random-start=false"),
        format!("pgd:eps={EPSILON},steps=20"),
        format!("apgd:norm=linf,eps={EPSILON},steps=50"),
    ];
    let attacks: Vec<AttackSpec> =
        attacks.iter().map(|text| text.parse()).collect::<Result<_, _>>().failed()?;
    let options = EvaluationOptions::default();
    let found = evaluate(&frozen, &set, &attacks, &options, &mut Silent).failed()?;
    let weights = network.tensors()[0].host().into_owned();
    let biases = network.tensors()[1].host().into_owned();
    let rows: Vec<&[f32]> = weights.chunks_exact(64).collect();
    let images = set.images().host();
    let (mut standing, mut fooled, mut ties, mut wrong) = (0, 0, 0, 0);
    for ((image, &label), row) in images.chunks_exact(64).zip(set.labels()).zip(&found.rows) {
        let stands = row.attacks.iter().filter(|of| of.verdict == Verdict::Robust).count();
        match known(image, label, &rows, &biases) {
            Known::Tie => ties += 1,
            Known::Stands => {
                standing += 1;
                wrong += attacks.len() - stands;
            }
            Known::Falls => {
                fooled += 1;
                wrong += stands;
            }
        }
    }
    Ok(Finding {
        // A test in which nothing stands, or nothing falls, is none.
        holds: wrong == 0 && standing > set.len() / 10 && fooled > set.len() / 10,
        words: format!(
            "of {} images {standing} must stand, {fooled} must fall and {ties} are too near: {wrong} outcomes of {} attacks \
             are otherwise",
            set.len(),
            attacks.len()
        ),
    })
}

/// DeepFool's distance to the nearest boundary of a linear network, (z_y − z_k)/‖w_y − w_k‖, where the box is far: images
/// of low contrast about grey.
pub(super) fn distances() -> Outcome<Finding> {
    let network = linear(&ALL)?;
    let frozen = network.frozen().failed()?;
    let set = set(&ALL)?;
    let grey: Vec<f32> = set.images().host().iter().map(|&x| 0.5 + CONTRAST * (x - 0.5)).collect();
    let grey = Tensor::new(set.images().shape(), grey).failed()?;
    let logits = cure_network::Classifier::logits(&frozen, &grey).failed()?;
    let rows: Vec<Vec<f64>> = logits
        .host()
        .chunks_exact(10)
        .map(|row| row.iter().map(|&z| f64::from(z)).collect())
        .collect();
    let labels: Vec<usize> = rows
        .iter()
        .map(|row| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0))
        .collect();
    let set = EvaluationSet::new(grey, labels.clone(), set.indices().to_vec()).failed()?;
    let attack: AttackSpec =
        "deepfool:norm=l2,preset=true-label,overshoot=0.02".parse().failed()?;
    let options = EvaluationOptions::default();
    let found = evaluate(&frozen, &set, &[attack], &options, &mut Silent).failed()?;
    let weights = network.tensors()[0].host().into_owned();
    let class = |class: usize| &weights[64 * class..][..64];
    let (mut worst, mut seen): (f64, usize) = (0.0, 0);
    for ((row, &label), outcome) in rows.iter().zip(&labels).zip(&found.rows) {
        let nearest = (0..10).filter(|&other| other != label).map(|other| {
            let apart =
                class(label).iter().zip(class(other)).map(|(&a, &b)| f64::from(a) - f64::from(b));
            (row[label] - row[other]) / apart.map(|w| w * w).sum::<f64>().sqrt()
        });
        let nearest = nearest.fold(f64::INFINITY, f64::min);
        if nearest < SHORT {
            continue;
        }
        seen += 1;
        // It goes 2 % beyond the boundary.
        worst = worst.max(super::apart(outcome.attacks[0].norm, 1.02 * nearest, nearest));
    }
    let what = format!("DeepFool's distance and (z_y − z_k)/‖w_y − w_k‖, {seen} images");
    let found = Finding::near(&what, worst, 5e-3);
    Ok(Finding { holds: found.holds && seen > set.len() / 2, ..found })
}
