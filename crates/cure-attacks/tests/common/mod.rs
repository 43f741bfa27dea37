//! Classifiers whose robustness is known in closed form, and ones that misbehave on purpose.
#![allow(dead_code, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use cure_attacks::{
    AttackSpec, Epsilon, EvaluationOptions, EvaluationSet, MemberResult, Norm, Silent, evaluate,
};
use cure_network::{Architecture, Classifier, Frozen, Linearized, Network, Normalization, Result};
use cure_tensor::{Tensor, ops};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) fn epsilon(value: f64) -> Epsilon {
    Epsilon::new(value).unwrap()
}

/// Uniform in [low, high].
pub(crate) fn uniform(seed: u64, shape: &[usize], low: f32, high: f32) -> Tensor {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values = (0..count).map(|_| low + (high - low) * random.random::<f32>()).collect();
    Tensor::new(shape, values).unwrap()
}

/// The length of a change.
pub(crate) fn distance(norm: Norm, a: &[f32], b: &[f32]) -> f64 {
    norm.of(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

/// The exact distance of an image to the other class of a linear classifier, the box aside.
pub(crate) fn exact(norm: Norm, w: &[f32], margin: f64) -> f64 {
    let w = || w.iter().map(|&w| f64::from(w));
    match norm {
        Norm::Linf => margin.abs() / w().map(f64::abs).sum::<f64>(),
        Norm::L2 => margin.abs() / w().map(|w| w * w).sum::<f64>().sqrt(),
        Norm::L1 => margin.abs() / w().map(f64::abs).fold(0.0, f64::max),
    }
}

/// Labels are what the classifier says, indices count from 100.
pub(crate) fn set_of(classifier: &dyn Classifier, images: Tensor) -> EvaluationSet {
    let labels = predict(classifier, &images);
    let indices = (100..100 + labels.len()).collect();
    EvaluationSet::new(images, labels, indices).unwrap()
}

pub(crate) fn predict(classifier: &dyn Classifier, images: &Tensor) -> Vec<usize> {
    let logits = classifier.logits(images).unwrap();
    let best =
        |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    logits.host().chunks_exact(classifier.classes()).map(best).collect()
}

/// A classifier made of two functions of one image: its logits, and the pullback Jᵀu.
pub(crate) use cure_network::Functions as Toy;

type Logits = Box<dyn Fn(&[f32]) -> Vec<f32> + Sync>;
type Pullback = Box<dyn Fn(&[f32], &[f32]) -> Vec<f32> + Sync>;

/// Logits (0, w·x + b), J = (0, w).
pub(crate) fn linear(w: Vec<f32>, b: f64, input: [usize; 3]) -> Toy<Logits, Pullback> {
    let weights = w.clone();
    Toy {
        classes: 2,
        input,
        logits: Box::new(move |image| {
            let dot: f64 = image.iter().zip(&w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            vec![0.0, (dot + b) as f32]
        }),
        pullback: Box::new(move |_, u| weights.iter().map(|w| w * u[1]).collect()),
    }
}

/// Logits W x + b, rows of W and b by class.
pub(crate) fn linear_classes(
    w: Vec<Vec<f32>>,
    b: Vec<f64>,
    input: [usize; 3],
) -> Toy<Logits, Pullback> {
    let weights = w.clone();
    Toy {
        classes: w.len(),
        input,
        logits: Box::new(move |image| {
            let dot = |w: &[f32]| -> f64 {
                image.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum()
            };
            w.iter().zip(&b).map(|(w, b)| (dot(w) + b) as f32).collect()
        }),
        pullback: Box::new(move |image, u| {
            let pixel = |i: usize| weights.iter().zip(u).map(|(w, u)| w[i] * u).sum();
            (0..image.len()).map(pixel).collect()
        }),
    }
}

/// Runs attacks on 30 images of [`network`] in batches of several sizes, in reverse and on
/// several threads; all must give the same, bit for bit. Each must fool some and spare some.
pub(crate) fn assert_nothing_but_the_sample_counts(attacks: &[&str]) {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let classifier = network();
    let set = set_of(&classifier, uniform(1, &[30, 1, 8, 8], 0.0, 1.0));
    let attacks: Vec<AttackSpec> = attacks.iter().map(|text| text.parse().unwrap()).collect();
    let run = |set: &EvaluationSet, batch| {
        let options = EvaluationOptions { batch, keep_images: true, ..Default::default() };
        evaluate(&classifier, set, &attacks, &options, &mut Silent).unwrap()
    };
    let reference = run(&set, 30);
    for attack in &reference.attacks {
        assert!(attack.robust > 0 && attack.robust < 30, "{attack:?}");
    }
    for batch in [1, 3] {
        let found = run(&set, batch);
        assert_eq!(found.rows, reference.rows, "batch {batch}");
        assert_eq!(found.images, reference.images, "batch {batch}");
        for (found, reference) in found.attacks.iter().zip(&reference.attacks) {
            // Backwards differ: what is solved in a batch is pulled back with the rest of it.
            for (found, reference) in found.members.iter().zip(&reference.members) {
                let counts = |one: &MemberResult| (one.attacked, one.solved, one.forward);
                assert_eq!(counts(found), counts(reference), "batch {batch}");
            }
        }
    }
    let backwards: Vec<usize> = (0..30).rev().collect();
    let reversed = EvaluationSet::new(
        ops::select(set.images(), &backwards).unwrap(),
        backwards.iter().map(|&row| set.labels()[row]).collect(),
        backwards.iter().map(|&row| set.indices()[row]).collect(),
    );
    let mut found = run(&reversed.unwrap(), 7);
    found.rows.reverse();
    assert_eq!(found.rows, reference.rows);
    for (found, reference) in found.images.iter().zip(&reference.images) {
        assert_eq!(&ops::select(found, &backwards).unwrap(), reference);
    }
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| run(&set, 16));
        assert_eq!(found.rows, reference.rows, "{threads} threads");
        assert_eq!(found.images, reference.images, "{threads} threads");
    }
}

/// A small random convolutional network on 8×8 images.
pub(crate) fn network() -> Frozen {
    let architecture = Architecture::named("cnn", 10, [1, 8, 8]).unwrap();
    Network::random(architecture, Normalization::none(1), 5).unwrap().frozen().unwrap()
}

/// Remembers every image the classifier inside was asked about.
pub(crate) struct Spy<'a> {
    inner: &'a dyn Classifier,
    pub(crate) seen: Mutex<Vec<Vec<f32>>>,
    pub(crate) backward: Mutex<u64>,
}

struct SpyAt<'a> {
    inner: Box<dyn Linearized + 'a>,
    backward: &'a Mutex<u64>,
}

impl<'a> Spy<'a> {
    pub(crate) fn on(inner: &'a dyn Classifier) -> Self {
        Self { inner, seen: Mutex::default(), backward: Mutex::default() }
    }

    fn note(&self, images: &Tensor) {
        let length = self.inner.input_shape().iter().product();
        let mut seen = self.seen.lock().unwrap();
        seen.extend(images.host().chunks_exact(length).map(<[f32]>::to_vec));
    }
}

impl Classifier for Spy<'_> {
    fn classes(&self) -> usize {
        self.inner.classes()
    }

    fn input_shape(&self) -> [usize; 3] {
        self.inner.input_shape()
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.note(images);
        self.inner.logits(images)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        self.note(images);
        Ok(Box::new(SpyAt { inner: self.inner.linearize(images)?, backward: &self.backward }))
    }
}

impl Linearized for SpyAt<'_> {
    fn logits(&self) -> &Tensor {
        self.inner.logits()
    }

    fn pullback(&self, u: &Tensor) -> Result<Tensor> {
        *self.backward.lock().unwrap() += u.shape()[0] as u64;
        self.inner.pullback(u)
    }

    fn pushforward(&self, v: &Tensor) -> Result<Tensor> {
        self.inner.pushforward(v)
    }

    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor> {
        self.inner.hessian_vector(labels, v)
    }
}
