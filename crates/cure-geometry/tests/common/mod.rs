//! Operators with known spectra, and classifiers with known boundaries.
#![allow(dead_code, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use cure_geometry::{Hessian, Result};
use cure_network::{Architecture, Classifier, Family, Linearized, Network, Normalization};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

pub(crate) fn random(seed: u64, length: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..length).map(|_| 2.0 * random.random::<f64>() - 1.0).collect()
}

/// A random orthonormal basis.
pub(crate) fn basis(seed: u64, size: usize) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for i in 0..size as u64 {
        let mut vector = random(1000 * seed + i, size);
        for _ in 0..2 {
            for b in &basis {
                let along = dot(&vector, b);
                vector.iter_mut().zip(b).for_each(|(v, b)| *v -= along * b);
            }
        }
        let length = norm(&vector);
        basis.push(vector.into_iter().map(|v| v / length).collect());
    }
    basis
}

/// Q diag(λ) Qᵀ, the same for so many samples.
pub(crate) struct Quadratic {
    pub(crate) eigenvalues: Vec<f64>,
    pub(crate) vectors: Vec<Vec<f64>>,
    /// Added to every product: an antisymmetric matrix times v.
    pub(crate) twist: f64,
    pub(crate) samples: usize,
    pub(crate) products: usize,
}

impl Quadratic {
    pub(crate) fn new(eigenvalues: &[f64], seed: u64) -> Self {
        let vectors = basis(seed, eigenvalues.len());
        Self { eigenvalues: eigenvalues.to_vec(), vectors, twist: 0.0, samples: 1, products: 0 }
    }
}

impl Hessian for Quadratic {
    fn samples(&self) -> usize {
        self.samples
    }

    fn dimension(&self) -> usize {
        self.eigenvalues.len()
    }

    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        assert_eq!(rows.len(), directions.len());
        self.products += rows.len();
        let product = |v: &Vec<f64>| {
            let mut product = vec![0.0; v.len()];
            for (lambda, q) in self.eigenvalues.iter().zip(&self.vectors) {
                let along = lambda * dot(q, v);
                product.iter_mut().zip(q).for_each(|(p, q)| *p += along * q);
            }
            // (Av)_i = twist·(v_{i+1} − v_{i−1}) around a ring.
            let size = v.len();
            for (i, p) in product.iter_mut().enumerate() {
                *p += self.twist * (v[(i + 1) % size] - v[(i + size - 1) % size]);
            }
            product
        };
        Ok(directions.iter().map(product).collect())
    }
}

pub(crate) fn perceptron(
    hidden: &[usize],
    activation: Activation,
    classes: usize,
    seed: u64,
) -> Network {
    let family = Family::Perceptron { hidden: hidden.to_vec() };
    let architecture = Architecture { family, activation, classes, input: [1, 4, 5] };
    let normalization = Normalization::parse("0.4/0.3", 1).unwrap();
    Network::random(architecture, normalization, seed).unwrap()
}

pub(crate) fn images(count: usize) -> Tensor {
    let mut random = ChaCha8Rng::seed_from_u64(77);
    let values = (0..count * 20).map(|_| 0.2 + 0.6 * random.random::<f32>()).collect();
    Tensor::new(&[count, 1, 4, 5], values).unwrap()
}

pub(crate) fn predicted(classifier: &dyn Classifier, images: &Tensor) -> Vec<usize> {
    let logits = classifier.logits(images).unwrap();
    let best =
        |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    logits.host().chunks_exact(classifier.classes()).map(best).collect()
}

/// Two classes: 0 inside the ball of `radius` about the middle of the pixel cube, 1 outside; the
/// logits differ by 20(radius² − ‖x − ½‖²).
pub(crate) struct Ball {
    pub(crate) radius: f64,
}

struct AtBall {
    images: Tensor,
    logits: Tensor,
}

const SHARPNESS: f64 = 20.0;

impl Classifier for Ball {
    fn classes(&self) -> usize {
        2
    }

    fn input_shape(&self) -> [usize; 3] {
        [1, 4, 5]
    }

    fn logits(&self, images: &Tensor) -> cure_network::Result<Tensor> {
        let logit = |image: &[f32]| {
            let square: f64 = image.iter().map(|&x| (f64::from(x) - 0.5).powi(2)).sum();
            [(SHARPNESS * (self.radius * self.radius - square)) as f32, 0.0]
        };
        let values = images.host().chunks_exact(20).flat_map(logit).collect();
        Ok(Tensor::new(&[images.shape()[0], 2], values)?)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> cure_network::Result<Box<dyn Linearized + 'a>> {
        Ok(Box::new(AtBall { images: images.clone(), logits: self.logits(images)? }))
    }
}

impl AtBall {
    /// −2·sharpness·(x − ½) times each row's factor.
    fn times(&self, factors: impl Fn(usize) -> f64) -> Tensor {
        let row = |(row, image): (usize, &[f32])| {
            let factor = -2.0 * SHARPNESS * factors(row);
            image.iter().map(move |&x| (factor * (f64::from(x) - 0.5)) as f32).collect::<Vec<_>>()
        };
        let values = self.images.host().chunks_exact(20).enumerate().flat_map(row).collect();
        Tensor::new(self.images.shape(), values).unwrap()
    }
}

impl Linearized for AtBall {
    fn logits(&self) -> &Tensor {
        &self.logits
    }

    fn pullback(&self, u: &Tensor) -> cure_network::Result<Tensor> {
        let u = u.host();
        Ok(self.times(|row| f64::from(u[2 * row])))
    }

    fn pushforward(&self, v: &Tensor) -> cure_network::Result<Tensor> {
        let jacobian = self.times(|_| 1.0);
        let along = ops::sample_dot(&jacobian, v)?;
        let values = along.iter().flat_map(|&along| [along as f32, 0.0]).collect();
        Ok(Tensor::new(self.logits.shape(), values)?)
    }

    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> cure_network::Result<Tensor> {
        let loss = ops::cross_entropy(&self.logits, labels)?;
        let mu = ops::softmax_covariance(&loss.probabilities, &self.pushforward(v)?)?;
        let bend = loss.residual.host();
        let own: Vec<f32> = v
            .host()
            .chunks_exact(20)
            .enumerate()
            .flat_map(|(row, v)| {
                let factor = -2.0 * SHARPNESS * f64::from(bend[2 * row]);
                v.iter().map(move |&v| (factor * f64::from(v)) as f32).collect::<Vec<_>>()
            })
            .collect();
        Ok(ops::add(self.pullback(&mu)?, &Tensor::new(v.shape(), own)?)?)
    }
}
