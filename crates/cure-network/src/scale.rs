use serde::{Deserialize, Serialize};

use crate::normalization::Normalization;

/// The scale that lengths in the input and derivatives with respect to it are measured in. The paper
/// does not say which one its h has; see `docs/decisions.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Pixels in [0, 1].
    #[default]
    Pixel,
    /// Pixels in [0, 255].
    Pixel255,
    /// What the network sees: (x − mean)/std.
    Normalized,
}

impl Scale {
    /// The length of one unit in pixels of [0, 1], for each channel.
    pub fn units(self, normalization: &Normalization) -> Vec<f32> {
        match self {
            Self::Pixel => vec![1.0; normalization.std.len()],
            Self::Pixel255 => vec![1.0 / 255.0; normalization.std.len()],
            Self::Normalized => normalization.std.clone(),
        }
    }
}
