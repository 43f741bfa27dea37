//! Weights for others to use, from a run.

use std::path::Path;

use cure_network::Network;
use cure_network::weights::{self, Metadata};
use serde_json::json;

use crate::checkpoint::Identity;
use crate::error::Result;

/// Where exported weights come from.
pub(crate) struct Provenance<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) objective: &'static str,
    /// The epoch they were taken after, counted from 1.
    pub(crate) epoch: usize,
    /// The criterion they were chosen by, with its value.
    pub(crate) chosen_by: Option<(&'static str, f64)>,
}

/// Writes a network's weights as safetensors, with architecture, normalisation and provenance.
pub(crate) fn write(path: &Path, network: &Network, provenance: &Provenance<'_>) -> Result<()> {
    let architecture = network.architecture();
    let Provenance { identity, objective, epoch, chosen_by } = provenance;
    let metadata = Metadata {
        architecture: Some(
            json!({
                "name": architecture.name(),
                "classes": architecture.classes,
                "input": architecture.input,
            })
            .to_string(),
        ),
        normalization: Some(json!(network.normalization()).to_string()),
        provenance: Some(
            json!({
                "tool": format!("cure {}", env!("CARGO_PKG_VERSION")),
                "objective": objective,
                "epoch": epoch,
                "chosen_by": chosen_by.map(|(criterion, value)| json!({criterion: value})),
                "configuration_sha256": identity.configuration,
                "data_sha256": identity.data,
            })
            .to_string(),
        ),
    };
    Ok(weights::write(path, &network.state(), &metadata)?)
}
