//! What an audit comes to, in plain words.

use cure_attacks::Epsilon;
use serde::Serialize;

use super::checks::{Answer, Check};
use super::findings::{Findings, accuracy};
use crate::measured::Measured;

/// Accuracy under attack up to which nothing of it is called robustness.
const NOTHING: f64 = 0.05;

const NOT: &str = "not robust";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Trust {
    /// Nothing measured speaks against the number.
    Believed,
    /// Attacks by gradients fail on this network: their numbers say nothing, and the lowest may still be too high.
    Misleading,
    /// Too few images to tell.
    Undecided,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) trust: Trust,
    /// In a few words.
    pub(super) headline: String,
    /// In sentences.
    pub(super) sentences: Vec<String>,
}

impl Verdict {
    pub(super) fn of(found: &Findings, checks: &[Check], epsilon: Epsilon) -> Self {
        let (clean, worst) = (accuracy(&found.standing[0]), found.quoted());
        let of = |answer| checks.iter().filter(move |check| check.answer == answer);
        let bad: Vec<&Check> = of(Answer::Bad).collect();
        let undecided = of(Answer::Undecided).count();
        let trust = match (bad.is_empty(), undecided) {
            (false, _) => Trust::Misleading,
            (true, 0) if found.missing_classes == 0 => Trust::Believed,
            (true, _) => Trust::Undecided,
        };
        let how = match worst {
            Measured { ci95: [_, high], .. } if high <= NOTHING => NOT,
            Measured { ci95: [low, _], .. } if low > NOTHING => "robust on some images",
            _ => "hardly robust",
        };
        let headline = match trust {
            Trust::Misleading if how == NOT => {
                "Not robust, and attacks on it do not work as they should".to_owned()
            }
            Trust::Misleading => {
                "Do not believe its robustness: attacks on it do not work as they should".to_owned()
            }
            _ => format!("{}{} at ε = {epsilon}", how[..1].to_uppercase(), &how[1..]),
        };
        let mut sentences = vec![format!(
            "Of {} {} are classified correctly (n = {}); at ε = {epsilon} at most {} stand under noise, FGSM, PGD and AutoAttack \
             (n = {}).",
            found.data,
            clean.percent_in_full(),
            clean.n,
            worst.percent_in_full(),
            worst.n,
        )];
        sentences.push(match trust {
            Trust::Misleading => {
                let reasons: Vec<&str> = bad.iter().map(|check| check.meaning).collect();
                format!(
                    "Accuracies under attack are not to be believed for this network: {}. The questions that led to \
                     this, and what answered them, are below.",
                    reasons.join("; ")
                )
            }
            Trust::Believed if how == NOT => "Attacks work on this network as they should.".into(),
            Trust::Believed => "Nothing that was measured speaks against this number; it is an upper bound all the same, and an \
                                attack made for this network may find more."
                .into(),
            Trust::Undecided => {
                let more = match found.used_all {
                    true => "there are no more of them here",
                    false => "give --minutes more, and another --out",
                };
                format!(
                    "Nothing that was measured speaks against this number, but {undecided} of {} questions are left undecided by \
                     so few images: {more}.",
                    checks.len()
                )
            }
        });
        if found.missing_classes > 0 {
            sentences.push(format!(
                "The first images, which are those that are taken, lack {} of the classes: the data lies class by class, and these \
                 numbers are of some classes alone; give it shuffled.",
                found.missing_classes
            ));
        }
        let chance = 1.0 / found.classes.max(1) as f64;
        if clean.ci95[0] <= chance {
            sentences.push(
                "Without an attack it is not surely better than chance: are labels, normalisation and classes those that it was \
                 trained with?"
                    .into(),
            );
        }
        Self { trust, headline, sentences }
    }
}
