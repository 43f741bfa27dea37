use std::path::PathBuf;

use cure_network::NetworkError;
use thiserror::Error;

/// Why a module cannot be attacked or measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// libtorch does not read it.
    #[error(
        "{path}: no TorchScript module ({reason}); save one by torch.jit.save(torch.jit.trace(net.eval(), \
         images), FILE)"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What libtorch says.
        reason: String,
    },
    /// It does not take such images.
    #[error("{path}: the module does not take images of shape [2, {}, {}, {}]: {reason}", input[0], input[1], input[2])]
    Images {
        /// The file.
        path: PathBuf,
        /// Channels, height and width.
        input: [usize; 3],
        /// What libtorch says.
        reason: String,
    },
    /// It does not give logits.
    #[error(
        "{path}: for 2 images the module gives {found}; accepted is one tensor of logits, [images, classes], of 2 \
         classes or more, for any number of images"
    )]
    Logits {
        /// The file.
        path: PathBuf,
        /// What it gives.
        found: String,
    },
    /// An image's logits depend on more than the image.
    #[error(
        "{path}: an image's logits change with {with} (by {difference:.1e} for logits up to {scale:.1e}): call \
         .eval() before tracing it; a module that is made so, as by random noise, cannot be measured image by image"
    )]
    NotEvaluating {
        /// The file.
        path: PathBuf,
        /// What they depend on.
        with: &'static str,
        /// By how much.
        difference: f64,
        /// The largest logit.
        scale: f64,
    },
    /// The normalisation does not fit, or the device failed.
    #[error(transparent)]
    Normalization(#[from] NetworkError),
}
