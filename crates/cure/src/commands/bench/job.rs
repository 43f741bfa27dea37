//! One measurement: what is asked of a process, ours or the rival's, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Program {
    Cure,
    PyTorch,
}

/// What one process measures. Both programs read the same JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) program: Program,
    /// A row's name.
    pub(super) row: String,
    /// Which way of computing it.
    pub(super) form: String,
    pub(super) layout: String,
    pub(super) compile: bool,
    pub(super) model: String,
    pub(super) batch: usize,
    /// Measured after one that warms up.
    pub(super) repeats: usize,
    pub(super) threads: usize,
    /// The network as safetensors, with our names.
    pub(super) network: Option<PathBuf>,
    pub(super) mean: Vec<f32>,
    pub(super) std: Vec<f32>,
    /// Safetensors with `images` and `labels`.
    pub(super) images: Option<PathBuf>,
    /// The checkpoint, or the folder of data, as the user has it.
    pub(super) source: Option<PathBuf>,
    /// Where to write the parameter gradients of a single step, instead of measuring.
    pub(super) gradients: Option<PathBuf>,
    /// In double precision; the rival's gradients only.
    pub(super) double: bool,
    /// Where, and in what its convolutions multiply: as in `--device` and `--precision`.
    pub(super) device: String,
    pub(super) precision: String,
    /// With plain sums in every convolution; ours only.
    pub(super) plain_sums: bool,
}

/// What a process measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Measurement {
    /// Every repeat, in milliseconds.
    pub(super) ms: Vec<f64>,
    pub(super) peak_mib: Option<f64>,
    /// Memory before the first step.
    pub(super) baseline_mib: Option<f64>,
    /// Passes of the network over the whole batch, where they depend on the images.
    pub(super) passes: Option<f64>,
    /// Of attacks: images fooled.
    pub(super) fooled: Option<usize>,
    /// Bytes read.
    pub(super) bytes: Option<u64>,
    /// Of floors: GFLOP/s or GB/s.
    pub(super) rate: Option<f64>,
    /// Multiplications that one step takes in convolutions.
    pub(super) products: Option<u64>,
    /// Milliseconds of one step by kind of operation.
    pub(super) breakdown: Vec<(String, f64)>,
}

/// What a machine needs to be a rival.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Versions {
    pub(super) python: String,
    pub(super) torch: String,
    pub(super) foolbox: Option<String>,
    pub(super) torchattacks: Option<String>,
    /// The C++ compiler that `torch.compile` would use.
    pub(super) compiler: Option<String>,
    /// CUDA devices, by name.
    #[serde(default)]
    pub(super) gpus: Vec<String>,
}
