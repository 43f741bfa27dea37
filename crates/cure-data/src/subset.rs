//! Parts of a dataset. Each keeps the samples' positions in the split as stored.

use std::ops::Range;
use std::sync::Arc;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, stream};
use crate::{DataError, Dataset, Result, Split};

/// How much of the training split to set aside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationSize {
    /// A share of the samples, above 0 and below 1.
    Fraction(f64),
    /// A number of samples, at least 1.
    Count(usize),
}

impl std::str::FromStr for ValidationSize {
    type Err = DataError;

    /// `5000` is a count, `0.1` a fraction.
    fn from_str(text: &str) -> Result<Self> {
        let count = text.parse().map(Self::Count);
        count.or_else(|_| text.parse().map(Self::Fraction)).map_err(|_| {
            let accepted = "a count such as 5000 or a fraction such as 0.1";
            DataError::argument("validation size", text, accepted)
        })
    }
}

impl Dataset {
    /// The samples at `positions`, in that order.
    ///
    /// # Errors
    /// A position that is not below [`Dataset::len`], or no position.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        self.check_positions(positions)?;
        let pick = |values: &[usize]| positions.iter().map(|&position| values[position]).collect();
        Ok(Self {
            origin: Arc::clone(&self.origin),
            split: self.split,
            rows: pick(&self.rows),
            labels: pick(&self.labels),
            indices: pick(&self.indices),
        })
    }

    /// The first `n` samples; all, when there are fewer.
    ///
    /// # Errors
    /// `n` = 0.
    pub fn limit(&self, n: usize) -> Result<Self> {
        if n == 0 {
            return Err(DataError::argument("limit", n, "1 or more"));
        }
        self.range(0..n.min(self.len()))
    }

    /// The samples at positions `range`.
    ///
    /// # Errors
    /// A range that is empty or ends behind the last sample.
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        if range.is_empty() || range.end > self.len() {
            let accepted = format!("a non-empty part of 0..{}", self.len());
            return Err(DataError::argument("sample range", format!("{range:?}"), accepted));
        }
        self.select(&range.collect::<Vec<_>>())
    }

    /// `n` samples with equally many of each class, drawn by `seed`, in stored order. Where `n`
    /// is not a multiple of the number of classes, the first classes have one more.
    ///
    /// # Errors
    /// `n` = 0, or more than a class can give.
    pub fn balanced(&self, n: usize, seed: u64) -> Result<Self> {
        let (each, more) = (n / self.classes(), n % self.classes());
        let wanted = |class: usize| each + usize::from(class < more);
        let counts = self.class_counts();
        let short = (0..self.classes()).find(|&class| counts[class] < wanted(class));
        if n == 0 || short.is_some() {
            let least = counts.iter().min().copied().unwrap_or(0);
            let accepted = match short {
                Some(class) => format!(
                    "1 to {} (class `{}` has {} samples)",
                    least * self.classes(),
                    self.class_names()[class],
                    counts[class]
                ),
                None => "1 or more".to_owned(),
            };
            return Err(DataError::argument("balanced sample size", n, accepted));
        }
        let (chosen, _) = self.draw_by_class(Purpose::Balanced, seed, wanted);
        self.select(&chosen)
    }

    /// Cuts a validation split from a training split, drawn by `seed` and stratified: each
    /// class gives its share. Returns the rest and the validation split, both in stored order.
    ///
    /// # Errors
    /// A size that leaves either part empty; a test split, which is never chosen by.
    pub fn split_validation(&self, size: ValidationSize, seed: u64) -> Result<(Self, Self)> {
        if self.split == Split::Test {
            return Err(DataError::Argument {
                argument: "split to cut validation from",
                value: self.split.to_string(),
                accepted: "train (a test split is never used to choose)".into(),
            });
        }
        let n = self.len();
        let (count, given) = match size {
            ValidationSize::Count(count) => (count, count.to_string()),
            ValidationSize::Fraction(share) => {
                let valid = share > 0.0 && share < 1.0;
                (if valid { (share * n as f64).round() as usize } else { 0 }, share.to_string())
            }
        };
        if count == 0 || count >= n {
            let accepted = format!(
                "a count from 1 to {} or a fraction between 0 and 1 that comes to as many",
                n.saturating_sub(1)
            );
            return Err(DataError::argument("validation size", given, accepted));
        }
        let quotas = largest_remainder(&self.class_counts(), count);
        let (chosen, rest) = self.draw_by_class(Purpose::Validation, seed, |class| quotas[class]);
        let mut validation = self.select(&chosen)?;
        validation.split = Split::Validation;
        let mut train = self.select(&rest)?;
        train.split = Split::Train;
        Ok((train, validation))
    }

    /// Draws `wanted(class)` positions of each class. Returns those drawn and the others, both
    /// ascending.
    fn draw_by_class(
        &self,
        purpose: Purpose,
        seed: u64,
        wanted: impl Fn(usize) -> usize,
    ) -> (Vec<usize>, Vec<usize>) {
        let mut members = vec![Vec::new(); self.classes()];
        for (position, &label) in self.labels.iter().enumerate() {
            members[label].push(position);
        }
        let (mut chosen, mut rest) = (Vec::new(), Vec::new());
        for (class, mut positions) in members.into_iter().enumerate() {
            positions.shuffle(&mut stream(purpose, seed, class as u64, 0));
            let taken = wanted(class).min(positions.len());
            chosen.extend_from_slice(&positions[..taken]);
            rest.extend_from_slice(&positions[taken..]);
        }
        chosen.sort_unstable();
        rest.sort_unstable();
        (chosen, rest)
    }
}

/// Shares `total` among classes in proportion to `counts` (Hamilton's method): whole parts
/// first, then one each to the largest remainders, ties to the lower class.
fn largest_remainder(counts: &[usize], total: usize) -> Vec<usize> {
    let all = counts.iter().sum::<usize>() as u128;
    let share = |class: usize| counts[class] as u128 * total as u128;
    let mut quotas: Vec<usize> =
        (0..counts.len()).map(|class| (share(class) / all) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(share(class) % all));
    let missing = total - quotas.iter().sum::<usize>();
    for &class in by_remainder.iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::largest_remainder;

    #[test]
    fn quotas_sum_to_the_total_and_stay_within_one_of_proportion() {
        assert_eq!(largest_remainder(&[5000; 10], 5000), [500; 10]);
        assert_eq!(largest_remainder(&[3, 3, 3], 4), [2, 1, 1]);
        assert_eq!(largest_remainder(&[1, 0, 7], 4), [1, 0, 3]);
        assert_eq!(largest_remainder(&[10, 1, 1], 6), [5, 1, 0]);
    }
}
