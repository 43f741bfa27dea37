//! Lengths in pixels, and the norms that measure them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{AttackError, Result, hint};

/// How a perturbation is measured: all pixels of all channels as one vector in [0, 1]ᵈ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// ℓ∞: the largest change of a pixel.
    Linf,
    /// ℓ2: the Euclidean length of the change.
    L2,
    /// ℓ1: the sum of all changes' sizes.
    L1,
}

impl Norm {
    /// The norm of a perturbation.
    pub fn of(self, perturbation: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Linf => perturbation.fold(0.0, |most, value| most.max(value.abs())),
            Self::L2 => perturbation.map(|value| value * value).sum::<f64>().sqrt(),
            Self::L1 => perturbation.map(f64::abs).sum(),
        }
    }

    /// The norm ‖w‖* of a gradient: the most that w·δ can be for a perturbation δ of norm 1.
    pub(crate) fn dual(self) -> Self {
        match self {
            Self::Linf => Self::L1,
            Self::L2 => Self::L2,
            Self::L1 => Self::Linf,
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
        })
    }
}

impl FromStr for Norm {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "linf" => Ok(Self::Linf),
            "l2" => Ok(Self::L2),
            "l1" => Ok(Self::L1),
            name => Err(AttackError::UnknownNorm {
                name: text.into(),
                hint: hint(name, &["linf", "l2", "l1"]),
            }),
        }
    }
}

/// A length in pixels of [0, 1], over 0: the radius ε of a ball, or a step. Written `8/255` or
/// `0.0314`; the two are not the same, so both are shown.
///
/// ```
/// use cure_attacks::Epsilon;
/// let epsilon: Epsilon = "8/255".parse()?;
/// assert_eq!(epsilon.to_string(), "8/255 (0.0314)");
/// assert_eq!("0.0314".parse::<Epsilon>()?.to_string(), "0.0314 (8.007/255)");
/// # Ok::<(), cure_attacks::AttackError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Epsilon(f64);

/// A configuration may say a decimal length without quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a length in pixels, as 8/255 in quotes or 0.0314")]
enum Written {
    Number(f64),
    Text(String),
}

/// The spacing of single-precision numbers next to 1: a shorter length moves no bright pixel.
const SMALLEST: f64 = 1e-7;

impl Epsilon {
    /// A hundredth of the pixel range.
    pub(crate) const HUNDREDTH: Self = Self(0.01);
    /// A thousandth of the pixel range.
    pub const THOUSANDTH: Self = Self(0.001);

    /// A length of `value` pixels.
    ///
    /// # Errors
    /// If the value is not finite or not over 0.
    pub fn new(value: f64) -> Result<Self> {
        match refusal(value) {
            None => Ok(Self(value)),
            Some(reason) => {
                Err(AttackError::Length { text: value.to_string(), reason: reason.into() })
            }
        }
    }

    /// The length in pixels.
    pub fn value(self) -> f64 {
        self.0
    }

    /// A quarter of the length, PGD's default step. (Underflow to 0 would need a length that no
    /// `f32` image can show.)
    pub fn quarter(self) -> Self {
        self.times(0.25)
    }

    /// So many times the length, for a factor over 0.
    pub fn times(self, factor: f64) -> Self {
        Self((self.0 * factor).max(f64::MIN_POSITIVE))
    }

    /// As it is written in an attack's specification: `8/255`, `0.5`.
    pub fn notation(self) -> String {
        /// Characters up to which a decimal number is the shorter way to say it: `0.0314`.
        const SHORT: usize = 6;
        let decimal = self.0.to_string();
        // The nearest multiple of a thousandth of 1/255; a fraction only if it is exact.
        let count = (self.0 * 255.0 * 1e3).round() / 1e3;
        if decimal.len() > SHORT && count / 255.0 == self.0 {
            format!("{count}/255")
        } else {
            decimal
        }
    }

    /// Whether a perturbation can be that short and be seen, and that long and stay between images in [0, 1]ᵈ: at most 1 in
    /// ℓ∞, √d in ℓ2, d in ℓ1 (not checked while d is not known).
    ///
    /// # Errors
    /// [`AttackError::LargerThanRange`] naming the likely meaning.
    pub(crate) fn check_within(
        self,
        name: &'static str,
        norm: Norm,
        dimension: Option<usize>,
    ) -> Result<()> {
        if self.0 < SMALLEST {
            return Err(AttackError::Length {
                text: format!("{name} = {:e}", self.0),
                reason: format!(
                    "pixels in single precision cannot show less than {SMALLEST}; write 8/255 or \
                     0.0314"
                ),
            });
        }
        let (limit, range) = match (norm, dimension) {
            (Norm::Linf, _) => (1.0, "the whole pixel range [0, 1]".to_owned()),
            (Norm::L2, Some(d)) => {
                let diameter = (d as f64).sqrt();
                (diameter, format!("√{d} = {diameter:.2}, the ℓ2 diameter of [0, 1]^{d}"))
            }
            (Norm::L1, Some(d)) => (d as f64, format!("{d}, the ℓ1 diameter of [0, 1]^{d}")),
            (Norm::L2 | Norm::L1, None) => return Ok(()),
        };
        if self.0 <= limit {
            return Ok(());
        }
        let remedy = if self.0 <= 255.0 {
            format!("did you mean {}/255?", self.0)
        } else {
            "write it as 8/255 or 0.0314".into()
        };
        Err(AttackError::LargerThanRange { name, value: self.0, range, remedy })
    }
}

/// `eps=…,` in the specification of an attack that may do without.
pub(crate) fn written(epsilon: Option<Epsilon>) -> String {
    epsilon.map(|epsilon| format!("eps={},", epsilon.notation())).unwrap_or_default()
}

fn refusal(value: f64) -> Option<&'static str> {
    if !value.is_finite() {
        Some("it must be a finite number over 0, like 8/255 or 0.0314")
    } else if value <= 0.0 {
        Some("it must be over 0, like 8/255 or 0.0314")
    } else {
        None
    }
}

impl FromStr for Epsilon {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            |reason: &str| AttackError::Length { text: text.into(), reason: reason.into() };
        let number = |part: &str| {
            part.trim()
                .parse::<f64>()
                .map_err(|_| refuse("write a length in pixels as 8/255 or 0.0314"))
        };
        let value = match text.split_once('/') {
            Some((numerator, denominator)) => {
                let denominator = number(denominator)?;
                if denominator == 0.0 {
                    return Err(refuse("the denominator is 0; write 8/255 or 0.0314"));
                }
                number(numerator)? / denominator
            }
            None => number(text)?,
        };
        match refusal(value) {
            None => Ok(Self(value)),
            Some(reason) => Err(refuse(reason)),
        }
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notation = self.notation();
        if notation.contains('/') {
            write!(formatter, "{notation} ({})", rounded(self.0, 4))
        } else {
            write!(formatter, "{notation} ({}/255)", rounded(self.0 * 255.0, 3))
        }
    }
}

/// To so many decimals, trailing zeros dropped.
fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

impl TryFrom<Written> for Epsilon {
    type Error = AttackError;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Number(value) => Self::new(value),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Epsilon> for String {
    fn from(epsilon: Epsilon) -> Self {
        epsilon.notation()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read() {
        for (text, value, shown) in [
            ("8/255", 8.0 / 255.0, "8/255 (0.0314)"),
            ("0.5/255", 0.5 / 255.0, "0.5/255 (0.002)"),
            (" 1 / 255 ", 1.0 / 255.0, "1/255 (0.0039)"),
            ("0.0314", 0.0314, "0.0314 (8.007/255)"),
            ("0.5", 0.5, "0.5 (127.5/255)"),
            ("3e-1", 0.3, "0.3 (76.5/255)"),
        ] {
            let epsilon: Epsilon = text.parse().unwrap();
            assert_eq!(epsilon.value(), value, "{text}");
            assert_eq!(epsilon.to_string(), shown, "{text}");
            assert_eq!(epsilon.notation().parse::<Epsilon>().unwrap(), epsilon, "{text}");
            for json in [value.to_string(), format!("\"{text}\"")] {
                assert_eq!(serde_json::from_str::<Epsilon>(&json).unwrap(), epsilon, "{json}");
            }
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in ["0", "-1/255", "NaN", "inf", "8/0", "0/255", "eight", "", "8/", "1/2/3"] {
            let error = text.parse::<Epsilon>().unwrap_err().to_string();
            assert!(error.contains("8/255"), "{text}: {error}");
        }
        for json in ["0", "-0.1", "\"0/255\"", "true"] {
            assert!(serde_json::from_str::<Epsilon>(json).is_err(), "{json}");
        }
        assert!(Epsilon::new(f64::NAN).is_err());
        assert!(Epsilon::new(0.0).is_err());
    }

    #[test]
    fn too_long_names_the_likely_meaning() {
        let eight = Epsilon::new(8.0).unwrap();
        assert_eq!(
            eight.check_within("ε", Norm::Linf, None).unwrap_err().to_string(),
            "ε = 8 is larger than the whole pixel range [0, 1]; did you mean 8/255?"
        );
        // √3072 = 55.4: an ℓ2 length of 8 is possible, one of 60 is not.
        assert!(eight.check_within("ε", Norm::L2, Some(3072)).is_ok());
        let sixty = Epsilon::new(60.0).unwrap();
        let error = sixty.check_within("ε", Norm::L2, Some(3072)).unwrap_err().to_string();
        assert!(error.contains("√3072 = 55.43") && error.contains("60/255"), "{error}");
    }

    #[test]
    fn norms() {
        let delta = [3.0, -4.0];
        assert_eq!(Norm::Linf.of(delta.into_iter()), 4.0);
        assert_eq!(Norm::L2.of(delta.into_iter()), 5.0);
        let error = "inf".parse::<Norm>().unwrap_err().to_string();
        assert!(error.contains("did you mean `linf`"), "{error}");
    }
}
