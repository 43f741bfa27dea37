//! What can go wrong while a figure is drawn or a file is written.

use std::path::PathBuf;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file or folder that was to be written.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file of a figure could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file stem holds a path separator or is empty.
    #[error("'{stem}' cannot name a figure's files: use a name without folders, such as 'curve'")]
    Stem {
        /// The refused stem.
        stem: String,
    },
    /// The drawing library failed.
    #[error("cannot draw the figure '{title}': {cause}")]
    Draw {
        /// Title of the figure.
        title: String,
        /// What the library said.
        cause: String,
    },
    /// The shape of an image is out of range, or its pixels do not fill it.
    #[error(
        "an image of {channels}×{height}×{width} with {pixels} pixel values cannot be shown: \
         1 or 3 channels, sides of 1 to 4096, and channels·height·width values are expected"
    )]
    ImageShape {
        /// Number of channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Number of values given.
        pixels: usize,
    },
    /// An image and its perturbed copy do not have the same shape.
    #[error(
        "an image of shape {image:?} has a perturbed copy of shape {perturbed:?}: \
             both must have the same channels, height and width"
    )]
    PerturbationShape {
        /// `[channels, height, width]` of the image.
        image: [usize; 3],
        /// `[channels, height, width]` of the perturbed image.
        perturbed: [usize; 3],
    },
    /// A grid of images would be too large a picture.
    #[error(
        "a grid of {width}×{height} pixels is larger than {limit} on a side: \
         show fewer images or choose a smaller magnification"
    )]
    GridSize {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Largest accepted side.
        limit: usize,
    },
    /// The axis of a grid of values cannot be drawn.
    #[error(
        "the {name} axis of a grid cannot be drawn ({cause}): give it 2 to 4096 finite numbers \
         up to ±1e150, each greater than the one before"
    )]
    GridAxis {
        /// Which axis.
        name: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// A grid has too few or too many values.
    #[error(
        "a grid of {columns}×{rows} nodes cannot be filled with {values} values: \
         give one for each node, row by row"
    )]
    GridValues {
        /// Nodes along x.
        columns: usize,
        /// Nodes along y.
        rows: usize,
        /// Number of values given.
        values: usize,
    },
    /// A grid of classes names one that does not exist.
    #[error(
        "class {class} has no name: use classes below {classes}, the number of names, \
         or name more of them"
    )]
    Class {
        /// The class.
        class: usize,
        /// Number of names.
        classes: usize,
    },
}
