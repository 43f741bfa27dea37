//! What a journal belongs to.

use cure_data::Dataset;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::arguments::Model;

/// What is done to a set of images by a network.
pub(crate) struct Work<'a> {
    pub(crate) attacks: &'a [String],
    pub(crate) seed: u64,
    pub(crate) batch: usize,
    pub(crate) plain_sums: bool,
}

impl Work<'_> {
    /// All that its results depend on.
    pub(crate) fn identity(
        &self,
        model: &Model,
        data: &Dataset,
        confinement: &Map<String, Value>,
    ) -> String {
        let mut indices = Sha256::new();
        data.indices().iter().for_each(|&index| indices.update((index as u64).to_le_bytes()));
        let indices: String = indices.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut identity = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "architecture": model.name(),
            "weights": model.sha256(),
            "normalization": model.normalization().to_string(),
            "data": data.sha256(),
            "indices": indices,
            "attacks": self.attacks,
            "seed": self.seed,
            "batch": self.batch,
        });
        // Only what was asked for.
        if self.plain_sums {
            identity["plain_sums"] = true.into();
        }
        if cure_tensor::device().is_torch() {
            let device = format!("{} in {}", cure_tensor::device(), cure_tensor::precision());
            identity["device"] = device.into();
        }
        for (name, said) in confinement {
            identity[name] = said["sha256"].clone();
        }
        identity.to_string()
    }
}
