//! Weights for others to use, from a run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cure_network::Network;
use cure_network::weights::{self, Metadata};
use serde_json::{Value, json};

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

/// The longest header that the format allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// The epoch, counted from 1, after which exported weights were taken: those chosen at the end of
/// the run in `folder` or, while there is no end, those chosen so far. Only the files' headers are
/// read.
pub fn chosen_epoch(folder: &Path) -> Option<usize> {
    let files = ["weights.safetensors", "checkpoints/best.safetensors"];
    files.iter().find_map(|file| epoch_of(&folder.join(file)))
}

fn epoch_of(path: &Path) -> Option<usize> {
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return None;
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let provenance = header.get("__metadata__")?.get("cure.provenance")?.as_str()?;
    let provenance: Value = serde_json::from_str(provenance).ok()?;
    usize::try_from(provenance.get("epoch")?.as_u64()?).ok()
}
