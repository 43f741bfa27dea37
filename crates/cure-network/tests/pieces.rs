//! A batch taken through the network in pieces gives each image the bits it has in the whole batch.
#![allow(clippy::unwrap_used, missing_docs)]

use cure_network::{Architecture, Classifier, Family, Frozen, Network, Normalization, Shortcut};
use cure_tensor::Tensor;
use cure_tensor::ops::Activation;

fn waves(shape: &[usize], phase: f32) -> Tensor {
    let len = shape.iter().product::<usize>();
    let value = |i: usize| 0.5 + 0.5 * ((i as f32) * 0.37 + phase).sin();
    Tensor::new(shape, (0..len).map(value).collect()).unwrap()
}

fn network(widths: &[usize], activation: Activation) -> Network {
    let family = Family::Residual {
        widths: widths.to_vec(),
        blocks: vec![1; widths.len()],
        shortcut: Shortcut::Subsample,
    };
    let architecture = Architecture { family, activation, classes: 5, input: [3, 16, 16] };
    Network::random(architecture, Normalization::none(3), 7).unwrap()
}

/// Logits, and every derivative that an attack or a measurement takes.
fn all(classifier: &dyn Classifier, images: &Tensor, labels: &[usize]) -> Vec<Vec<f32>> {
    let at = classifier.linearize(images).unwrap();
    let u = waves(&[labels.len(), 5], 1.0);
    let v = waves(images.shape(), 2.0);
    let found = [
        classifier.logits(images).unwrap(),
        at.logits().clone(),
        at.pullback(&u).unwrap(),
        at.pushforward(&v).unwrap(),
        at.hessian_vector(labels, &v).unwrap(),
    ];
    found.into_iter().map(Tensor::into_vec).collect()
}

#[test]
fn pieces_have_the_bits_of_the_whole() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let softplus = Activation::Softplus { beta: 2.0 };
    // Layers of a few images are given to one thread in the first two, and shared out in the third.
    let cases: [(&[usize], _, &[usize]); 3] = [
        (&[8, 16], Activation::Relu, &[1, 2, 3, 7, 16, 33, 70]),
        (&[8, 16], softplus, &[1, 2, 3, 7, 16, 33, 70]),
        (&[288], Activation::Relu, &[1, 2, 3, 7]),
    ];
    for (widths, activation, counts) in cases {
        let network = network(widths, activation);
        assert_eq!(network.multiply_adds() > 100_000_000, widths.len() == 1);
        let network = network.frozen().unwrap();
        for &count in counts {
            let images = waves(&[count, 3, 16, 16], 0.0);
            let labels: Vec<usize> = (0..count).map(|i| i % 5).collect();
            let whole = Frozen::linearize(&network, &images).unwrap();
            let (u, v) = (waves(&[count, 5], 1.0), waves(images.shape(), 2.0));
            let expected: Vec<Vec<f32>> = [
                whole.logits().clone(),
                whole.logits().clone(),
                whole.pullback(&u).unwrap(),
                whole.pushforward(&v).unwrap(),
                whole.hessian_vector(&labels, &v).unwrap(),
            ]
            .into_iter()
            .map(Tensor::into_vec)
            .collect();
            for threads in [1, 2, 3, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found = pool.install(|| all(&network, &images, &labels));
                assert_eq!(found, expected, "{count} images, {threads} threads");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_pieces_too() {
    let network = network(&[8, 16], Activation::Relu).frozen().unwrap();
    let images = waves(&[40, 3, 16, 16], 0.0);
    let at = Classifier::linearize(&network, &images).unwrap();
    assert!(at.pullback(&waves(&[39, 5], 0.0)).is_err());
    assert!(at.pullback(&waves(&[40, 4], 0.0)).is_err());
    assert!(at.pushforward(&waves(&[41, 3, 16, 16], 0.0)).is_err());
    assert!(at.pushforward(&waves(&[40, 3, 16, 15], 0.0)).is_err());
    assert!(at.hessian_vector(&[0; 39], &images).is_err());
    assert!(at.hessian_vector(&[9; 40], &images).is_err());
    assert!(network.logits(&waves(&[40, 3, 8, 8], 0.0)).is_err());
}
