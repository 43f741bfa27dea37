//! Labelled images: readers, checksums, splits and augmentation.
//!
//! ```
//! use cure_data::{DataSpec, Split};
//!
//! let spec: DataSpec = "digits".parse()?;
//! let test = spec.load(Split::Test)?;
//! let batch = test.limit(8)?.batch(&[0, 1, 2])?;
//! assert_eq!(batch.images.shape(), [3, 1, 8, 8]);
//! # Ok::<(), cure_data::DataError>(())
//! ```
//!
//! Pixels leave this crate as `f32` in [0, 1], images as `[N, C, H, W]`. Everything random
//! (validation split, balanced sample, shuffle, augmentation) is a pure function of a seed and
//! of the sample's position in the split as stored, so that results depend neither on batch
//! size and order nor on the number of threads.

mod augment;
mod batch;
mod dataset;
mod error;
mod files;
mod info;
mod random;
mod readers;
mod spec;
mod statistics;
mod subset;

pub use augment::{Augmentation, epoch_order};
pub use batch::Batch;
pub use cure_tensor::Placement;
pub use dataset::{Dataset, Pixels, Split};
pub use error::DataError;
pub use info::{ClassCount, DatasetInfo, PublishedChecksum};
pub use readers::aside::{Column, Mask, read_column, read_mask};
pub use readers::npz::write_npz;
pub use spec::{DataSpec, DatasetKind, KNOWN_DATASETS, KnownDataset};
pub use subset::ValidationSize;

/// What every fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, DataError>;
