//! From a weights file to a network, and back.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::architecture::Architecture;
use crate::error::NetworkError;
use crate::network::Network;
use crate::normalization::Normalization;
use crate::weights::{self, Canonical, FileDigest, Metadata, WeightFile, WeightsError};

/// Why a weights file did not become a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read as weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The weights do not make the network asked for.
    #[error("{path}: {source}")]
    Network {
        /// The file.
        path: String,
        /// What does not fit.
        source: NetworkError,
    },
    /// Nobody said which network the weights are of, and they do not tell.
    #[error(
        "{path}: the architecture cannot be told from its {tensors} tensors; name it with --model"
    )]
    Unrecognised {
        /// The file.
        path: String,
        /// Number of tensors in the file.
        tensors: usize,
    },
    /// The file's own description of its architecture is damaged.
    #[error("{path}: its {key} metadata cannot be read: {reason}")]
    Metadata {
        /// The file.
        path: String,
        /// Which entry.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What is known of a network besides its weights file.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// An architecture's name; `None` or `auto` recognises it from the file.
    pub model: Option<String>,
    /// A normalisation as [`Normalization::parse`] reads it; wins over the file's own.
    pub normalization: Option<String>,
    /// Number of classes of the data.
    pub classes: usize,
    /// Channels, height and width of the data.
    pub input: [usize; 3],
}

/// A network with what was found out while loading it. Clones share the memory.
#[derive(Clone)]
pub struct Loaded {
    /// The network.
    pub network: Network,
    /// SHA-256 of the file, being taken.
    pub sha256: FileDigest,
    /// What a reader of the results should know, in sentences.
    pub remarks: Vec<String>,
    /// What the file says of how it was made, if anything.
    pub provenance: Option<String>,
}

/// How an architecture is written into a file.
#[derive(Serialize, Deserialize)]
struct ArchitectureRecord {
    name: String,
    classes: usize,
    input: [usize; 3],
}

/// Reads a weights file and builds its network. The architecture comes from `options.model`,
/// else from the file's metadata, else from the names and shapes of its tensors; the
/// normalisation from `options.normalization`, else from the file (metadata or a normalising
/// layer), else there is none, which is remarked upon.
///
/// # Errors
/// [`LoadError`]: the file, the architecture or the normalisation was refused.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, LoadError> {
    let shown = path.display().to_string();
    let refuse = |source: NetworkError| LoadError::Network { path: shown.clone(), source };
    let file = weights::read(path)?;
    let canonical = weights::canonical(&file)?;
    let mut remarks = Vec::new();
    let architecture = architecture(&file, &canonical, options, &shown)?;
    let channels = architecture.input[0];
    let normalization = match &options.normalization {
        Some(text) => Normalization::parse(text, channels).map_err(refuse)?,
        None => match own_normalization(&file, &canonical, &shown)? {
            Some(normalization) => normalization,
            None => {
                remarks.push(
                    "the weights file does not say how inputs are normalised: pixels in [0, 1] \
                     go in as they are; if the network was trained on normalised images, give \
                     --normalize"
                        .into(),
                );
                Normalization::none(channels)
            }
        },
    };
    let network = Network::from_finite_state(architecture, normalization, &canonical.tensors)
        .map_err(refuse)?;
    let provenance = file.metadata.as_ref().and_then(|metadata| metadata.provenance.clone());
    file.sha256.begin();
    Ok(Loaded { network, sha256: file.sha256, remarks, provenance })
}

fn architecture(
    file: &WeightFile,
    canonical: &Canonical,
    options: &LoadOptions,
    path: &str,
) -> Result<Architecture, LoadError> {
    let refuse = |source: NetworkError| LoadError::Network { path: path.into(), source };
    let asked = options.model.as_deref().filter(|name| *name != "auto");
    if let Some(name) = asked {
        let classes = weights::recognise(file).map_or(options.classes, |found| found.classes);
        return Architecture::named(name, classes, options.input).map_err(refuse);
    }
    let recorded = file.metadata.as_ref().and_then(|metadata| metadata.architecture.as_ref());
    if let Some(text) = recorded {
        let record: ArchitectureRecord =
            serde_json::from_str(text).map_err(|error| LoadError::Metadata {
                path: path.into(),
                key: "cure.architecture",
                reason: error.to_string(),
            })?;
        return Architecture::named(&record.name, record.classes, record.input).map_err(refuse);
    }
    let found = weights::recognise(file).ok_or_else(|| LoadError::Unrecognised {
        path: path.into(),
        tensors: canonical.tensors.len(),
    })?;
    Architecture::named(&found.architecture, found.classes, options.input).map_err(refuse)
}

fn own_normalization(
    file: &WeightFile,
    canonical: &Canonical,
    path: &str,
) -> Result<Option<Normalization>, LoadError> {
    let recorded = file.metadata.as_ref().and_then(|metadata| metadata.normalization.as_ref());
    if let Some(text) = recorded {
        return match serde_json::from_str(text) {
            Ok(normalization) => Ok(Some(normalization)),
            Err(error) => Err(LoadError::Metadata {
                path: path.into(),
                key: "cure.normalization",
                reason: error.to_string(),
            }),
        };
    }
    let hint = canonical.normalization.as_ref();
    Ok(hint.map(|hint| Normalization { mean: hint.mean.clone(), std: hint.std.clone() }))
}

/// The normalisation that a weights file states, in its metadata or as a normalising layer; none where it states none.
///
/// # Errors
/// [`LoadError`]: the file or what it states cannot be read.
pub fn normalization_of(path: &Path) -> Result<Option<Normalization>, LoadError> {
    let file = weights::read(path)?;
    let canonical = weights::canonical(&file)?;
    own_normalization(&file, &canonical, &path.display().to_string())
}

/// Writes a network as safetensors with its architecture, normalisation and provenance (a JSON
/// text) in the metadata; atomically.
///
/// # Errors
/// If the file cannot be written or a weight is not finite.
pub fn save(path: &Path, network: &Network, provenance: Option<&str>) -> Result<(), LoadError> {
    let architecture = network.architecture();
    let record = ArchitectureRecord {
        name: architecture.name(),
        classes: architecture.classes,
        input: architecture.input,
    };
    let json = |key: &'static str, value: Result<String, serde_json::Error>| {
        value.map_err(|error| LoadError::Metadata {
            path: path.display().to_string(),
            key,
            reason: error.to_string(),
        })
    };
    let metadata = Metadata {
        architecture: Some(json("cure.architecture", serde_json::to_string(&record))?),
        normalization: Some(json(
            "cure.normalization",
            serde_json::to_string(network.normalization()),
        )?),
        provenance: provenance.map(str::to_owned),
    };
    Ok(weights::write(path, &network.state(), &metadata)?)
}
