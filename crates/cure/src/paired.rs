//! Two measurements of the same images. Images differ more from each other than networks do, and values such as
//! curvature have long tails, so that what happened to each image decides more, and more surely, than two means.

use std::collections::BTreeMap;

use cure_geometry::Mean;

use crate::measured::{Change, short};

/// The 0.975 quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// What a test may err by.
const LEVEL: f64 = 0.05;

/// A value of each image before and after.
pub(crate) struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Of the images that have both.
    pub(crate) fn of(before: &BTreeMap<usize, f64>, after: &BTreeMap<usize, f64>) -> Self {
        Self(before.iter().filter_map(|(at, value)| Some((*value, *after.get(at)?))).collect())
    }

    /// Without their signs.
    pub(crate) fn magnitudes(self) -> Self {
        Self(self.0.into_iter().map(|(before, after)| (before.abs(), after.abs())).collect())
    }

    /// What becomes of the values: the sign test, two-sided, of those that change.
    pub(crate) fn change(&self) -> Change {
        let lower = self.0.iter().filter(|(before, after)| after < before).count();
        let higher = self.0.iter().filter(|(before, after)| after > before).count();
        sign_test(higher, lower)
    }

    /// How many fall or rise, and the medians.
    pub(crate) fn words(&self, is_to_fall: bool) -> String {
        let so = |pair: &&(f64, f64)| if is_to_fall { pair.1 < pair.0 } else { pair.1 > pair.0 };
        let [before, after] = [|pair: &(f64, f64)| pair.0, |pair: &(f64, f64)| pair.1]
            .map(|side| Mean::of(&self.0.iter().map(side).collect::<Vec<_>>()))
            .map(|mean| mean.map_or("–".into(), |mean| short(mean.median)));
        format!(
            "{} for {} of {} images, median {before} before and {after} after",
            if is_to_fall { "smaller" } else { "larger" },
            self.0.iter().filter(so).count(),
            self.0.len()
        )
    }
}

/// Whether so many are more than so many `others` beyond chance: the exact binomial test at 5 %, which for images that
/// stand under one attack or network alone is McNemar's.
pub(crate) fn sign_test(some: usize, others: usize) -> Change {
    let (n, fewer) = (some + others, some.min(others));
    // ln of n over k, over 2ⁿ, from one k to the next.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=fewer {
        tail += term.exp();
        term += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    match some.cmp(&others) {
        _ if n == 0 || 2.0 * tail > LEVEL => Change::Unclear,
        std::cmp::Ordering::Greater => Change::Higher,
        _ => Change::Lower,
    }
}

/// How many points of accuracy one attack or network leaves more than another on the same images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    /// In percent of the images.
    pub(crate) points: f64,
    /// The 95 % interval.
    pub(crate) ci95: [f64; 2],
    /// Images that stand in the first alone.
    pub(crate) first: usize,
    /// In the second alone.
    pub(crate) second: usize,
}

impl Difference {
    /// From whether each image stands, with the adjusted Wald interval of Bonett and Price, *British Journal of
    /// Mathematical and Statistical Psychology* 65, 2012. Both are of the same images in the same order.
    pub(crate) fn of(first: &[bool], second: &[bool]) -> Self {
        let only = |one: &[bool], other: &[bool]| {
            one.iter().zip(other).filter(|(one, other)| **one && !**other).count()
        };
        let n = first.len().min(second.len()) as f64;
        let [b, c] = [only(first, second), only(second, first)];
        let [p, q] = [b, c].map(|count| (count as f64 + 1.0) / (n + 2.0));
        let half = Z * ((p + q - (p - q).powi(2)) / (n + 2.0)).sqrt();
        let ci95 = [p - q - half, p - q + half].map(|end| 100.0 * end);
        let points = 100.0 * (b as f64 - c as f64) / n.max(1.0);
        Self { points, ci95, first: b, second: c }
    }

    /// With its interval.
    pub(crate) fn words(&self) -> String {
        let [low, high] = self.ci95;
        format!("{} points ({} to {})", signed(self.points), signed(low), signed(high))
    }
}

/// The share of images below which a network does not stand.
const STANDS: f64 = 0.02;

/// Points that accuracy has to be below the clean one before a plateau is one: a robust network loses nothing at small ε.
const BEGUN: f64 = 5.0;
/// Points within which a step of ε loses nothing.
const FLAT: f64 = 1.0;

/// How accuracy goes from each ε to the next larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Once it has begun to fall it falls at each step, beyond chance, as long as it is above [`STANDS`].
    Falls,
    /// It has begun to fall, and at a later step less than a point is lost, surely. It cannot rise but by an attack that
    /// fails.
    HasPlateau,
    Unclear,
}

/// The course of whether each image stands, from ε to ε, the first without an attack; and at how many steps it does not
/// clearly fall.
pub(crate) fn course(standing: &[Vec<bool>]) -> (Course, usize) {
    let has_begun = |at: &[bool]| Difference::of(&standing[0], at).ci95[0] > BEGUN;
    let (mut plateau, mut flat) = (false, 0);
    for pair in standing.windows(2) {
        if is_fallen(&pair[0]) || !has_begun(&pair[0]) {
            continue;
        }
        let fall = Difference::of(&pair[0], &pair[1]);
        let is_flat = fall.ci95[1] < FLAT;
        plateau |= is_flat;
        flat += usize::from(is_flat || sign_test(fall.first, fall.second) != Change::Higher);
    }
    let falls = standing.last().is_some_and(|last| has_begun(last));
    let course = match (plateau, flat) {
        (true, _) => Course::HasPlateau,
        (false, 0) if falls => Course::Falls,
        _ => Course::Unclear,
    };
    (course, flat)
}

/// Whether hardly an image stands.
pub(crate) fn is_fallen(standing: &[bool]) -> bool {
    share(standing) < STANDS
}

/// The share of images that stand.
pub(crate) fn share(standing: &[bool]) -> f64 {
    standing.iter().filter(|stands| **stands).count() as f64 / standing.len().max(1) as f64
}

/// One decimal, and a sign that is a minus.
pub(crate) fn signed(value: f64) -> String {
    let text = format!("{:.1}", value.abs());
    if value < 0.0 && text != "0.0" { format!("−{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[f64]) -> BTreeMap<usize, f64> {
        values.iter().copied().enumerate().collect()
    }

    #[test]
    fn the_binomial_decides() {
        // Both tails: 0.0625 for 5 of 5, 0.03125 for 6 of 6, 0.0386 for 15 of 20 and more, 0.115 for 14.
        for (more, fewer, change) in [
            (5, 0, Change::Unclear),
            (6, 0, Change::Higher),
            (0, 6, Change::Lower),
            (15, 5, Change::Higher),
            (14, 6, Change::Unclear),
            (0, 0, Change::Unclear),
            // As docs/results.md has it: p = 0.02.
            (40, 21, Change::Higher),
            (26, 30, Change::Unclear),
            (9000, 1000, Change::Higher),
        ] {
            assert_eq!(sign_test(more, fewer), change, "{more}, {fewer}");
        }
    }

    #[test]
    fn one_large_value_does_not_decide() {
        let before = values(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let mut after = values(&[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 1e6]);
        after.insert(9, 1.0);
        let pairs = Pairs::of(&before, &after);
        assert_eq!(pairs.change(), Change::Unclear);
        assert_eq!(
            pairs.words(true),
            "smaller for 6 of 7 images, median 4.00 before and 2.00 after"
        );
        after.insert(6, 0.0);
        let pairs = Pairs::of(&before, &after);
        assert_eq!(pairs.change(), Change::Lower);
    }

    #[test]
    fn differences_of_the_same_images() {
        // 59, 6, 16 and 80 of 161 images: 6.2 points fewer.
        let images = |counts: [(bool, usize); 4]| -> Vec<bool> {
            counts.iter().flat_map(|&(stands, n)| std::iter::repeat_n(stands, n)).collect()
        };
        let first = images([(true, 59), (true, 6), (false, 16), (false, 80)]);
        let second = images([(true, 59), (false, 6), (true, 16), (false, 80)]);
        let found = Difference::of(&first, &second);
        assert_eq!((found.first, found.second), (6, 16));
        assert!((found.points + 6.211).abs() < 1e-3, "{found:?}");
        // p = 7/163, q = 17/163: −0.0613 ± 1.96·√((24/163 − 0.0613²)/163).
        assert!(
            (found.ci95[0] + 11.950).abs() < 1e-3 && (found.ci95[1] + 0.320).abs() < 1e-3,
            "{found:?}"
        );
        assert_eq!(Difference::of(&first, &first).points, 0.0);
        assert_eq!(Difference::of(&[], &[]).points, 0.0);
    }

    #[test]
    fn a_plateau_is_not_a_steady_fall() {
        let curve = |counts: &[usize], of: usize| -> Vec<Vec<bool>> {
            counts.iter().map(|&count| (0..of).map(|image| image < count).collect()).collect()
        };
        assert_eq!(course(&curve(&[90, 70, 50, 30, 10, 0, 0], 100)), (Course::Falls, 0));
        assert_eq!(course(&curve(&[90, 70, 68, 30, 10], 100)), (Course::Unclear, 1));
        let plateau = curve(&[9000, 5000, 4990, 4985, 3000], 10_000);
        assert_eq!(course(&plateau), (Course::HasPlateau, 2));
        // A robust network loses nothing at first, and one that never falls has no course.
        let robust = curve(&[946, 946, 943, 902, 552, 22, 0], 1000);
        assert_eq!(course(&robust), (Course::Falls, 0));
        assert_eq!(course(&curve(&[946, 946, 945, 945], 1000)), (Course::Unclear, 0));
    }
}
