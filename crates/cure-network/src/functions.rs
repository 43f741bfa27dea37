//! A network of somebody's own, made of two functions of one image.

use cure_tensor::{Tensor, TensorError, ops};

use crate::classifier::{Classifier, Linearized};
use crate::error::{NetworkError, Result};

/// The length in pixels of the steps of central differences.
const STEP: f64 = 1e-2;

/// A classifier made of two functions: an image's logits f(x), and Jᵀu at an image. That is all that attacks ask for.
/// J v and H v, which geometry asks for, are central differences of the two, at 1e-2 in ℓ2 over pixels: the derivatives
/// themselves only as far as f is smooth at that length.
///
/// ```
/// use cure_network::{Classifier, Functions};
/// use cure_tensor::Tensor;
///
/// // Is the first pixel brighter than the second?
/// let network = Functions {
///     classes: 2,
///     input: [1, 1, 2],
///     logits: |x: &[f32]| vec![x[0], x[1]],
///     pullback: |_: &[f32], u: &[f32]| u.to_vec(),
/// };
/// let image = Tensor::new(&[1, 1, 1, 2], vec![0.25, 0.75])?;
/// assert_eq!(network.logits(&image)?.host()[..], [0.25, 0.75]);
/// # Ok::<(), cure_network::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Functions<F, G> {
    /// K, the number of classes.
    pub classes: usize,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
    /// The K logits of an image of C·H·W pixels in [0, 1], row by row, channel after channel.
    pub logits: F,
    /// Jᵀu of an image and K numbers u: C·H·W numbers.
    pub pullback: G,
}

/// Such a classifier at a batch.
struct Here<'a, F, G> {
    network: &'a Functions<F, G>,
    images: Tensor,
    logits: Tensor,
}

impl<F, G> Functions<F, G>
where
    F: Fn(&[f32]) -> Vec<f32> + Sync,
    G: Fn(&[f32], &[f32]) -> Vec<f32> + Sync,
{
    fn length(&self) -> usize {
        self.input.iter().product()
    }

    fn shape(&self, samples: usize) -> [usize; 4] {
        let [channels, height, width] = self.input;
        [samples, channels, height, width]
    }

    fn samples(&self, images: &Tensor) -> Result<usize> {
        match images.shape() {
            [samples, shape @ ..] if *shape == self.input => Ok(*samples),
            found => Err(NetworkError::Images { expected: self.input, found: found.to_vec() }),
        }
    }

    /// Jᵀu at `images`, whose number is known to fit.
    fn pull(&self, images: &Tensor, u: &Tensor) -> Result<Tensor> {
        let (images, u, samples) = (images.host(), u.host(), u.len() / self.classes.max(1));
        let mut values = Vec::with_capacity(images.len());
        for (image, u) in
            images.chunks_exact(self.length().max(1)).zip(u.chunks_exact(self.classes.max(1)))
        {
            let found = (self.pullback)(image, u);
            values.extend_from_slice(fits("a pullback", &found, self.length())?);
        }
        Ok(Tensor::new(&self.shape(samples), values)?)
    }
}

/// What somebody's function gave, of the length that was promised.
fn fits<'v>(operation: &'static str, values: &'v [f32], expected: usize) -> Result<&'v [f32]> {
    if values.len() == expected {
        return Ok(values);
    }
    let (expected, found) = (format!("[{expected}]"), vec![values.len()]);
    Err(TensorError::ShapeMismatch { operation, expected, found }.into())
}

fn same(operation: &'static str, expected: &[usize], found: &Tensor) -> Result<()> {
    if found.shape() == expected {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), found.shape().to_vec());
    Err(TensorError::ShapeMismatch { operation, expected, found }.into())
}

impl<F, G> Classifier for Functions<F, G>
where
    F: Fn(&[f32]) -> Vec<f32> + Sync,
    G: Fn(&[f32], &[f32]) -> Vec<f32> + Sync,
{
    fn classes(&self) -> usize {
        self.classes
    }

    fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let samples = self.samples(images)?;
        let mut values = Vec::with_capacity(samples * self.classes);
        for image in images.host().chunks_exact(self.length().max(1)) {
            values.extend_from_slice(fits("logits", &(self.logits)(image), self.classes)?);
        }
        Ok(Tensor::new(&[samples, self.classes], values)?)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        let logits = self.logits(images)?;
        Ok(Box::new(Here { network: self, images: images.clone(), logits }))
    }
}

impl<F, G> Here<'_, F, G> {
    /// What `of` gives a step along `v` less what it gives a step back, over the length of the way; 0 where v is 0.
    fn difference(&self, v: &Tensor, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        same("a direction", self.images.shape(), v)?;
        let lengths = ops::sample_l2(v)?;
        let factors = |step: f64| -> Vec<f32> {
            let factor = |&length: &f64| if length > 0.0 { (step / length) as f32 } else { 0.0 };
            lengths.iter().map(factor).collect()
        };
        let [ahead, back] = [STEP, -STEP].map(|step| ops::perturb(&self.images, v, &factors(step)));
        let between = ops::axpy(-1.0, &of(&back?)?, of(&ahead?)?)?;
        let over: Vec<f32> = lengths.iter().map(|length| (length / (2.0 * STEP)) as f32).collect();
        Ok(ops::scale_samples(&between, &over)?)
    }
}

impl<F, G> Linearized for Here<'_, F, G>
where
    F: Fn(&[f32]) -> Vec<f32> + Sync,
    G: Fn(&[f32], &[f32]) -> Vec<f32> + Sync,
{
    fn logits(&self) -> &Tensor {
        &self.logits
    }

    fn pullback(&self, u: &Tensor) -> Result<Tensor> {
        same("a pullback", self.logits.shape(), u)?;
        self.network.pull(&self.images, u)
    }

    fn pushforward(&self, v: &Tensor) -> Result<Tensor> {
        self.difference(v, |images| self.network.logits(images))
    }

    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor> {
        self.difference(v, |images| {
            let loss = ops::cross_entropy(&self.network.logits(images)?, labels)?;
            self.network.pull(images, &loss.residual)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Logits (x₀², x₁·x₂, x₀ + x₂).
    fn logits(x: &[f32]) -> Vec<f32> {
        vec![x[0] * x[0], x[1] * x[2], x[0] + x[2]]
    }

    fn pullback(x: &[f32], u: &[f32]) -> Vec<f32> {
        vec![2.0 * x[0] * u[0] + u[2], x[2] * u[1], x[1] * u[1] + u[2]]
    }

    #[test]
    fn derivatives_are_those_of_the_functions() {
        let network = Functions { classes: 3, input: [1, 1, 3], logits, pullback };
        let images = Tensor::new(&[2, 1, 1, 3], vec![0.2, 0.5, 0.9, 0.7, 0.1, 0.4]).unwrap();
        let at = network.linearize(&images).unwrap();
        let v = Tensor::new(&[2, 1, 1, 3], vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0]).unwrap();
        // J v = (2x₀v₀, v₁x₂ + x₁v₂, v₀ + v₂), and nothing of nothing.
        let found = at.pushforward(&v).unwrap();
        let expected = [0.4, -2.0 * 0.9 + 0.5 * 0.5, 1.5, 0.0, 0.0, 0.0];
        for (found, expected) in found.host().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        // ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, and H is symmetric.
        let dot = |a: &Tensor, b: &Tensor| ops::sample_dot(a, b).unwrap()[0];
        let u = Tensor::new(&[2, 3], vec![0.3, -1.0, 2.0, 0.0, 0.0, 0.0]).unwrap();
        let apart = dot(&u, &found) - dot(&at.pullback(&u).unwrap(), &v);
        assert!(apart.abs() < 1e-3, "{apart}");
        let w = Tensor::new(&[2, 1, 1, 3], vec![0.1, 1.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        let [hv, hw] = [&v, &w].map(|v| at.hessian_vector(&[0, 1], v).unwrap());
        assert!((dot(&hv, &w) - dot(&v, &hw)).abs() < 1e-3 && dot(&hv, &w).abs() > 0.05);
    }

    #[test]
    fn functions_that_give_another_number_of_values_are_named() {
        let network =
            Functions { classes: 3, input: [1, 1, 3], logits: |_: &[f32]| vec![1.0], pullback };
        let images = Tensor::zeros(&[1, 1, 1, 3]);
        assert!(network.logits(&images).unwrap_err().to_string().contains("logits"));
        let network = Functions { classes: 3, input: [1, 1, 3], logits, pullback };
        assert!(network.logits(&Tensor::zeros(&[1, 1, 1, 2])).is_err());
        let at = network.linearize(&images).unwrap();
        assert!(at.pullback(&Tensor::zeros(&[1, 2])).is_err());
        assert!(at.pushforward(&Tensor::zeros(&[2, 1, 1, 3])).is_err());
    }
}
