//! What a measurement is: all that its results depend on, and all that its report says besides them.

use cure_attacks::Shard;
use cure_data::Dataset;
use cure_network::Scale;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::arguments::Named;
use super::study::Study;
use crate::arguments::General;
use crate::failure::{Blame, Outcome};
use crate::output::{identity_of, provenance};

/// A network, as far as results are concerned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NetworkFacts {
    pub(super) name: String,
    /// `arch`, `weights_sha256`, `normalization`.
    #[serde(flatten)]
    pub(super) identity: Map<String, Value>,
    pub(super) classes: usize,
    pub(super) piecewise_linear: bool,
}

impl NetworkFacts {
    pub(super) fn of(named: &Named) -> Outcome<Self> {
        let classifier = named.model.classifier()?;
        let identity = match identity_of(&named.model) {
            Value::Object(identity) => identity,
            _ => Map::new(),
        };
        Ok(Self {
            name: named.name.clone(),
            identity,
            classes: classifier.classes(),
            piecewise_linear: classifier.is_piecewise_linear(),
        })
    }
}

/// A measurement. Two that are equal have the same results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`Study::NAME`].
    pub(super) study: String,
    /// The study's fields.
    pub(super) options: Value,
    /// What results begin with.
    pub(super) head: Map<String, Value>,
    pub(super) scale: Scale,
    pub(super) networks: Vec<NetworkFacts>,
    pub(super) shape: [usize; 3],
    pub(super) class_names: Vec<String>,
    /// Places of the samples in their split as stored.
    pub(super) indices: Vec<usize>,
}

/// What the folder of a shard holds beside its journal.
#[derive(Serialize, Deserialize)]
pub(super) struct ShardManifest {
    /// `2/8`: the second of eight.
    pub(super) shard: String,
    #[serde(flatten)]
    pub(super) manifest: Manifest,
}

impl Manifest {
    pub(super) fn new<S: Study>(
        study: &S,
        general: &General,
        networks: Vec<NetworkFacts>,
        data: &Dataset,
        scale: Scale,
    ) -> Outcome<Self> {
        Ok(Self {
            study: S::NAME.to_owned(),
            options: serde_json::to_value(study).failed()?,
            head: provenance(&format!("geometry {}", S::COMMAND), general, None, data),
            scale,
            networks,
            shape: data.shape(),
            class_names: data.class_names().to_vec(),
            indices: data.indices().to_vec(),
        })
    }

    /// What the journal of a shard belongs to.
    pub(super) fn identity(&self, shard: Shard) -> String {
        let digest = Sha256::digest(json!(self).to_string());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("geometry {}, part {shard}, {digest}", self.study)
    }

    pub(super) fn of_shard(&self, shard: Shard) -> ShardManifest {
        ShardManifest { shard: shard.to_string(), manifest: self.clone() }
    }

    /// d = C·H·W.
    pub(super) fn dimension(&self) -> usize {
        self.shape.iter().product()
    }

    /// The images in words, as `100 test images of cifar10, seed 0`.
    pub(super) fn images(&self) -> String {
        let (data, seed) = (&self.head["data"], &self.head["seed"]);
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        let count = self.indices.len();
        let plural = if count == 1 { "image" } else { "images" };
        format!("{count} {} {plural} of {}, seed {seed}", text("split"), text("name"))
    }

    pub(super) fn class(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }
}
