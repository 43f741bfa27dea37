//! How many images and steps some minutes allow on this machine: its pace is measured on a few images, and each kind of
//! measurement gets a share of the time.

use std::time::Instant;

use cure_attacks::{Epsilon, EvaluationSet, Norm, PgdOptions, Start, Streams, pgd};
use cure_network::Classifier;
use cure_report::{Cell, Table};
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use super::setting::Setting;
use crate::failure::{Blame, Outcome};

/// Images that the pace is measured on.
const SAMPLE: usize = 64;
/// Seconds that each measurement of it takes at least.
const LOOK: f64 = 0.4;
/// Steps of the attack that finds about how many images stand.
const STEPS: usize = 10;

/// Of this machine and network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Seconds an image for its logits.
    pub(super) forward: f64,
    /// Seconds an image for its logits and a gradient.
    pub(super) gradient: f64,
    /// The share of images that a short PGD leaves standing.
    pub(super) standing: f64,
}

/// Numbers of images of each measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sizes {
    /// Under noise, FGSM and PGD.
    pub(super) attacks: usize,
    pub(super) autoattack: usize,
    /// Under SPSA.
    pub(super) masking: usize,
    pub(super) spsa_steps: usize,
    /// At each ε of the curve.
    pub(super) curve: usize,
    /// Curvature and bounds.
    pub(super) geometry: usize,
    /// All there are.
    pub(super) images: usize,
}

/// Images of a measurement that has all the time it wants.
const FULL: Sizes = Sizes {
    attacks: usize::MAX,
    autoattack: usize::MAX,
    masking: 1000,
    spsa_steps: 100,
    curve: 1000,
    geometry: 200,
    images: usize::MAX,
};
/// With fewer images no question could be answered well, however little time there is.
const LEAST: Sizes = Sizes {
    attacks: 140,
    autoattack: 60,
    masking: 30,
    spsa_steps: 20,
    curve: 50,
    geometry: 10,
    images: 1,
};

/// Seconds an image of each kind of measurement.
pub(super) struct Costs {
    pub(super) attacks: f64,
    pub(super) autoattack: f64,
    pub(super) masking: f64,
    pub(super) curve: f64,
    pub(super) geometry: f64,
}

impl Pace {
    /// Images that are fooled leave an attack; those that stand take all of its steps.
    pub(super) fn costs(&self, spsa_steps: usize) -> Costs {
        let (forward, gradient) = (self.forward, self.gradient);
        let mixed = |all: f64, few: f64| self.standing * all + (1.0 - self.standing) * few;
        Costs {
            // FGSM, PGD with 20 steps twice and once with 100.
            attacks: gradient * mixed(142.0, 14.0),
            // APGD 100, APGD-T 9 × 100, FAB-T 9 × 100 gradients with two forwards each, Square 5000.
            autoattack: mixed(1900.0 * gradient + 6800.0 * forward, 60.0 * gradient),
            masking: 100.0 * gradient + 257.0 * spsa_steps as f64 * forward,
            curve: gradient * mixed(90.0, 25.0),
            // A Jacobian, its factor, DeepFool's walk over ten classes, and the theorem's quadratic model.
            geometry: 700.0 * gradient,
        }
    }
}

/// Measures the pace.
pub(super) fn pace(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    epsilon: Epsilon,
    seed: u64,
) -> Outcome<Pace> {
    let rows: Vec<usize> = (0..set.len().min(SAMPLE)).collect();
    let images = ops::select(set.images(), &rows).failed()?;
    let labels: Vec<usize> = rows.iter().map(|&row| set.labels()[row]).collect();
    let indices: Vec<usize> = rows.iter().map(|&row| set.indices()[row]).collect();
    let seed_of = Tensor::full(&[rows.len(), classifier.classes()], 1.0);
    let forward = seconds(|| {
        drop(classifier.logits(&images).failed()?.host());
        Ok(())
    })?;
    let gradient = seconds(|| {
        let network = classifier.linearize(&images).failed()?;
        drop(network.pullback(&seed_of).failed()?.host());
        Ok(())
    })?;
    let options =
        PgdOptions { steps: STEPS, start: Start::Clean, ..PgdOptions::new(Norm::Linf, epsilon) };
    let found =
        pgd(classifier, &images, &labels, &options, &Streams::new(seed, &indices)).failed()?;
    let standing = found.solved.iter().filter(|solved| !**solved).count();
    let each = |seconds: f64| seconds / rows.len().max(1) as f64;
    Ok(Pace {
        forward: each(forward),
        gradient: each(gradient),
        standing: standing as f64 / rows.len().max(1) as f64,
    })
}

/// Seconds of `work`, after once to warm up.
fn seconds(mut work: impl FnMut() -> Outcome) -> Outcome<f64> {
    work()?;
    let begun = Instant::now();
    let mut times = 0.0;
    while times == 0.0 || begun.elapsed().as_secs_f64() < LOOK {
        work()?;
        times += 1.0;
    }
    Ok(begun.elapsed().as_secs_f64() / times)
}

/// What so many minutes allow of `images`.
pub(super) fn sizes(pace: &Pace, images: usize, minutes: f64) -> Sizes {
    let seconds = 60.0 * minutes;
    let spsa_steps = match minutes {
        minutes if minutes < 5.0 => LEAST.spsa_steps,
        minutes if minutes < 30.0 => 50,
        _ => FULL.spsa_steps,
    };
    let costs = pace.costs(spsa_steps);
    // What one does not need is left to those after it.
    let mut left = seconds;
    let mut take = |share: f64, cost: f64, least: usize, full: usize| {
        let most = full.min(images);
        let count = ((share * left / cost) as usize).clamp(least.min(most), most);
        left = (left - count as f64 * cost).max(0.0);
        count
    };
    let geometry = take(0.1, costs.geometry, LEAST.geometry, FULL.geometry);
    let curve = take(0.12, costs.curve, LEAST.curve, FULL.curve);
    let masking = take(0.25, costs.masking, LEAST.masking, FULL.masking);
    let attacks = take(0.3, costs.attacks, LEAST.attacks, FULL.attacks);
    let autoattack = take(1.0, costs.autoattack, LEAST.autoattack, FULL.autoattack);
    // An image that AutoAttack sees has been seen by the others.
    let attacks = attacks.max(autoattack);
    Sizes { attacks, autoattack, masking, spsa_steps, curve, geometry, images }
}

/// What was done to keep to the minutes.
pub(super) fn cuts(setting: &Setting) -> Table {
    let sizes = &setting.sizes;
    let caption = format!(
        "What {} minutes allow on this machine, whose pace was measured on {} images: numbers of images, and those of an audit \
         without haste.",
        setting.asked.minutes,
        sizes.images.min(SAMPLE)
    );
    let rows = [
        ("noise, FGSM and PGD", sizes.attacks, FULL.attacks),
        ("AutoAttack", sizes.autoattack, FULL.autoattack),
        ("SPSA against PGD", sizes.masking, FULL.masking),
        ("SPSA's steps", sizes.spsa_steps, FULL.spsa_steps),
        ("accuracy against ε", sizes.curve, FULL.curve),
        ("curvature and bounds", sizes.geometry, FULL.geometry),
    ];
    rows.into_iter().fold(
        Table::new(caption, ["measurement", "here", "without haste", ""]),
        |table, (what, here, full)| {
            let full = if what == "SPSA's steps" { full } else { full.min(sizes.images) };
            let cut = if here < full { "cut" } else { "" };
            table.row([what.into(), here.into(), full.into(), Cell::from(cut)])
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { forward: 1e-4, gradient: 3e-4, standing: 0.5 };

    #[test]
    fn more_minutes_allow_more_and_never_more_than_there_is() {
        let short = sizes(&PACE, 10_000, 2.0);
        let long = sizes(&PACE, 10_000, 60.0);
        assert!(short.autoattack < long.autoattack && short.masking < long.masking);
        assert!(long.attacks >= long.autoattack && long.spsa_steps == FULL.spsa_steps);
        let endless = sizes(&PACE, 300, 1e5);
        assert_eq!([endless.attacks, endless.autoattack, endless.masking, endless.curve], [300; 4]);
        assert_eq!(endless.geometry, FULL.geometry);
        // However slow it is, so few images at least, where there are so many.
        let slow = Pace { forward: 1.0, gradient: 3.0, ..PACE };
        assert_eq!(sizes(&slow, 10_000, 1.0).autoattack, LEAST.autoattack);
        assert_eq!(sizes(&slow, 7, 1.0).attacks, 7);
    }

    #[test]
    fn the_whole_keeps_to_its_minutes() {
        for minutes in [5.0, 10.0, 60.0] {
            let found = sizes(&PACE, 10_000, minutes);
            let costs = PACE.costs(found.spsa_steps);
            let seconds = found.attacks as f64 * costs.attacks
                + found.autoattack as f64 * costs.autoattack
                + found.masking as f64 * costs.masking
                + found.curve as f64 * costs.curve
                + found.geometry as f64 * costs.geometry;
            assert!(seconds <= 60.0 * minutes * 1.01, "{minutes}: {seconds}");
        }
    }
}
