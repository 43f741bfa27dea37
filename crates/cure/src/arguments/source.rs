//! Where images come from.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::{DataSpec, Dataset, PublishedChecksum, Split};

use crate::failure::{Blame, Failure, Outcome};

/// The images of a command.
#[derive(Args, Debug, Clone)]
pub(crate) struct DataArguments {
    /// The data: digits, cifar10:DIR, cifar100:DIR, svhn:DIR, svhn-extra:DIR, folder:DIR or npz:FILE.
    #[arg(long, value_name = "NAME[:PLACE]", help_heading = "Data")]
    pub(crate) data: String,
    /// Which part: train, test or all.
    #[arg(long, value_name = "SPLIT", default_value = "test", help_heading = "Data")]
    pub(crate) split: String,
    /// Only the first N images.
    #[arg(long, value_name = "N", conflicts_with = "indices", help_heading = "Data")]
    pub(crate) limit: Option<usize>,
    /// Only the images at these positions of the split, as A..B.
    #[arg(long, value_name = "A..B", help_heading = "Data")]
    pub(crate) indices: Option<String>,
}

impl DataArguments {
    /// The file or folder that the images are read from; none where they are built in.
    pub(crate) fn place(&self) -> Outcome<Option<PathBuf>> {
        let spec: DataSpec = self.data.parse().input()?;
        Ok(spec.place().map(PathBuf::from))
    }

    /// Reads the images.
    pub(crate) fn load(&self) -> Outcome<Dataset> {
        let split: Split = self.split.parse().input()?;
        let whole = load_data(&self.data, split)?;
        match (self.limit, &self.indices) {
            (Some(limit), _) => whole.limit(limit).input(),
            (None, Some(range)) => {
                let ends = range.split_once("..").and_then(|(start, end)| {
                    Some((start.trim().parse().ok()?, end.trim().parse().ok()?))
                });
                let (start, end): (usize, usize) = ends.ok_or_else(|| {
                    Failure::Input(format!("--indices `{range}`: write A..B, as 0..1000"))
                })?;
                whole.range(start..end).input()
            }
            (None, None) => Ok(whole),
        }
    }
}

/// A path that stays one in another folder.
pub(crate) fn whole(path: &Path) -> Outcome<PathBuf> {
    path.canonicalize().map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

/// Reads one split of the data called `text`.
pub(crate) fn load_data(text: &str, split: Split) -> Outcome<Dataset> {
    let spec: DataSpec = text.parse().input()?;
    let data = spec.load(split).input()?;
    if let Some(remark) = remark_on(&data) {
        tracing::warn!("{remark}");
    }
    Ok(data)
}

/// What a reader of results must know about the files they come from.
pub(crate) fn remark_on(data: &Dataset) -> Option<String> {
    match data.published() {
        PublishedChecksum::Mismatched { files } => Some(format!(
            "{} {} ({} images): not the published files: {} (cure data info shows more)",
            data.name(),
            data.split(),
            data.len(),
            files.join(", "),
        )),
        PublishedChecksum::Matched | PublishedChecksum::NotPublished => None,
    }
}
