use cure_tensor::Tensor;

use crate::error::Result;

/// What an attack or a geometric measurement needs of a network: its logits, and derivatives
/// with respect to its input. Implemented by [`Frozen`](crate::Frozen); a network that is not
/// ours can stand behind it as well.
///
/// Images are `[N, C, H, W]` with pixels in [0, 1]; normalisation is inside.
pub trait Classifier: Sync {
    /// Number of classes.
    fn classes(&self) -> usize;

    /// Channels, height and width of an image.
    fn input_shape(&self) -> [usize; 3];

    /// Whether its logits are piecewise linear in the image, so that the Hessian of the loss is
    /// Jᵀ(diag p − ppᵀ)J; no where that is not known.
    fn is_piecewise_linear(&self) -> bool {
        false
    }

    /// The logits of a batch: `[N, K]`.
    ///
    /// # Errors
    /// If the images do not have the network's input shape.
    fn logits(&self, images: &Tensor) -> Result<Tensor>;

    /// The network at a batch of images, ready for its derivatives there.
    ///
    /// # Errors
    /// If the images do not have the network's input shape.
    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>>;
}

impl<T: Classifier + ?Sized> Classifier for &T {
    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn input_shape(&self) -> [usize; 3] {
        (**self).input_shape()
    }

    fn is_piecewise_linear(&self) -> bool {
        (**self).is_piecewise_linear()
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        (**self).logits(images)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        (**self).linearize(images)
    }
}

/// A network at a batch of images: J is its Jacobian there, sample by sample.
pub trait Linearized {
    /// f(x): `[N, K]`.
    fn logits(&self) -> &Tensor;

    /// Jᵀu: `[N, C, H, W]` for `u` `[N, K]`.
    ///
    /// # Errors
    /// If `u` does not have the shape of the logits.
    fn pullback(&self, u: &Tensor) -> Result<Tensor>;

    /// J v: `[N, K]` for `v` `[N, C, H, W]`.
    ///
    /// # Errors
    /// If `v` does not have the shape of the images.
    fn pushforward(&self, v: &Tensor) -> Result<Tensor>;

    /// H v of each sample's cross-entropy at its label: `[N, C, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit or a label is no class.
    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor>;
}
