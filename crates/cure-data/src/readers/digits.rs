//! The optical recognition of handwritten digits data set (Alpaydin & Kaynak 1998): 1797 images
//! of 8×8 pixels with 17 grey levels, embedded in the program by way of `smartcore`.

use crate::{DataError, Dataset, Pixels, Result, Split};

/// The last samples, which are the test split.
const TEST_SAMPLES: usize = 360;

pub(crate) fn load(split: Split) -> Result<Dataset> {
    let source = smartcore::dataset::digits::load_dataset();
    let cut = source.num_samples.saturating_sub(TEST_SAMPLES);
    let range = match split {
        Split::Train => 0..cut,
        Split::Test => cut..source.num_samples,
        Split::Validation | Split::All => {
            let (dataset, available) = ("digits".into(), "train and test");
            return Err(DataError::Split { dataset, split, available });
        }
    };
    let pixels = source.data[range.start * 64..range.end * 64].iter().map(|grey| grey / 16.0);
    let labels = source.target[range].iter().map(|&label| label as usize).collect();
    let class_names = (0..10).map(|digit| digit.to_string()).collect();
    let pixels = Pixels::Floats(pixels.collect());
    let mut dataset = Dataset::new("digits", split, [1, 8, 8], pixels, labels, class_names)?;
    if let Some(origin) = std::sync::Arc::get_mut(&mut dataset.origin) {
        origin.layout = "embedded";
    }
    Ok(dataset)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_scikit_learn() {
        let (train, test) = (load(Split::Train).unwrap(), load(Split::Test).unwrap());
        assert_eq!((train.len(), test.len()), (1437, 360));
        let counts: Vec<usize> =
            train.class_counts().iter().zip(test.class_counts()).map(|(a, b)| a + b).collect();
        // `numpy.bincount(load_digits().target)`.
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let (train_mean, _) = train.mean_std();
        let (test_mean, _) = test.mean_std();
        // `load_digits().data.mean()` is 4.884164579855314.
        let mean = (1437.0 * train_mean[0] + 360.0 * test_mean[0]) / 1797.0 * 16.0;
        assert!((mean - 4.884_164_579_855_314).abs() < 1e-9, "{mean}");
        let first = train.batch(&[0]).unwrap();
        let row: Vec<f32> = first.images.host()[..8].iter().map(|pixel| pixel * 16.0).collect();
        assert_eq!(row, [0., 0., 5., 13., 9., 1., 0., 0.]);
        assert_eq!(first.labels, [0]);
    }

    #[test]
    fn a_split_the_digits_lack_is_refused() {
        let error = load(Split::Validation).unwrap_err().to_string();
        assert!(error.contains("no split `validation`; it has train and test"), "{error}");
    }
}
