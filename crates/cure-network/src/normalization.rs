use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{NetworkError, Result};

/// (x − mean)/std for each channel of images in [0, 1]. It belongs to the network, so that
/// perturbations are always measured in pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Subtracted from each channel.
    pub mean: Vec<f32>,
    /// Each channel is divided by it.
    pub std: Vec<f32>,
}

impl Normalization {
    /// The network sees pixels as they are.
    pub fn none(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// Reads `none`, `imagenet`, `cifar10`, or `M,M,M/S,S,S`.
    ///
    /// # Errors
    /// If the text is none of these, or the numbers do not fit the channels.
    pub fn parse(text: &str, channels: usize) -> Result<Self> {
        let named = match text {
            "none" => return Ok(Self::none(channels)),
            "imagenet" => Some(([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
            // Mean and standard deviation of CIFAR-10's training pixels.
            "cifar10" => Some(([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])),
            _ => None,
        };
        let (mean, std) = match named {
            Some((mean, std)) => (mean.to_vec(), std.to_vec()),
            None => {
                let refuse = |reason: &str| NetworkError::Normalization {
                    text: format!("`{text}`"),
                    reason: reason.into(),
                };
                let accepted = "accepted are none, imagenet, cifar10, or MEAN,…/STD,… with a \
                                number for each channel";
                let numbers = |part: &str| -> Option<Vec<f32>> {
                    part.split(',').map(|number| number.trim().parse().ok()).collect()
                };
                let (mean, std) = text.split_once('/').ok_or_else(|| refuse(accepted))?;
                (
                    numbers(mean).ok_or_else(|| refuse(accepted))?,
                    numbers(std).ok_or_else(|| refuse(accepted))?,
                )
            }
        };
        let normalization = Self { mean, std };
        normalization.check(channels)?;
        Ok(normalization)
    }

    /// Whether the numbers can be applied to images of `channels` channels.
    ///
    /// # Errors
    /// [`NetworkError::Normalization`] saying what is wrong.
    pub fn check(&self, channels: usize) -> Result<()> {
        let refuse =
            |reason: String| Err(NetworkError::Normalization { text: format!("{self}"), reason });
        if self.mean.len() != channels || self.std.len() != channels {
            return refuse(format!("one mean and one std for each of {channels} channels needed"));
        }
        if self.std.iter().any(|&std| !(std.is_finite() && std > 0.0)) {
            return refuse("each std must be over 0".into());
        }
        if self.mean.iter().any(|&mean| mean > 1.0) {
            return refuse(
                "pixels are in [0, 1] here, so each mean is at most 1; divide mean and std by 255"
                    .into(),
            );
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return refuse("each mean must be finite".into());
        }
        Ok(())
    }

    /// Whether pixels pass through unchanged.
    pub fn is_identity(&self) -> bool {
        self.mean.iter().all(|&mean| mean == 0.0) && self.std.iter().all(|&std| std == 1.0)
    }

    /// The largest 1/std: how much longer a distance can be behind the normalisation.
    pub fn largest_scale(&self) -> f32 {
        self.std.iter().map(|std| 1.0 / std).fold(0.0, f32::max)
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_identity() {
            return write!(formatter, "none");
        }
        let join = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        write!(formatter, "{}/{}", join(&self.mean), join(&self.std))
    }
}
