#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::Tensor;
use crate::ops::Activation;

/// Small integers: sums of products of them are exact in `f32`, so that every order of
/// additions must agree to the bit with the plain loops.
fn integers(shape: &[usize], seed: u32) -> Tensor {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let len = shape.iter().product();
    let values = (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 24) % 7) as f32 - 3.0
        })
        .collect();
    Tensor::new(shape, values).unwrap()
}

/// The definition: every output, input and weight index in seven plain loops. Calls
/// `visit(output, input, weight)` with flat indices for each product of the convolution.
fn plain(
    input: [usize; 4],
    weight: [usize; 4],
    window: Window,
    mut visit: impl FnMut(usize, usize, usize),
) -> [usize; 4] {
    let [_, n, h, w] = input;
    let [co, inner, kh, kw] = weight;
    let Window { stride, padding, groups } = window;
    let (oh, ow) = ((h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1);
    for o in 0..co {
        for s in 0..n {
            for y in 0..oh {
                for x in 0..ow {
                    for i in 0..inner {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (iy, ix) = (y * stride + ky, x * stride + kx);
                                if iy < padding || ix < padding {
                                    continue;
                                }
                                let (iy, ix) = (iy - padding, ix - padding);
                                if iy >= h || ix >= w {
                                    continue;
                                }
                                let channel = o / (co / groups) * inner + i;
                                visit(
                                    ((o * n + s) * oh + y) * ow + x,
                                    ((channel * n + s) * h + iy) * w + ix,
                                    ((o * inner + i) * kh + ky) * kw + kx,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
    [co, n, oh, ow]
}

/// Equal to the bit on the path of plain sums; within rounding on that of transformed tiles, for
/// values of about one and sums of up to 2560 products of them.
fn assert_equal(transformed: bool, found: &[f32], expected: &[f32]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    let tolerance = if transformed { 2e-3 } else { 0.0 };
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= tolerance;
        prop_assert!(near, "at {}: {} instead of {}", index, found, expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]
    #[test]
    fn equals_the_plain_loops(
        (groups, inner, outer) in prop_oneof![
            (Just(1usize), 1usize..80, 1usize..40), (2usize..4, 1usize..5, 1usize..5)
        ],
        batch in 1usize..6,
        (h, w) in prop_oneof![
            (1usize..12, 1usize..12), Just((4, 4)), Just((8, 8)), Just((16, 16)), Just((3, 32)), Just((4, 32)),
            Just((8, 32)), Just((16, 32)),
            (1usize..5, 8usize..40)
        ],
        (kh, kw) in prop_oneof![
            Just((1usize, 1usize)), Just((3, 3)), Just((3, 3)), (1usize..6, 1usize..6)
        ],
        stride in prop_oneof![Just(1usize), Just(2), 1usize..4],
        padding in prop_oneof![Just(1usize), 0usize..3],
        seed: u32,
    ) {
        // A weight's gradient sums over batch and plane: no more terms than the tolerance is meant for.
        let batch = batch.min((1280 / (h * w)).max(1));
        let (input, weight) =
            ([groups * inner, batch, h, w], [groups * outer, inner, kh, kw]);
        let window = Window { stride, padding, groups };
        prop_assume!(kh <= h + 2 * padding && kw <= w + 2 * padding);
        let (x, k) = (integers(&input, seed), integers(&weight, seed ^ 1));
        let kernel = Kernel::new(k.clone());
        let geometry = geometry::Geometry::new("test", &input, &weight, window).unwrap();
        let transformed = winograd::applies(&geometry);

        let mut expected = Vec::new();
        let shape = {
            let shape = plain(input, weight, window, |_, _, _| {});
            expected.resize(shape.iter().product(), 0.0);
            plain(input, weight, window, |o, i, t| expected[o] += x.cpu()[i] * k.cpu()[t])
        };
        let bias: Vec<f32> = (0..shape[0]).map(|channel| channel as f32 - 2.0).collect();
        let biases = Tensor::new(&shape[..1], bias.clone()).unwrap();
        let residual = integers(&shape, seed ^ 2);
        let out = convolution(&x, &kernel, window, Epilogue::default()).unwrap();
        prop_assert_eq!(out.shape(), shape);
        assert_equal(transformed, out.cpu(), &expected)?;
        let plan = direct::Plan::forward(&geometry);
        let packed = kernel.direct(&plan, &geometry);
        let sums = direct::correlate(&plan, x.cpu(), &packed, Epilogue::default());
        assert_equal(false, &sums, &expected)?;
        if winograd::fits(&geometry) {
            let packed = kernel.packed(&geometry);
            let tiles = winograd::correlate(x.cpu(), packed, &geometry, Epilogue::default());
            assert_equal(true, &tiles, &expected)?;
        }
        let epilogue = Epilogue {
            bias: Some(&biases), residual: Some(&residual), activation: Some(Activation::Relu),
            mask: None,
        };
        let fused = convolution(&x, &kernel, window, epilogue).unwrap();
        let plane = expected.len() / shape[0];
        let finished: Vec<f32> = expected.iter().zip(residual.cpu()).enumerate()
            .map(|(index, (value, other))| (value + other + bias[index / plane]).max(0.0))
            .collect();
        assert_equal(transformed, fused.cpu(), &finished)?;

        let g = integers(&shape, seed ^ 3);
        let mut expected = vec![0.0; x.len()];
        plain(input, weight, window, |o, i, t| expected[i] += g.cpu()[o] * k.cpu()[t]);
        let gradient =
            convolution_input_gradient(&g, &kernel, window, [h, w], Epilogue::default()).unwrap();
        assert_equal(transformed, gradient.cpu(), &expected)?;
        if winograd::fits(&geometry) {
            let packed = kernel.packed_mirrored(&geometry);
            let tiles = winograd::pull_back(g.cpu(), packed, &geometry, Epilogue::default());
            assert_equal(true, &tiles, &expected)?;
        }

        let (other, mask) = (integers(&input, seed ^ 6), integers(&input, seed ^ 7));
        let epilogue =
            Epilogue { residual: Some(&other), mask: Some(&mask), ..Epilogue::default() };
        let fused = convolution_input_gradient(&g, &kernel, window, [h, w], epilogue).unwrap();
        let finished: Vec<f32> = expected.iter().enumerate()
            .map(|(i, value)| if mask.cpu()[i] > 0.0 { value + other.cpu()[i] } else { 0.0 })
            .collect();
        assert_equal(transformed, fused.cpu(), &finished)?;

        let (x2, g2) = (integers(&input, seed ^ 4), integers(&shape, seed ^ 5));
        let pairs = [(&x, &g), (&x2, &g2)];
        let mut expected = vec![0.0; k.len()];
        plain(input, weight, window, |o, i, t| {
            expected[t] += g.cpu()[o] * x.cpu()[i] + g2.cpu()[o] * x2.cpu()[i];
        });
        let gradient = convolution_weight_gradient(&pairs, &weight, window).unwrap();
        assert_equal(transformed, gradient.cpu(), &expected)?;
        let sums = direct::weight_gradient(&pairs, &geometry);
        assert_equal(false, &sums, &expected)?;
        if winograd::fits(&geometry) {
            for planes_are_first in [true, false] {
                let gradient =
                    winograd::weight_gradient_in_a_way(&pairs, &geometry, planes_are_first);
                assert_equal(true, &gradient, &expected)?;
            }
        }
    }
}

/// Against sums in double precision: transformed tiles lose little more than plain sums in single
/// precision do, in every one of the three products.
#[test]
fn transformed_tiles_are_about_as_exact_as_plain_sums() {
    for stride in [1, 2] {
        exactness(stride);
    }
}

fn exactness(stride: usize) {
    let (input, weight) = ([64, 2, 16, 32], [24, 64, 3, 3]);
    let window = Window::new(stride, 1);
    let noise = |shape: &[usize], seed| {
        crate::ops::map(integers(shape, seed), |v| ((v + 0.1 * v * v) * 12.9898).sin())
    };
    let output = [24, 2, 16 / stride, 32 / stride];
    let (x, k, g) = (noise(&input, 1), noise(&weight, 2), noise(&output, 3));
    let mut exact = [vec![0.0f64; g.len()], vec![0.0; x.len()], vec![0.0; k.len()]];
    plain(input, weight, window, |o, i, t| {
        let [x, k, g] = [x.cpu()[i], k.cpu()[t], g.cpu()[o]].map(f64::from);
        exact[0][o] += x * k;
        exact[1][i] += g * k;
        exact[2][t] += g * x;
    });
    let geometry = geometry::Geometry::new("test", &input, &weight, window).unwrap();
    assert!(winograd::applies(&geometry));
    let kernel = Kernel::new(k);
    let found = [
        convolution(&x, &kernel, window, Epilogue::default()).unwrap(),
        convolution_input_gradient(&g, &kernel, window, [16, 32], Epilogue::default()).unwrap(),
        convolution_weight_gradient(&[(&x, &g)], &weight, window).unwrap(),
    ];
    for ((found, exact), what) in found.iter().zip(&exact).zip(["forward", "input", "weight"]) {
        let square = |value: f64| value * value;
        let error: f64 =
            found.cpu().iter().zip(exact).map(|(&f, &e)| square(f64::from(f) - e)).sum();
        let relative = (error / exact.iter().copied().map(square).sum::<f64>()).sqrt();
        assert!(relative < 2e-6, "stride {stride}, {what}: relative error {relative:.1e}");
    }
}

/// Several blocks of channels, not all of them whole: the two ways of transformed tiles and the plain sums, whose
/// own reference are the loops above, with one thread and with more. No images, no gradient.
#[test]
fn weight_gradients_of_many_channels() {
    let noise =
        |shape: &[usize], seed| crate::ops::map(integers(shape, seed), |v| (v * 0.37).sin());
    for (inner, outer, [h, w], stride) in [
        (200, 136, [8, 8], 1),
        (80, 130, [5, 9], 1),
        (136, 72, [4, 4], 1),
        (136, 200, [8, 8], 2),
        (80, 130, [9, 16], 2),
    ] {
        let (batch, weight) = (3, [outer, inner, 3, 3]);
        let [oh, ow] = [h, w].map(|length: usize| length.div_ceil(stride));
        let (x, g) = (noise(&[inner, batch, h, w], 1), noise(&[outer, batch, oh, ow], 2));
        let (x2, g2) = (noise(&[inner, batch, h, w], 3), noise(&[outer, batch, oh, ow], 4));
        let pairs = [(&x, &g), (&x2, &g2)];
        let window = Window::new(stride, 1);
        let geometry = geometry::Geometry::new("test", x.shape(), &weight, window).unwrap();
        let exact = direct::weight_gradient(&pairs, &geometry);
        let scale = (exact.iter().map(|v| v * v).sum::<f32>() / exact.len() as f32).sqrt();
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        type Gradient = fn(&[(&Tensor, &Tensor)], &geometry::Geometry) -> crate::buffer::Buffer;
        let gradients: [Gradient; 3] = [
            |pairs, geometry| winograd::weight_gradient_in_a_way(pairs, geometry, true),
            |pairs, geometry| winograd::weight_gradient_in_a_way(pairs, geometry, false),
            direct::weight_gradient,
        ];
        for gradient in gradients {
            let found = gradient(&pairs, &geometry);
            for (found, exact) in found.iter().zip(exact.iter()) {
                assert!((found - exact).abs() < 1e-5 * scale, "{found} instead of {exact}");
            }
            assert_eq!(&found[..], &one.install(|| gradient(&pairs, &geometry))[..]);
        }
    }
    for (inner, outer, stride) in [(64, 64, 1), (8, 704, 1), (8, 704, 2)] {
        let (x, g) =
            (Tensor::zeros(&[inner, 0, 8, 8]), Tensor::zeros(&[outer, 0, 8 / stride, 8 / stride]));
        let (weight, window) = ([outer, inner, 3, 3], Window::new(stride, 1));
        let gradient = convolution_weight_gradient(&[(&x, &g)], &weight, window).unwrap();
        assert!(gradient.cpu().iter().all(|&value| value == 0.0));
    }
}

/// Values with rounding: the same sample must give the same bits alone and in any batch, and
/// with any number of threads.
#[test]
fn bits_do_not_depend_on_the_batch_or_the_threads() {
    if crate::device().is_torch() {
        return; // Of the CPU's own operations alone.
    }
    for (channels, outer, size, stride) in [
        (3, 16, 32, 1),
        (16, 32, 32, 2),
        (64, 64, 8, 1),
        (20, 9, 16, 1),
        (512, 512, 4, 1),
        (256, 10, 1, 1),
    ] {
        let side = if size == 1 { 1 } else { 3 };
        let window = Window::new(stride, side / 2);
        let batch = 37;
        let noise =
            |shape: &[usize], seed| crate::ops::map(integers(shape, seed), |v| (v * 0.37).sin());
        let x = noise(&[batch, channels, size, size], 1);
        let kernel = Kernel::new(noise(&[outer, channels, side, side], 2));
        let run = |positions: &[usize]| {
            let x = crate::ops::channel_major(&crate::ops::select(&x, positions).unwrap()).unwrap();
            let y = convolution(&x, &kernel, window, Epilogue::default()).unwrap();
            let g =
                convolution_input_gradient(&y, &kernel, window, [size, size], Epilogue::default())
                    .unwrap();
            [y, g].map(|t| crate::ops::sample_major(&t).unwrap())
        };
        let everything: Vec<usize> = (0..batch).collect();
        let whole = run(&everything);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(whole, pool.install(|| run(&everything)), "threads, {channels} channels");
        for part in [&everything[..1], &everything[5..12], &everything[20..37]] {
            for (whole, part_result) in whole.iter().zip(run(part)) {
                let expected = crate::ops::select(whole, part).unwrap();
                assert_eq!(expected, part_result, "{channels} channels, samples {part:?}");
            }
        }
    }
}

/// Weights that are held in packed forms alone still serve any other window.
#[test]
fn a_kernel_serves_several_windows() {
    if crate::device().is_torch() {
        return; // Of the CPU's own operations alone.
    }
    let (x, k) = (integers(&[9, 2, 8, 8], 1), integers(&[11, 9, 3, 3], 2));
    let kernel = Kernel::new(k.clone());
    let window = Window::new(1, 1);
    let y = convolution(&x, &kernel, window, Epilogue::default()).unwrap();
    assert!(!kernel.is_packed());
    convolution_input_gradient(&y, &kernel, window, [8, 8], Epilogue::default()).unwrap();
    assert!(kernel.is_packed(), "there are three copies of the weights");
    let other = Window::new(3, 2);
    let found = convolution(&x, &kernel, other, Epilogue::default()).unwrap();
    let fresh = convolution(&x, &Kernel::new(k), other, Epilogue::default()).unwrap();
    assert_eq!(found, fresh);
}

#[test]
fn refuses_shapes_that_do_not_fit() {
    let x = Tensor::zeros(&[3, 2, 8, 8]);
    let kernel = Kernel::new(Tensor::zeros(&[4, 2, 3, 3]));
    let error = convolution(&x, &kernel, Window::new(1, 1), Epilogue::default()).unwrap_err();
    assert!(error.to_string().contains("[3, 2, 8, 8]"), "{error}");
    let kernel = Kernel::new(Tensor::zeros(&[4, 3, 3, 3]));
    assert!(convolution(&x, &kernel, Window::new(0, 1), Epilogue::default()).is_err());
    let g = Tensor::zeros(&[4, 2, 7, 7]);
    assert!(
        convolution_input_gradient(&g, &kernel, Window::new(1, 1), [8, 8], Epilogue::default())
            .is_err()
    );
    assert!(convolution_weight_gradient(&[], &[4, 3, 3, 3], Window::new(1, 1)).is_err());
}
