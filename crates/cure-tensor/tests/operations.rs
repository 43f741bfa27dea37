//! Every operation but the convolutions (which have tests of their own) against plain loops, and
//! every transpose against its operation: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩.
#![allow(clippy::unwrap_used, missing_docs)]

use cure_tensor::ops::ChannelSum;
use cure_tensor::{Numbers, Tensor, ops};
use proptest::prelude::*;

/// Small integers: sums and products of them are exact in `f32`.
fn integers(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    let values = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            ((state >> 40) % 9) as f32 - 4.0
        })
        .collect();
    Tensor::new(shape, values).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.host().iter().zip(b.host().iter()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The value at an index of a four-dimensional tensor.
fn at(x: &Tensor, [a, b, c, d]: [usize; 4]) -> f32 {
    let shape = x.shape();
    x.host()[((a * shape[1] + b) * shape[2] + c) * shape[3] + d]
}

/// Every index of a four-dimensional shape.
fn indices(shape: [usize; 4]) -> impl Iterator<Item = [usize; 4]> {
    let [_, b, c, d] = shape;
    (0..shape.iter().product()).map(move |i| [i / (b * c * d), i / (c * d) % b, i / d % c, i % d])
}

fn shapes() -> impl Strategy<Value = [usize; 4]> {
    // The last one is long enough to be cut into pieces for several threads.
    prop_oneof![
        6 => [1usize..6, 1usize..6, 1usize..10, 1usize..10],
        1 => Just([3, 7, 61, 53]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn layouts(shape in shapes(), seed: u64) {
        let x = integers(&shape, seed);
        let [n, c, h, w] = shape;
        let swapped = ops::channel_major(&x).unwrap();
        prop_assert_eq!(swapped.shape(), [c, n, h, w]);
        for [i, j, k, l] in indices(shape) {
            prop_assert_eq!(at(&swapped, [j, i, k, l]), at(&x, [i, j, k, l]));
        }
        prop_assert_eq!(&ops::sample_major(&swapped).unwrap(), &x);

        let flat = ops::flatten(&swapped).unwrap();
        prop_assert_eq!(flat.shape(), [c * h * w, n, 1, 1]);
        for [j, i, k, l] in indices([c, n, h, w]) {
            prop_assert_eq!(at(&flat, [(j * h + k) * w + l, i, 0, 0]), at(&swapped, [j, i, k, l]));
        }
        prop_assert_eq!(&ops::unflatten(&flat, c, h, w).unwrap(), &swapped);

        let rows: Vec<usize> = (0..2 * n).map(|i| (i * 7 + 3) % n).collect();
        let selected = ops::select(&x, &rows).unwrap();
        for [i, j, k, l] in indices([rows.len(), c, h, w]) {
            prop_assert_eq!(at(&selected, [i, j, k, l]), at(&x, [rows[i], j, k, l]));
        }
        // Every other row, from the end, and the rest as it was.
        let places: Vec<usize> = (0..n).rev().step_by(2).collect();
        let others = ops::select(&selected, &(0..places.len()).collect::<Vec<_>>()).unwrap();
        let replaced = ops::replace_rows(x.clone(), &places, &others).unwrap();
        for [i, j, k, l] in indices(shape) {
            let from = places.iter().position(|&place| place == i);
            let expected = from.map_or(at(&x, [i, j, k, l]), |row| at(&others, [row, j, k, l]));
            prop_assert_eq!(at(&replaced, [i, j, k, l]), expected);
        }
        let joined = ops::concatenate(&[&x, &selected]).unwrap();
        let first: Vec<usize> = (0..n).collect();
        let rest: Vec<usize> = (n..3 * n).collect();
        prop_assert_eq!(&ops::select(&joined, &first).unwrap(), &x);
        prop_assert_eq!(&ops::select(&joined, &rest).unwrap(), &selected);
    }

    #[test]
    fn element_by_element(shape in shapes(), seed: u64) {
        let (x, y) = (integers(&shape, seed), integers(&shape, seed ^ 1));
        let pairs = || x.host().into_owned().into_iter().zip(y.host().into_owned());
        let check = |found: Tensor, f: &dyn Fn(f32, f32) -> f32| {
            let expected: Vec<f32> = pairs().map(|(a, b)| f(a, b)).collect();
            assert_eq!(found.into_vec(), expected);
        };
        check(ops::add(x.clone(), &y).unwrap(), &|a, b| a + b);
        check(ops::subtract(&x, &y).unwrap(), &|a, b| a - b);
        check(ops::axpy(3.0, &x, y.clone()).unwrap(), &|a, b| 3.0 * a + b);
        check(ops::scale(-2.0, x.clone()), &|a, _| -2.0 * a);
        check(ops::map(x.clone(), |a| a * a), &|a, _| a * a);
        check(ops::zip_map(&x, &y, |a, b| a * b).unwrap(), &|a, b| a * b);
        let relu = ops::Activation::Relu;
        check(ops::activate(relu, x.clone()), &|a, _| a.max(0.0));
        check(ops::activation_pullback(relu, &x, y.clone()).unwrap(), &|a, b| {
            if a > 0.0 { b } else { 0.0 }
        });
        let (tangent, lambda) = (integers(&shape, seed ^ 2), integers(&shape, seed ^ 3));
        let soft = ops::Activation::Softplus { beta: 2.0 };
        let found = ops::activation_second_order(soft, &x, &tangent, &lambda, y.clone()).unwrap();
        for (i, &found) in found.host().iter().enumerate() {
            let a = x.host()[i];
            let expected = soft.derivative(a) * y.host()[i]
                + soft.second_derivative(a) * tangent.host()[i] * lambda.host()[i];
            prop_assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn pooling_and_its_transposes(
        shape in shapes(), kh in 1usize..4, kw in 1usize..4, stride in 1usize..4,
        more in 0usize..5, seed: u64,
    ) {
        let [c, n, h, w] = shape;
        let x = integers(&shape, seed);
        if kh <= h && kw <= w {
            let pooled = ops::average_pool(&x, [kh, kw]).unwrap();
            for [i, j, k, l] in indices([c, n, h / kh, w / kw]) {
                let mut sum = 0.0;
                for y in 0..kh {
                    for z in 0..kw {
                        sum += at(&x, [i, j, k * kh + y, l * kw + z]);
                    }
                }
                prop_assert!((at(&pooled, [i, j, k, l]) - sum / (kh * kw) as f32).abs() < 1e-5);
            }
            let g = integers(pooled.shape(), seed ^ 1);
            let back = ops::average_pool_transpose(&g, [kh, kw], h, w).unwrap();
            prop_assert!((dot(&pooled, &g) - dot(&x, &back)).abs() < 1e-2);
        }
        let mean = ops::global_average(&x).unwrap();
        prop_assert_eq!(mean.shape(), [c, n, 1, 1]);
        let g = integers(mean.shape(), seed ^ 2);
        let back = ops::global_average_transpose(&g, h, w).unwrap();
        prop_assert!((dot(&mean, &g) - dot(&x, &back)).abs() < 1e-2);

        let channels = c + more;
        let sampled = ops::subsample(&x, stride, channels).unwrap();
        let before = more / 2;
        for [i, j, k, l] in indices([channels, n, h.div_ceil(stride), w.div_ceil(stride)]) {
            let expected = if i < before || i >= before + c {
                0.0
            } else {
                at(&x, [i - before, j, k * stride, l * stride])
            };
            prop_assert_eq!(at(&sampled, [i, j, k, l]), expected);
        }
        let g = integers(sampled.shape(), seed ^ 3);
        let back = ops::subsample_transpose(&g, stride, c, h, w).unwrap();
        prop_assert_eq!(dot(&sampled, &g), dot(&x, &back));
    }

    #[test]
    fn channels(shape in shapes(), seed: u64) {
        let [c, ..] = shape;
        let (x, y, z) =
            (integers(&shape, seed), integers(&shape, seed ^ 1), integers(&shape, seed ^ 2));
        let length = x.len() / c;
        let row = |t: &Tensor, channel: usize| t.host()[channel * length..][..length].to_vec();
        let (mean, variance) = ops::channel_moments(&x).unwrap();
        let (mean, variance) = (mean.to_vec(), variance.to_vec());
        let centre: Vec<f32> = (0..c).map(|i| i as f32 - 1.0).collect();
        let centres = Numbers::new(centre.iter().map(|&value| value.into()).collect());
        let product = ChannelSum::of(&x).about(&centres).times(&y);
        let [sums, products] = ops::channel_sums([ChannelSum::of(&x), product]).unwrap();
        let [alone] = ops::channel_sums([product]).unwrap();
        prop_assert_eq!(products.to_vec(), alone.to_vec());
        let (sums, products) = (sums.to_vec(), products.to_vec());
        let factors = [centre.clone(), vec![2.0; c], vec![-1.0; c]];
        let [two, down] = [2.0, -1.0].map(|value| Numbers::full(c, value));
        let terms = [(&x, &centres), (&y, &two), (&z, &down)];
        for count in 1..=3 {
            let found = ops::channel_combination(&terms[..count], Some(&centres)).unwrap();
            for (i, &found) in found.host().iter().enumerate() {
                let channel = i / length;
                let expected: f32 = terms[..count]
                    .iter()
                    .zip(&factors)
                    .map(|((tensor, _), factors)| tensor.host()[i] * factors[channel])
                    .sum::<f32>()
                    + centre[channel];
                prop_assert_eq!(found, expected);
            }
        }
        let scaled = ops::channel_combination(&terms[..1], None).unwrap();
        for (i, &found) in scaled.host().iter().enumerate() {
            prop_assert_eq!(found, x.host()[i] * centre[i / length]);
        }
        for channel in 0..c {
            let (a, b) = (row(&x, channel), row(&y, channel));
            let sum: f64 = a.iter().map(|&v| f64::from(v)).sum();
            let expected_mean = sum / length as f64;
            let squares: f64 = a.iter().map(|&v| (f64::from(v) - expected_mean).powi(2)).sum();
            prop_assert_eq!(sums[channel], sum);
            prop_assert!((mean[channel] - expected_mean).abs() < 1e-9);
            prop_assert!((variance[channel] - squares / length as f64).abs() < 1e-4);
            let product: f64 =
                a.iter().zip(&b).map(|(&a, &b)| f64::from((a - centre[channel]) * b)).sum();
            prop_assert_eq!(products[channel], product);
        }
    }

    #[test]
    fn samples(shape in shapes(), seed: u64) {
        let [n, ..] = shape;
        let (x, y) = (integers(&shape, seed), integers(&shape, seed ^ 1));
        let length = x.len() / n;
        let factors: Vec<f32> = (0..n).map(|i| 1.0 + i as f32).collect();
        let scaled = ops::scale_samples(&x, &factors).unwrap();
        let moved = ops::perturb(&x, &y, &factors).unwrap();
        let unit = ops::normalised(&x).unwrap();
        let sign = ops::direction_of_sign(&x).unwrap();
        let (l1, l2) = (ops::sample_l1(&x).unwrap(), ops::sample_l2(&x).unwrap());
        let (linf, dots) = (ops::sample_linf(&x).unwrap(), ops::sample_dot(&x, &y).unwrap());
        for sample in 0..n {
            let of = |t: &Tensor| t.host()[sample * length..][..length].to_vec();
            let (a, b, scaled, moved) = (of(&x), of(&y), of(&scaled), of(&moved));
            let (unit, sign) = (of(&unit), of(&sign));
            let norm = a.iter().map(|&v| f64::from(v * v)).sum::<f64>().sqrt();
            prop_assert_eq!(l1[sample], a.iter().map(|&v| f64::from(v.abs())).sum::<f64>());
            prop_assert!((l2[sample] - norm).abs() < 1e-9 * norm.max(1.0));
            let most = a.iter().fold(0.0, |m: f64, &v| m.max(f64::from(v.abs())));
            prop_assert_eq!(linf[sample], most);
            let product: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a * b)).sum();
            prop_assert_eq!(dots[sample], product);
            let nonzero = a.iter().filter(|&&v| v != 0.0).count();
            for (i, &value) in a.iter().enumerate() {
                prop_assert_eq!(scaled[i], factors[sample] * value);
                prop_assert_eq!(moved[i], value + factors[sample] * b[i]);
                let expected = if norm > 0.0 { f64::from(value) / norm } else { 0.0 };
                prop_assert!((f64::from(unit[i]) - expected).abs() < 1e-6);
                let expected = if value == 0.0 {
                    0.0
                } else {
                    f64::from(value.signum()) / (nonzero as f64).sqrt()
                };
                prop_assert!((f64::from(sign[i]) - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn softmax_and_its_derivatives(n in 1usize..5, k in 2usize..7, seed: u64) {
        let logits = integers(&[n, k], seed);
        let labels: Vec<usize> = (0..n).map(|i| (i + seed as usize % 5) % k).collect();
        let found = ops::cross_entropy(&logits, &labels).unwrap();
        let v = integers(&[n, k], seed ^ 1);
        let covariance = ops::softmax_covariance(&found.probabilities, &v).unwrap();
        prop_assert_eq!(&ops::softmax(&logits).unwrap(), &found.probabilities);
        for sample in 0..n {
            let row: Vec<f64> =
                logits.host()[sample * k..][..k].iter().map(|&o| f64::from(o)).collect();
            let total: f64 = row.iter().map(|o| o.exp()).sum();
            let p: Vec<f64> = row.iter().map(|o| o.exp() / total).collect();
            prop_assert!((found.losses.to_vec()[sample] + p[labels[sample]].ln()).abs() < 1e-9);
            let host = v.host();
            let v = &host[sample * k..][..k];
            let mean: f64 = p.iter().zip(v).map(|(p, &v)| p * f64::from(v)).sum();
            for class in 0..k {
                let target = f64::from(u8::from(class == labels[sample]));
                let residual = f64::from(found.residual.host()[sample * k + class]);
                prop_assert!((residual - (p[class] - target)).abs() < 1e-6);
                let expected = p[class] * (f64::from(v[class]) - mean);
                let product = f64::from(covariance.host()[sample * k + class]);
                prop_assert!((product - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn what_is_kept_from_step_to_step(shape in shapes(), seed: u64) {
        let (a, b) = (integers(&shape, seed), integers(&shape, seed ^ 1));
        let moved = ops::towards(&a, &b, 0.25).unwrap();
        let mean = ops::running_mean(&a, &b, 0.9, 0.125).unwrap();
        let square = ops::running_square(&a, &b, 0.75, 0.5).unwrap();
        let positive = ops::running_square(&a, &a, 0.0, 1.0).unwrap();
        let step = ops::over_root(&b, &positive, [2.0, 0.5, 0.25]).unwrap();
        let cut = ops::clamp(a.clone(), -1.5, 1.0);
        for (i, (&a, &b)) in a.host().iter().zip(b.host().iter()).enumerate() {
            let (x, y) = (f64::from(a), f64::from(b));
            for (found, expected) in [
                (&moved, 0.75 * x + 0.25 * y),
                (&mean, 0.9 * x + 0.125 * y),
                (&square, 0.75 * x + 0.5 * y * y),
                (&step, 2.0 * y / (0.5 * x.abs() + 0.25)),
                (&cut, x.clamp(-1.5, 1.0)),
            ] {
                let found = f64::from(found.host()[i]);
                prop_assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{found} {expected}");
            }
        }
        let other = Tensor::zeros(&[1]);
        if shape != [1; 4] {
            prop_assert!(ops::towards(&a, &other, 0.5).is_err());
            prop_assert!(ops::over_root(&a, &other, [1.0; 3]).is_err());
        }
    }
}

#[test]
fn refusals_name_the_shapes() {
    let (a, b) = (Tensor::zeros(&[2, 3]), Tensor::zeros(&[3, 2]));
    let three = Numbers::full(3, 0.0);
    for error in [
        ops::add(a.clone(), &b).unwrap_err(),
        ops::sample_dot(&a, &b).unwrap_err(),
        ops::channel_sums([ChannelSum::of(&a).times(&b)]).unwrap_err(),
        ops::channel_sums([ChannelSum::of(&a).about(&three)]).unwrap_err(),
        ops::channel_combination(&[(&a, &three)], None).unwrap_err(),
        ops::channel_combination(&[(&a, &Numbers::full(2, 0.0))], Some(&three)).unwrap_err(),
        ops::softmax_covariance(&a, &b).unwrap_err(),
        ops::concatenate(&[&a, &b]).unwrap_err(),
        ops::replace_rows(a.clone(), &[0, 1, 1], &b).unwrap_err(),
        ops::replace_rows(a.clone(), &[0], &a).unwrap_err(),
        ops::scale_samples(&a, &[1.0]).unwrap_err(),
        ops::flatten(&a).unwrap_err(),
    ] {
        assert!(error.to_string().contains("expected shape"), "{error}");
    }
    let error = ops::select(&a, &[0, 2]).unwrap_err().to_string();
    assert!(error.contains("position is 2") && error.contains("0..2"), "{error}");
    let error = ops::replace_rows(a.clone(), &[0, 2], &a).unwrap_err().to_string();
    assert!(error.contains("position is 2") && error.contains("0..2"), "{error}");
    let error = ops::cross_entropy(&a, &[0, 3]).unwrap_err().to_string();
    assert!(error.contains("label is 3") && error.contains("0..3"), "{error}");
    assert!(Tensor::new(&[2, 2], vec![0.0; 3]).unwrap_err().to_string().contains("3 values"));
}

/// A NaN must not be turned into a number on the way: a network gone wrong has to show it.
#[test]
fn not_a_number_stays_one() {
    let x = Tensor::new(&[1, 3], vec![1.0, f32::NAN, -1.0]).unwrap();
    assert!(!ops::activate(ops::Activation::Relu, x.clone()).is_finite());
    assert!(!ops::softmax(&x).unwrap().is_finite());
    assert!(ops::cross_entropy(&x, &[0]).unwrap().losses.to_vec()[0].is_nan());
    assert!(ops::sample_linf(&x).unwrap()[0].is_nan());
}
