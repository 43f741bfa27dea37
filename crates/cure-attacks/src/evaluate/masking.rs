//! Whether gradients tell the truth: an attack that follows them against one that only looks at
//! logits, margin against margin (Uesato et al. 2018; the CURE paper's Fig. 7).

use cure_network::Classifier;
use cure_tensor::ops;
use serde::{Deserialize, Serialize};

use super::inside::Watched;
use super::observer::Reporter;
use super::{EvaluationSet, Journal, Observer};
use crate::check;
use crate::error::Result;
use crate::loss::Loss;
use crate::pgd::{PgdOptions, pgd};
use crate::spsa::{SpsaOptions, spsa};
use crate::streams::Streams;

/// Share of the images that SPSA fools and PGD does not from which on masking is suspected.
const SUSPICIOUS_SHARE: f64 = 0.01;
/// Fewer such images may be chance, however few were looked at.
const FEWEST: usize = 2;

/// What both attacks left of the margins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Masking {
    /// PGD as it ran.
    pub pgd: String,
    /// SPSA as it ran.
    pub spsa: String,
    /// Images attacked: those classified correctly.
    pub n: usize,
    /// Images that PGD fools.
    pub fooled_by_pgd: usize,
    /// Images that SPSA fools.
    pub fooled_by_spsa: usize,
    /// Images that only SPSA fools: there the gradient hid what was there to be found.
    pub only_by_spsa: usize,
    /// Images whose margin SPSA made smaller than PGD did: points below the line y = x.
    pub below_the_line: usize,
    /// Images that nothing can be said of: SPSA saw no difference to follow, neither attack had a
    /// direction, or logits were not numbers. They are not among the rows.
    pub blind: usize,
    /// Whether masking is suspected: [`Masking::RULE`].
    pub is_suspected: bool,
    /// Whether too many images are blind to say that it is not.
    pub is_undetermined: bool,
    /// One for each image attacked.
    #[serde(skip)]
    pub rows: Vec<MaskingRow>,
}

impl Masking {
    /// The rule of the verdict.
    pub const RULE: &'static str = "suspected where SPSA alone fools 1 % of the attacked images or more, and at least two; \
         else undetermined where 1 % or more are blind to SPSA or to both, or none was attacked";

    /// The attacks as [`masking`](fn@masking) runs them: the margin is what is compared, and nobody
    /// stops at the first success.
    pub fn attacks(follower: &PgdOptions, looker: &SpsaOptions) -> (PgdOptions, SpsaOptions) {
        (
            PgdOptions { loss: Loss::Margin, early_stop: false, ..follower.clone() },
            SpsaOptions { loss: Loss::Margin, early_stop: false, ..looker.clone() },
        )
    }
}

/// One image's margin, the logit of its class less the largest other one, under both attacks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskingRow {
    /// The image's place in its split as stored.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The least margin PGD found; negative where it fools.
    pub pgd_margin: f64,
    /// The least margin SPSA found.
    pub spsa_margin: f64,
}

/// Both attacks on the images that are classified correctly, each to its last step.
///
/// Each batch is noted in `journal`, if there is one, and what it holds already is taken from there.
///
/// # Errors
/// If the set does not fit the classifier, an attack's options are refused, the classifier fails,
/// the observer asks to stop, or with [`AttackError::Journal`](crate::AttackError::Journal).
pub fn masking(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    [seed, batch]: [usize; 2],
    follower: &PgdOptions,
    looker: &SpsaOptions,
    observer: &mut dyn Observer,
    mut journal: Option<&mut Journal>,
) -> Result<Masking> {
    let (follower, looker) = Masking::attacks(follower, looker);
    check::labels(classifier, set.images(), set.labels())?;
    let mut reporter = Reporter::new(observer, 1);
    reporter.stage("PGD and SPSA", set.len())?;
    let (mut rows, mut blind) = (Vec::new(), 0);
    let all: Vec<usize> = (0..set.len()).collect();
    for (index, part) in all.chunks(batch.max(1)).enumerate() {
        let place = (0, index);
        let known = journal.as_deref().and_then(|journal| journal.recall(place));
        let found = match known {
            Some(found) => found,
            None => {
                let watched = Watched::new(classifier, reporter.observer(), part.len());
                let found = margins(&watched, set, part, seed, &follower, &looker)
                    .map_err(|error| watched.explain(error))?;
                if let Some(journal) = journal.as_deref_mut() {
                    journal.note(place, &found)?;
                }
                found
            }
        };
        rows.extend(found.rows);
        blind += found.blind;
        reporter.advance(part.len(), rows.len())?;
    }
    Ok(judge(&follower.to_string(), &looker.to_string(), rows, blind))
}

/// One batch.
#[derive(Serialize, Deserialize)]
struct Margins {
    rows: Vec<MaskingRow>,
    blind: usize,
}

/// Both attacks on those of `part` that are classified correctly.
fn margins(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    part: &[usize],
    seed: usize,
    follower: &PgdOptions,
    looker: &SpsaOptions,
) -> Result<Margins> {
    let logits = check::logits_of(classifier, &ops::select(set.images(), part)?)?;
    let predictions = check::predictions(&logits);
    let correct: Vec<usize> = part
        .iter()
        .zip(predictions)
        .filter(|&(&row, class)| class == Some(set.labels()[row]))
        .map(|(&row, _)| row)
        .collect();
    if correct.is_empty() {
        return Ok(Margins { rows: Vec::new(), blind: 0 });
    }
    let part = set.select(&correct)?;
    let streams = Streams::new(seed as u64, part.indices());
    let (images, labels) = (part.images(), part.labels());
    let region = part.region().cloned();
    let follower = PgdOptions { region: region.clone(), ..follower.clone() };
    let looker = SpsaOptions { region, ..looker.clone() };
    let by_pgd = pgd(classifier, images, labels, &follower, &streams)?;
    let by_spsa = spsa(classifier, images, labels, &looker, &streams)?;
    let row = |slot: usize| MaskingRow {
        index: part.indices()[slot],
        label: labels[slot],
        pgd_margin: -by_pgd.best_loss[slot],
        spsa_margin: -by_spsa.best_loss[slot],
    };
    // Where PGD alone was blind SPSA's success says so; margins that are no numbers say nothing.
    let is_seen = |slot: &usize| {
        let seen_by_spsa = by_spsa.solved[*slot] || !by_spsa.undecided[*slot];
        let margins = [by_pgd.best_loss[*slot], by_spsa.best_loss[*slot]];
        seen_by_spsa && margins.iter().all(|margin| margin.is_finite())
    };
    let rows: Vec<MaskingRow> = (0..correct.len()).filter(is_seen).map(row).collect();
    Ok(Margins { blind: correct.len() - rows.len(), rows })
}

fn judge(pgd: &str, spsa: &str, rows: Vec<MaskingRow>, blind: usize) -> Masking {
    let count = |is: &dyn Fn(&MaskingRow) -> bool| rows.iter().filter(|row| is(row)).count();
    let only_by_spsa = count(&|row| row.spsa_margin < 0.0 && row.pgd_margin >= 0.0);
    let n = rows.len() + blind;
    let is_share = |count: usize| count as f64 >= SUSPICIOUS_SHARE * n as f64;
    let is_suspected = only_by_spsa >= FEWEST && is_share(only_by_spsa);
    Masking {
        pgd: pgd.into(),
        spsa: spsa.into(),
        n,
        fooled_by_pgd: count(&|row| row.pgd_margin < 0.0),
        fooled_by_spsa: count(&|row| row.spsa_margin < 0.0),
        only_by_spsa,
        below_the_line: count(&|row| row.spsa_margin < row.pgd_margin),
        blind,
        is_suspected,
        is_undetermined: !is_suspected && (n == 0 || blind > 0 && is_share(blind)),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_the_rule() {
        let row =
            |pgd_margin, spsa_margin| MaskingRow { index: 0, label: 0, pgd_margin, spsa_margin };
        let mut rows = vec![row(-1.0, -0.5); 197];
        rows.push(row(1.0, -0.1));
        let found = judge("pgd", "spsa", rows.clone(), 0);
        assert!(!found.is_suspected);
        assert_eq!((found.only_by_spsa, found.below_the_line, found.fooled_by_pgd), (1, 1, 197));
        rows.extend([row(1.0, -0.1), row(2.0, 1.0)]);
        let blind = judge("pgd", "spsa", [rows.clone(), vec![row(1.0, -0.1)]].concat(), 3);
        assert!(blind.is_suspected && !blind.is_undetermined && blind.n == 204);
        let blind = judge("pgd", "spsa", rows[..100].to_vec(), 2);
        assert!(!blind.is_suspected && blind.is_undetermined);
        assert!(!judge("pgd", "spsa", rows[..197].to_vec(), 1).is_undetermined);
        assert!(judge("pgd", "spsa", Vec::new(), 0).is_undetermined);
        let found = judge("pgd", "spsa", rows, 0);
        assert!(found.is_suspected && !found.is_undetermined);
        assert_eq!((found.n, found.only_by_spsa, found.below_the_line), (200, 2, 3));
    }
}
