//! A run's configuration, as it is in its folder.

use std::path::{Path, PathBuf};

use cure_data::DataSpec;
use cure_training::TrainingConfig;
use serde::{Deserialize, Serialize};

use crate::failure::{Blame, Outcome};

/// What a run's `config.toml` holds, and what `--config` reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The data, as NAME[:PLACE]; its training split is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    /// Only the first so many training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// The architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The weights to start from; random ones without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<PathBuf>,
    /// What is done to pixels first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) normalize: Option<String>,
    /// Plain sums in every convolution (`--plain-sums`): whoever resumes takes them too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) plain_sums: bool,
    /// Everything else.
    pub(crate) training: TrainingConfig,
}

impl RunConfig {
    /// With whole paths: a run is resumed from whatever folder.
    pub(super) fn anchored(mut self) -> Outcome<Self> {
        let whole = |place: &Path| {
            let told = |error| format!("cannot tell where `{}` is: {error}", place.display());
            std::path::absolute(place).map_err(told).failed()
        };
        if let Some(weights) = &self.weights {
            self.weights = Some(whole(weights)?);
        }
        if let Some(text) = &self.data {
            let spec: DataSpec = text.parse().input()?;
            if let Some(place) = spec.place() {
                let name = spec.kind().known().name;
                // A path that is no text cannot be written down whole.
                let text = whole(place)?.to_str().map(|place| format!("{name}:{place}"));
                self.data = text.or(self.data);
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_whole_and_names_stay() {
        let of = |data: &str| RunConfig { data: Some(data.into()), ..RunConfig::default() };
        let anchored = |data: &str| of(data).anchored().unwrap().data.unwrap();
        assert_eq!(anchored("digits"), "digits");
        let here = std::env::current_dir().unwrap();
        let whole = format!("cifar10:{}", here.join("some/where").display());
        assert_eq!(anchored("cifar10:some/where"), whole);
        assert_eq!(anchored(&whole), whole);
    }
}
