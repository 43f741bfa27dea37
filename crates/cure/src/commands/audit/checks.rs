//! The questions of Carlini et al., *On evaluating adversarial robustness*, 2019, and the indicators of Pintor et al.,
//! *Indicators of attack failure*, NeurIPS 2022, answered one by one from what was measured.

use cure_attacks::wilson95;
use serde::Serialize;

use super::findings::Findings;
use crate::measured::Change;
use crate::paired::{Course, Difference, course, share, sign_test};

/// Points of accuracy up to which "hardly" is said.
const HARDLY: f64 = 2.0;
/// Points by which AutoAttack may go below a long PGD without anything being wrong with gradients: its other losses and
/// targets find that much on honest networks.
const USUAL: f64 = 5.0;
/// The share of images that may be left without a direction, or to attacks that see no gradient.
const FEW: f64 = 0.02;

/// Shares that a good answer has to be surely below: where many images are looked at, and where few are.
const SOME: f64 = 0.05;
const LOOSE: f64 = 0.15;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// As it is where attacks work.
    Good,
    /// As it is where they fail.
    Bad,
    /// So few images cannot tell.
    Undecided,
    /// It takes what an audit of one network does not have.
    NotMeasured,
}

/// A question with its answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) question: &'static str,
    /// Who asks it.
    pub(super) source: &'static str,
    pub(super) answer: Answer,
    /// What it was answered from.
    pub(super) evidence: String,
    /// What a bad answer means.
    pub(super) meaning: &'static str,
}

impl Answer {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Undecided => "undecided",
            Self::NotMeasured => "not measured",
        }
    }

    /// Good where it is `good`, bad where it is `bad`, and undecided where it is neither.
    fn of(good: bool, bad: bool) -> Self {
        match (good, bad) {
            (_, true) => Self::Bad,
            (true, false) => Self::Good,
            (false, false) => Self::Undecided,
        }
    }

    /// Whether a difference of accuracies is at most so many points.
    fn at_most(difference: Difference, points: f64) -> Self {
        Self::of(difference.ci95[1] <= points, difference.ci95[0] > points)
    }
}

const CARLINI: &str = "Carlini et al.";
const BOTH: &str = "Carlini et al.; Pintor et al.";

/// All of them. `NAMES` of the steps says which attack is which: noise, FGSM, PGD, PGD from random points, and longer.
pub(super) fn checks(found: &Findings) -> Vec<Check> {
    let [_, noise, fgsm, pgd, random, long] = &found.standing[..] else { return Vec::new() };
    let mut checks = vec![
        gradients(found),
        Check {
            question: "Does the network answer twice alike?",
            source: "Pintor et al., unstable predictions",
            answer: Answer::of(!found.seen.is_random, found.seen.is_random),
            evidence: match found.seen.is_random {
                true => found.seen.remarks.join("; "),
                false => "five runs on up to 32 images gave the same logits".into(),
            },
            meaning: "what is random must be averaged over, or attacks follow noise",
        },
        silent(found),
    ];
    let steps = Difference::of(random, long);
    checks.push(Check {
        question: "Are the attack's steps enough?",
        source: "Pintor et al., incomplete optimization; Carlini et al.",
        answer: Answer::at_most(steps, HARDLY),
        evidence: format!("five times as many steps of PGD leave less by {}", steps.words()),
        meaning: "trust the longer attack, and try longer ones",
    });
    let one = Difference::of(fgsm, pgd);
    let change = sign_test(one.second, one.first);
    // No answer is good that a few images more could overturn.
    let no_worse = |than: Difference| than.ci95[0] >= -HARDLY;
    checks.push(Check {
        question: "Is an attack of many steps at least as strong as one of one step?",
        source: CARLINI,
        answer: Answer::of(no_worse(one), change == Change::Higher),
        evidence: format!("PGD leaves less than FGSM by {}", one.words()),
        meaning: "gradients do not lead where they point: they are masked",
    });
    let start = Difference::of(pgd, random);
    let apart = start.ci95[0] > HARDLY || start.ci95[1] < -HARDLY;
    checks.push(Check {
        question: "Does it matter little where the attack starts?",
        source: CARLINI,
        answer: Answer::of(start.ci95[0] >= -HARDLY && start.ci95[1] <= HARDLY, apart),
        evidence: format!("a random start leaves less by {}", start.words()),
        meaning: "gradients near the images are not those a little farther off: use restarts and attacks without gradients",
    });
    let blind = Difference::of(noise, long);
    let change = sign_test(blind.second, blind.first);
    checks.push(Check {
        question: "Are attacks at least as strong as noise?",
        source: CARLINI,
        answer: Answer::of(no_worse(blind), change == Change::Higher),
        evidence: format!("PGD leaves less than random noise by {}", blind.words()),
        meaning: "the attacks do worse than chance",
    });
    checks.push(without_gradients(found));
    checks.push(members(found));
    checks.push(strongest(found, long));
    checks.extend(over_epsilon(found));
    checks.push(Check {
        question: "Do perturbations of another network fool this one no more than its own?",
        source: "Pintor et al., transfer failure; Carlini et al.",
        answer: Answer::NotMeasured,
        evidence: "an audit has one network: save another's examples with cure evaluate --save, and evaluate this one on them"
            .into(),
        meaning: "gradients are masked",
    });
    checks.push(Check {
        question: "Were attacks adapted to what the network does to defend itself?",
        source: BOTH,
        answer: Answer::NotMeasured,
        evidence: "a person must judge: what is here are the standard attacks".into(),
        meaning: "robustness may be to these attacks alone",
    });
    checks
}

fn gradients(found: &Findings) -> Check {
    // PGD's, the longest: an image without any direction is one it says nothing about.
    let (blind, n) = (found.undecided.last().copied().unwrap_or(0), found.standing[0].len());
    let [low, high] = wilson95(blind, n);
    let is_blind = found.seen.without_gradient || low > FEW;
    let mut evidence = format!("PGD found no direction at {blind} of {n} images");
    if !found.seen.remarks.is_empty() {
        evidence = format!("{evidence}; before any attack: {}", found.seen.remarks.join("; "));
    }
    Check {
        question: "Are there gradients to follow?",
        source: "Pintor et al., unavailable gradients",
        answer: Answer::of(high <= SOME, is_blind),
        evidence,
        meaning: "attacks by gradients of the cross-entropy see nothing there",
    }
}

fn silent(found: &Findings) -> Check {
    let is_contradicted = found.warnings.iter().any(|warning| warning.contains("contradicts"));
    Check {
        question: "Is every example that an attack met counted?",
        source: "Pintor et al., silent success",
        answer: Answer::of(!is_contradicted, is_contradicted),
        evidence: "each iterate is judged and none that is misclassified is lost; successes are looked at once more by a fresh pass"
            .into(),
        meaning: "a second look gave another class",
    }
}

fn without_gradients(found: &Findings) -> Check {
    let masking = found.masking;
    Check {
        question: "Does an attack that sees no gradient find nothing that PGD does not?",
        source: CARLINI,
        answer: Answer::of(
            !masking.is_undetermined && wilson95(masking.only_by_spsa, masking.n)[1] <= LOOSE,
            masking.is_suspected,
        ),
        evidence: format!(
            "of {} images SPSA alone fools {}, and finds the smaller margin for {}",
            masking.n, masking.only_by_spsa, masking.below
        ),
        meaning: "gradients are masked",
    }
}

fn members(found: &Findings) -> Check {
    let n = found.auto_standing.len();
    let square = found.members.iter().find(|member| member.name == "square");
    let (solved, attacked) = square.map_or((0, 0), |member| (member.solved, member.attacked));
    Check {
        question: "Does AutoAttack's random search find nothing that its gradients left?",
        source: CARLINI,
        answer: Answer::of(wilson95(solved, n)[1] <= LOOSE, wilson95(solved, n)[0] > FEW / 4.0),
        evidence: format!(
            "Square fooled {solved} of the {attacked} images that were left to it, of {n}"
        ),
        meaning: "gradients are masked",
    }
}

fn strongest(found: &Findings, long: &[bool]) -> Check {
    let n = found.auto_standing.len().min(long.len());
    let difference = Difference::of(&long[..n], &found.auto_standing[..n]);
    Check {
        question: "Do other losses and targets find little more than the cross-entropy?",
        source: CARLINI,
        answer: Answer::at_most(difference, USUAL),
        evidence: format!(
            "AutoAttack leaves less than PGD(100) by {}, of the same {n} images",
            difference.words()
        ),
        meaning: "the cross-entropy's gradients mislead: their accuracies are too high",
    }
}

fn over_epsilon(found: &Findings) -> Vec<Check> {
    let standing = &found.curve_standing;
    // Half of all pixels' range is no part of the course: nothing has to fall before it.
    let (course, flat) = course(&standing[..standing.len().saturating_sub(1)]);
    let last = standing.last().map(Vec::as_slice).unwrap_or_default();
    let left = last.iter().filter(|stands| **stands).count();
    let [low, high] = wilson95(left, last.len());
    let chance = 1.0 / found.classes.max(1) as f64;
    vec![
        Check {
            question: "Does accuracy fall as ε grows, without a plateau?",
            source: CARLINI,
            answer: Answer::of(course == Course::Falls, course == Course::HasPlateau),
            evidence: match flat {
                0 => "at each ε that was looked at, as long as images stand".into(),
                flat => format!(
                    "at {flat} of {} steps, once it had begun to fall, not",
                    standing.len() - 2
                ),
            },
            meaning: "the attack does not use what a larger ε allows",
        },
        Check {
            question: "Does nothing stand where every image can be made grey?",
            source: "Pintor et al., unconstrained attack failure; Carlini et al.",
            answer: Answer::of(high <= chance.max(SOME), low > chance),
            evidence: format!(
                "at ε = 0.5 {left} of {} stand ({:.1} %); chance is {:.0} %",
                last.len(),
                100.0 * share(last),
                100.0 * chance
            ),
            meaning: "the attack fails: nothing can be robust there",
        },
    ]
}
