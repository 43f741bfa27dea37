//! What steps of training are made of besides the operations of networks: steps up a loss, batch normalisation
//! by an engine's own kernels, numbers of many tensors at once.
#![allow(clippy::unwrap_used, missing_docs)]

use cure_tensor::ops::ChannelSum;
use cure_tensor::{Numbers, Tensor, ops};
use proptest::prelude::*;

/// Numbers without structure in [low, high].
fn noise(shape: &[usize], seed: u64, low: f64, high: f64) -> Tensor {
    let start = (seed as f64 * 0.754_877_666_246_692_7).fract();
    let value = |i: usize| {
        let share = (start + i as f64 * 0.618_033_988_749_894_9).fract();
        (low + (high - low) * share) as f32
    };
    Tensor::new(shape, (0..shape.iter().product()).map(value).collect()).unwrap()
}

proptest! {
    #[test]
    fn a_step_along_signs_ends_in_ball_and_box(
        seed in 0u64..1 << 40,
        step in prop_oneof![1e-7f64..1e-3, 1e-3..2.0],
        limit in prop_oneof![1e-7f64..1e-3, 1e-3..2.0, Just(f64::MAX)],
    ) {
        let shape = [3, 2, 4, 5];
        let centres = noise(&shape, seed, 0.0, 1.0);
        let points = noise(&shape, seed ^ 5, 0.0, 1.0);
        // Some are zero, some not a number.
        let signs = ops::map(noise(&shape, seed ^ 9, -2.0, 2.0), |value| {
            if value.abs() < 0.5 { 0.0 } else if value > 1.9 { f32::NAN } else { value }
        });
        let found = ops::sign_step(&points, &centres, &signs, step, limit).unwrap();
        let places = found.host().to_vec().into_iter().enumerate();
        for (i, value) in places {
            let [centre, from] = [&centres, &points].map(|x| f64::from(x.host()[i]));
            let sign = signs.host()[i];
            let up = if sign > 0.0 { step } else if sign < 0.0 { -step } else { 0.0 };
            let exact = (centre + (from + up - centre).clamp(-limit, limit)).clamp(0.0, 1.0);
            prop_assert!((0.0..=1.0).contains(&value));
            prop_assert!((f64::from(value) - centre).abs() <= limit, "{value} {centre} {limit}");
            prop_assert!((f64::from(value) - exact).abs() <= 2e-7, "{value} {exact}");
        }
        prop_assert!(ops::sign_step(&points, &noise(&[1], 0, 0.0, 1.0), &signs, step, limit).is_err());
    }
}

fn close(found: &[f64], expected: &[f64], scale: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * scale, "{found} {expected}");
    }
}

fn values(x: &Tensor) -> Vec<f64> {
    x.host().iter().map(|&value| f64::from(value)).collect()
}

/// Against sums and combinations of channels: one image, planes of one pixel, a mean that is large beside the
/// deviation and a channel that does not vary.
#[test]
fn batch_normalisation_by_the_engine_is_that_by_sums() {
    for (case, shape) in
        [[3, 4, 5, 6], [2, 1, 3, 3], [5, 7, 1, 1], [16, 8, 8, 8]].into_iter().enumerate()
    {
        for (spread, offset) in [(1.0, 0.3), (0.1, 20.0), (0.0, 2.0)] {
            let seed = case as u64;
            let x = noise(&shape, seed, offset - spread, offset + spread);
            let a = noise(&shape, seed + 7, -1.0, 1.0);
            let channels = shape[0];
            let scale = Numbers::new((0..channels).map(|c| 0.5 + c as f64 / 4.0).collect());
            let shift = Numbers::new((0..channels).map(|c| 1.0 - c as f64).collect());
            let epsilon = 1e-5;
            let found = ops::batch_norm(&x, &scale, &shift, epsilon).unwrap();
            let (mean, variance) = ops::channel_moments(&x).unwrap();
            let inverse = variance.inverse_root(epsilon);
            let sums = ops::batch_norm_sums(&a, &x, [&mean, &inverse]).unwrap();
            let pulled = ops::batch_norm_pullback(&a, &x, &scale, [&mean, &inverse]).unwrap();
            let (Some((value, found_mean, found_variance)), Some(sums), Some(pulled)) =
                (found, sums, pulled)
            else {
                return eprintln!("skipped: this engine sums");
            };
            close(&found_mean.to_vec(), &mean.to_vec(), 1.0 + offset);
            close(&found_variance.to_vec(), &variance.to_vec(), 1.0);
            let slope = &scale * &inverse;
            let constant = &shift - &slope * &mean;
            let expected = ops::channel_combination(&[(&x, &slope)], Some(&constant)).unwrap();
            // Either rounds x − m in single precision, and then stretches it by 1/σ.
            let stretch = 1.0 + offset * inverse.to_vec()[0] * 0.05;
            close(&values(&value), &values(&expected), 10.0 * stretch);

            let count = (x.len() / channels) as f64;
            let [plain, with] =
                ops::channel_sums([ChannelSum::of(&a), ChannelSum::of(&x).about(&mean).times(&a)])
                    .unwrap();
            let with = with * &inverse;
            close(&sums[0].to_vec(), &plain.to_vec(), count);
            close(&sums[1].to_vec(), &with.to_vec(), count * stretch);
            let of_x = -(&slope * &with * &inverse) * (1.0 / count);
            let constant = -(&slope * plain) * (1.0 / count) - &of_x * &mean;
            let expected =
                ops::channel_combination(&[(&a, &slope), (&x, &of_x)], Some(&constant)).unwrap();
            let size = slope.to_vec().into_iter().fold(1.0, f64::max);
            close(&values(&pulled), &values(&expected), size * stretch);
        }
    }
}

#[test]
fn numbers_of_many_tensors() {
    let (a, b) = (noise(&[3, 4], 1, -1.0, 1.0), noise(&[7], 2, -3.0, 1.0));
    let norm = |x: &Tensor| values(x).iter().map(|value| value * value).sum::<f64>().sqrt();
    close(&ops::norms(&[&a, &b]), &[norm(&a), norm(&b)], 1.0);
    assert_eq!(ops::norms(&[]), [0.0; 0]);
    assert!(ops::are_finite(&[&a, &b]) && ops::are_finite(&[]));
    for wrong in [f32::NAN, f32::INFINITY] {
        let odd = Tensor::new(&[2], vec![1.0, wrong]).unwrap();
        assert!(!ops::are_finite(&[&a, &odd]));
    }
}
