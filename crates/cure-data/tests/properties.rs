//! What holds for every seed and size: splits, orders, augmentation.
#![allow(clippy::unwrap_used)]

mod common;

use common::{byte, small};
use cure_data::{Augmentation, Dataset, Pixels, Split, ValidationSize, epoch_order};
use proptest::prelude::*;

fn strictly_ascending(values: &[usize]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1])
}

proptest! {
    #[test]
    fn an_epoch_visits_every_sample_once(n in 0usize..500, seed: u64, epoch: u64) {
        let mut order = epoch_order(n, seed, epoch);
        prop_assert_eq!(&order, &epoch_order(n, seed, epoch));
        order.sort_unstable();
        prop_assert_eq!(order, (0..n).collect::<Vec<_>>());
    }

    #[test]
    fn validation_and_the_rest_are_disjoint_exhaustive_and_stratified(
        n in 2usize..300, share in 0.0f64..1.0, seed: u64,
    ) {
        let dataset = small(n, 7, [1, 1, 1]);
        let count = 1 + ((n - 2) as f64 * share) as usize;
        let (train, validation) =
            dataset.split_validation(ValidationSize::Count(count), seed).unwrap();
        prop_assert_eq!((train.split(), validation.split()), (Split::Train, Split::Validation));
        prop_assert_eq!(validation.len(), count);
        prop_assert!(strictly_ascending(train.indices()) && strictly_ascending(validation.indices()));
        let mut all = [train.indices(), validation.indices()].concat();
        all.sort_unstable();
        prop_assert_eq!(all, dataset.indices());
        for (part, whole) in validation.class_counts().into_iter().zip(dataset.class_counts()) {
            let proportional = whole as f64 * count as f64 / n as f64;
            prop_assert!((part as f64 - proportional).abs() < 1.0);
        }
        let (_, again) = dataset.split_validation(ValidationSize::Count(count), seed).unwrap();
        prop_assert_eq!(validation.indices(), again.indices());
    }

    #[test]
    fn a_balanced_sample_has_equally_many_of_each_class(each in 1usize..20, more in 0usize..5, seed: u64) {
        let labels: Vec<usize> = (0..200).map(|sample| sample % 5).collect();
        let names = (0..5).map(|class| class.to_string()).collect();
        let dataset = Dataset::new(
            "even", Split::Test, [1, 1, 1], Pixels::Bytes(vec![0; 200]), labels, names,
        ).unwrap();
        let sample = dataset.balanced(5 * each + more, seed).unwrap();
        prop_assert!(strictly_ascending(sample.indices()));
        let expected: Vec<usize> = (0..5).map(|class| each + usize::from(class < more)).collect();
        prop_assert_eq!(sample.class_counts(), expected);
    }

    #[test]
    fn an_augmented_sample_does_not_depend_on_its_batch(
        seed: u64, epoch in 0u64..100, cut in 1usize..40, flip: bool, crop_padding in 0usize..5,
    ) {
        let dataset = small(40, 4, [2, 5, 6]);
        let augmentation = Augmentation { crop_padding, flip };
        let features = 2 * 5 * 6;
        let order = epoch_order(40, seed, epoch);
        let whole = dataset.augmented_batch(&order, &augmentation, seed, epoch).unwrap();
        let images = whole.images.host();
        // In batches of another size, from a subset, and alone.
        let subset = dataset.range(cut - 1..40).unwrap();
        for (chunk, at) in order.chunks(cut).zip((0..).step_by(cut)) {
            let part = dataset.augmented_batch(chunk, &augmentation, seed, epoch).unwrap();
            prop_assert_eq!(&part.images.host()[..], &images[at * features..][..part.images.len()]);
            prop_assert_eq!(&part.labels[..], &whole.labels[at..][..chunk.len()]);
        }
        for (at, &position) in order.iter().enumerate().filter(|(_, position)| **position >= cut - 1) {
            let alone = subset.augmented_batch(&[position - (cut - 1)], &augmentation, seed, epoch).unwrap();
            prop_assert_eq!(&alone.images.host()[..], &images[at * features..][..features]);
            prop_assert_eq!(alone.indices, vec![position]);
        }
    }
}

#[test]
fn threads_do_not_change_an_augmented_batch() {
    let dataset = small(300, 10, [3, 32, 32]);
    let positions = epoch_order(300, 1, 0);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            dataset.augmented_batch(&positions, &Augmentation::default(), 1, 0).unwrap()
        })
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn an_augmented_image_is_the_drawn_crop_of_the_padded_one() {
    let dataset = small(20, 4, [2, 5, 6]);
    let augmentation = Augmentation { crop_padding: 3, flip: true };
    for position in 0..20 {
        let batch = dataset.augmented_batch(&[position], &augmentation, 5, 6).unwrap();
        let place = augmentation.placement(5, 6, position);
        for (at, &found) in batch.images.host().iter().enumerate() {
            let (channel, row, column) = (at / 30, at / 6 % 5, at % 6);
            let column = if place.flip { 5 - column } else { column };
            let (row, column) = (row + place.row, column + place.column);
            let inside = (3..8).contains(&row) && (3..9).contains(&column);
            let source = || byte(position, channel * 30 + (row - 3) * 6 + column - 3);
            let expected = if inside { f32::from(source()) / 255.0 } else { 0.0 };
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn no_augmentation_is_the_plain_batch() {
    let dataset = small(9, 4, [3, 8, 8]);
    let positions = [4, 0, 8];
    let plain = dataset.batch(&positions).unwrap();
    assert_eq!(dataset.augmented_batch(&positions, &Augmentation::NONE, 3, 4).unwrap(), plain);
}

#[test]
fn seeds_and_epochs_differ() {
    assert_ne!(epoch_order(50, 1, 0), epoch_order(50, 1, 1));
    assert_ne!(epoch_order(50, 1, 0), epoch_order(50, 2, 0));
    let dataset = small(100, 4, [1, 1, 1]);
    let validation = |seed| {
        let size = ValidationSize::Fraction(0.2);
        dataset.split_validation(size, seed).unwrap().1.indices().to_vec()
    };
    assert_eq!(validation(1).len(), 20);
    assert_ne!(validation(1), validation(2));
}

#[test]
fn subsets_keep_their_place_in_the_split_as_stored() {
    let dataset = small(30, 4, [1, 2, 2]);
    let part = dataset.range(10..20).unwrap().select(&[9, 0]).unwrap();
    assert_eq!(part.indices(), [19, 10]);
    assert_eq!(part.batch(&[0]).unwrap().images, dataset.batch(&[19]).unwrap().images);
    assert_eq!(dataset.limit(3).unwrap().indices(), [0, 1, 2]);
    assert_eq!(dataset.limit(99).unwrap().len(), 30);
}

#[test]
fn mean_and_deviation_of_bytes_and_floats_agree_with_plain_sums() {
    let dataset = small(11, 4, [2, 3, 5]);
    let batch = dataset.batch(&(0..11).collect::<Vec<_>>()).unwrap();
    let floats = Dataset::new(
        "floats",
        Split::Train,
        [2, 3, 5],
        Pixels::Floats(batch.images.host().to_vec()),
        dataset.labels().to_vec(),
        dataset.class_names().to_vec(),
    )
    .unwrap();
    let subset = [3, 3, 7];
    let (byte_mean, byte_std) = dataset.select(&subset).unwrap().mean_std();
    let (float_mean, float_std) = floats.select(&subset).unwrap().mean_std();
    for channel in 0..2 {
        let values: Vec<f64> = subset
            .iter()
            .flat_map(|&sample| {
                (0..15).map(move |at| f64::from(byte(sample, channel * 15 + at)) / 255.0)
            })
            .collect();
        let mean = values.iter().sum::<f64>() / 45.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 45.0;
        for (found, expected) in [
            (byte_mean[channel], mean),
            (float_mean[channel], mean),
            (byte_std[channel], variance.sqrt()),
            (float_std[channel], variance.sqrt()),
        ] {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
    }
}

#[test]
fn arguments_outside_their_range_are_refused() {
    let dataset = small(30, 4, [1, 2, 2]);
    let message = |result: cure_data::Result<Dataset>| result.unwrap_err().to_string();
    assert_eq!(message(dataset.limit(0)), "limit is 0, accepted is 1 or more");
    assert!(message(dataset.range(5..5)).contains("5..5"));
    assert!(message(dataset.range(5..31)).contains("a non-empty part of 0..30"));
    assert!(message(dataset.balanced(0, 1)).contains("is 0"));
    // Squares modulo 4 are 0 or 1, so that two classes are empty.
    let short = message(dataset.balanced(4, 1));
    assert!(short.contains("class `class 2` has 0 samples"), "{short}");
    for size in [
        ValidationSize::Count(0),
        ValidationSize::Count(30),
        ValidationSize::Fraction(0.0),
        ValidationSize::Fraction(1.0),
        ValidationSize::Fraction(f64::NAN),
        ValidationSize::Fraction(0.001),
    ] {
        let refused = dataset.split_validation(size, 1).map(|(train, _)| train);
        assert!(message(refused).contains("a count from 1 to 29"), "{size:?}");
    }
    assert!(dataset.batch(&[30]).unwrap_err().to_string().contains("is 30, accepted is 0 to 29"));
    assert!(dataset.batch(&[]).unwrap_err().to_string().contains("no sample"));
    let wide = Augmentation { crop_padding: 3, flip: true };
    let error = dataset.augmented_batch(&[0], &wide, 1, 1).unwrap_err().to_string();
    assert!(error.contains("crop padding is 3, accepted is 0 to 2"), "{error}");
    assert_eq!("0.1".parse::<ValidationSize>().unwrap(), ValidationSize::Fraction(0.1));
    assert_eq!("5000".parse::<ValidationSize>().unwrap(), ValidationSize::Count(5000));
    assert!("some".parse::<ValidationSize>().is_err());
}

#[test]
fn the_test_split_is_never_chosen_by() {
    let test = "digits".parse::<cure_data::DataSpec>().unwrap().load(Split::Test).unwrap();
    let error = test.split_validation(ValidationSize::Count(5), 1).unwrap_err().to_string();
    assert!(error.contains("a test split is never used to choose"), "{error}");
}

#[test]
fn datasets_from_memory_are_checked() {
    let new = |pixels, labels: Vec<usize>| {
        let names = vec!["a".to_owned(), "b".to_owned()];
        Dataset::new("mine", Split::Train, [1, 1, 2], pixels, labels, names)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(new(Pixels::Bytes(vec![0; 4]), vec![0, 1]), Ok(()));
    assert!(
        new(Pixels::Bytes(vec![0; 3]), vec![0, 1]).unwrap_err().contains("3 pixels for 2 labels")
    );
    assert!(new(Pixels::Bytes(vec![]), vec![]).unwrap_err().contains("holds no sample"));
    assert!(new(Pixels::Bytes(vec![0; 4]), vec![0, 2]).unwrap_err().contains("record 1"));
    assert!(new(Pixels::Floats(vec![0.0, 2.0]), vec![0]).unwrap_err().contains("0 to 2"));
}
