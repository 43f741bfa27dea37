use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why data could not be read, cut or written. Each message names the place, the value found,
/// what is accepted and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The name before the colon is not a dataset.
    #[error(
        "unknown dataset `{name}`{}; known are digits, cifar10:DIR, cifar100:DIR, svhn:DIR, svhn-extra:DIR, folder:DIR and npz:FILE",
        suggestion.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
    )]
    UnknownDataset {
        /// The name given.
        name: String,
        /// The nearest known name, when there is a near one.
        suggestion: Option<&'static str>,
    },
    /// A dataset that lives on disk was named without its place.
    #[error("dataset `{name}` needs a place on disk: write {usage}; {source_hint}")]
    PlaceNeeded {
        /// The dataset.
        name: &'static str,
        /// How it is written.
        usage: &'static str,
        /// Where the data can be had.
        source_hint: &'static str,
    },
    /// A built-in dataset was given a place.
    #[error(
        "dataset `{name}` is built in and takes no place: write `{name}`, not `{name}:{place}`"
    )]
    PlaceUnwanted {
        /// The dataset.
        name: &'static str,
        /// What was given after the colon.
        place: String,
    },
    /// A folder or file is not there.
    #[error("`{}` {problem}; {remedy}", path.display())]
    NotFound {
        /// The folder or file.
        path: PathBuf,
        /// "does not exist", or what was looked for in it.
        problem: String,
        /// Where to get it or what to write instead.
        remedy: String,
    },
    /// The operating system refused to read or write.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// "read", "write", …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A batch file does not hold a whole number of records.
    #[error(
        "`{}` holds {size} bytes, which is not a positive multiple of {record} (one record: labels and 3072 pixels): the file is cut off or is not a CIFAR batch; download it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The size of one record in bytes.
        record: u64,
    },
    /// A label is not one of the classes.
    #[error(
        "{field} of record {record} in `{}` is {value}, accepted is {} to {}: the file is damaged or is another dataset",
        path.display(), accepted[0], accepted[1]
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The label's name, for data with several.
        field: &'static str,
        /// Which record, counted from 0.
        record: usize,
        /// The value found.
        value: i128,
        /// The smallest and the largest label accepted.
        accepted: [usize; 2],
    },
    /// An array or image has another shape than is accepted.
    #[error("`{}`: {what} has shape {found:?}, expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which array or image.
        what: String,
        /// Its shape.
        found: Vec<u64>,
        /// What is accepted.
        expected: String,
    },
    /// A pixel is NaN or outside [0, 1].
    #[error(
        "pixel of sample {sample} in `{}` is {value}, accepted is 0 to 1 (values found range over {range}); store u8, or divide by the largest value",
        path.display()
    )]
    Pixel {
        /// The file, or the dataset's name.
        path: PathBuf,
        /// Which sample, counted from 0.
        sample: usize,
        /// The first value refused.
        value: f64,
        /// Smallest and largest value found, and whether there are NaNs.
        range: String,
    },
    /// A file cannot be understood.
    #[error("cannot read `{}`: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what is accepted.
        detail: String,
    },
    /// There is not one sample.
    #[error("{what} holds no sample; at least one is needed")]
    Empty {
        /// The dataset or folder.
        what: String,
    },
    /// An argument is outside its range.
    #[error("{argument} is {value}, accepted is {accepted}")]
    Argument {
        /// The argument's name.
        argument: &'static str,
        /// The value given.
        value: String,
        /// The accepted range.
        accepted: String,
    },
    /// A dataset does not have the split asked for.
    #[error("dataset `{dataset}` has no split `{split}`; it has {available}")]
    Split {
        /// The dataset.
        dataset: String,
        /// The split asked for.
        split: crate::Split,
        /// The splits it has.
        available: &'static str,
    },
    /// The tensor engine refused.
    #[error(transparent)]
    Tensor(#[from] cure_tensor::TensorError),
}

impl DataError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { action: "read", path: path.to_owned(), source }
    }

    pub(crate) fn format(path: &Path, detail: impl std::fmt::Display) -> Self {
        Self::Format { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn argument(
        argument: &'static str,
        value: impl std::fmt::Display,
        accepted: impl Into<String>,
    ) -> Self {
        Self::Argument { argument, value: value.to_string(), accepted: accepted.into() }
    }
}
