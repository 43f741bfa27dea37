//! Every kind of vector instructions gives the same bits: the lesser ones, with detection switched off, in
//! processes of their own.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::process::Command;

use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation, Epilogue, Kernel, Vectors, Window};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const NAME: &str = "CURE_TEST_VECTORS";

/// Values of about one, with rounding in every sum.
fn noise(shape: &[usize], seed: usize) -> Tensor {
    let len = shape.iter().product();
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32;
    Tensor::new(shape, (0..len).map(|i| (value(i) * 0.37).sin()).collect()).unwrap()
}

/// FNV-1a over the bits of some values.
fn digest(hash: &mut u64, values: &[f32]) {
    for byte in values.iter().flat_map(|value| value.to_bits().to_le_bytes()) {
        *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

type Case = ([usize; 5], [usize; 4]);

/// Numbers in and out of a group, batch, height and width; kernel side, stride, padding, groups.
fn cases() -> impl Strategy<Value = Case> {
    let plane = prop_oneof![
        (1usize..12, 1usize..12),
        Just((4, 4)),
        Just((8, 8)),
        Just((16, 16)),
        Just((5, 32)),
        Just((16, 32)),
        (1usize..6, 8usize..40)
    ];
    let kernel = prop_oneof![
        Just([3usize, 1, 1, 1]),
        Just([3, 2, 1, 1]),
        Just([1, 2, 0, 1]),
        (1usize..6, 1usize..4, 0usize..3, 1usize..3).prop_map(|(k, s, p, g)| [k, s, p, g])
    ];
    ((1usize..40, 1usize..40, 1usize..6), plane, kernel)
        .prop_map(|((inner, outer, batch), (h, w), kernel)| ([inner, outer, batch, h, w], kernel))
        .prop_filter("the kernel fits", |([_, _, _, h, w], [side, _, padding, _])| {
            *side <= h + 2 * padding && *side <= w + 2 * padding
        })
}

fn convolutions(([inner, outer, batch, h, w], [side, stride, padding, groups]): Case) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let x = noise(&[inner * groups, batch, h, w], 1);
    let weight = noise(&[outer * groups, inner, side, side], 2);
    let (kernel, window) = (Kernel::new(weight.clone()), Window { stride, padding, groups });
    let bias: Vec<f32> = (0..outer * groups).map(|c| c as f32 * 0.1 - 1.0).collect();
    let bias = Tensor::new(&[bias.len()], bias).unwrap();
    let plain = ops::convolution(&x, &kernel, window, Epilogue::default()).unwrap();
    let epilogue = Epilogue {
        bias: Some(&bias),
        residual: Some(&plain),
        activation: Some(Activation::Relu),
        mask: None,
    };
    let fused = ops::convolution(&x, &kernel, window, epilogue).unwrap();
    let g = noise(plain.shape(), 3);
    let epilogue = Epilogue { residual: Some(&x), mask: Some(&x), ..Epilogue::default() };
    let back = ops::convolution_input_gradient(&g, &kernel, window, [h, w], epilogue).unwrap();
    let pairs = [(&x, &g), (&x, &fused)];
    let gradient = ops::convolution_weight_gradient(&pairs, weight.shape(), window).unwrap();
    for tensor in [plain, fused, back, gradient] {
        digest(&mut hash, &tensor.host());
    }
    hash
}

fn others() -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let (x, y) = (noise(&[7, 5, 9, 11], 4), noise(&[7, 5, 9, 11], 5));
    let (mean, variance) = ops::channel_moments(&x).unwrap();
    let [sums] = ops::channel_sums([ops::ChannelSum::of(&x).about(&mean).times(&y)]).unwrap();
    let combined = ops::channel_combination(&[(&x, &mean), (&y, &mean)], Some(&mean)).unwrap();
    let lengths = ops::sample_l2(&x).unwrap();
    for values in [mean.to_vec(), variance.to_vec(), sums.to_vec(), lengths] {
        digest(&mut hash, &values.iter().map(|&value| value as f32).collect::<Vec<_>>());
    }
    for tensor in [
        combined,
        ops::axpy(0.3, &x, y.clone()).unwrap(),
        ops::activate(Activation::Softplus { beta: 2.0 }, x.clone()),
        ops::normalised(&x).unwrap(),
    ] {
        digest(&mut hash, &tensor.host());
    }
    hash
}

/// What another process computes with the vectors named in its environment.
#[test]
#[ignore = "run by `every_kind_of_vectors_gives_the_same_bits`, in a process of its own"]
fn digests_with_chosen_vectors() {
    let name = std::env::var(NAME).unwrap();
    let (_, vectors) = Vectors::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
    if let Err(error) = ops::use_vectors(vectors) {
        println!("\ndigest absent: {error}");
        return;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..150 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        println!("\ndigest {case:?} {:016x}", convolutions(case));
    }
    let many = ([136, 200, 2, 8, 8], [3, 1, 1, 1]);
    println!("digest {many:?} {:016x}", convolutions(many));
    println!("digest others {:016x}", others());
    assert!(ops::use_vectors(vectors).unwrap_err().to_string().contains("before the first"));
}

#[test]
fn every_kind_of_vectors_gives_the_same_bits() {
    let digests = |name: &str| -> Vec<String> {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "digests_with_chosen_vectors", "--nocapture"])
            .env(NAME, name)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {text}");
        text.lines().filter(|line| line.starts_with("digest")).map(str::to_owned).collect()
    };
    let widest = digests("widest");
    assert_eq!(widest.len(), 152);
    let mut compared = 0;
    for (name, _) in Vectors::ALL.into_iter().skip(1) {
        let found = digests(name);
        if found.len() == 1 {
            println!("{name}: {}", found[0]);
            continue;
        }
        assert_eq!(found.len(), widest.len(), "{name}");
        for (found, widest) in found.iter().zip(&widest) {
            assert_eq!(found, widest, "{name} against the widest");
        }
        compared += 1;
    }
    // No vectors at all is there on every machine.
    assert!(compared >= 1);
}
