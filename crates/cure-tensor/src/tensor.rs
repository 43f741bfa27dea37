use std::borrow::Cow;
use std::sync::Arc;

use crate::buffer::Buffer;
use crate::ops;
#[cfg(feature = "libtorch")]
use crate::torch::{self, Values};
use crate::{Result, TensorError};

/// Where the values of a tensor live. One variant an engine; operations match on it.
#[derive(Clone)]
enum Storage {
    Cpu(Arc<Buffer>),
    #[cfg(feature = "libtorch")]
    Torch(Arc<Values>),
}

/// A contiguous, row-major array of `f32`. Cloning is cheap (the values are shared); an
/// operation that may reuse its argument's memory takes it by value and does so when nobody
/// else holds it.
#[derive(Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    storage: Storage,
}

impl Tensor {
    /// A tensor of the given shape holding `values` in row-major order.
    ///
    /// # Errors
    /// [`TensorError::DataLength`] if the values do not fill the shape exactly.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Result<Self> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(TensorError::DataLength { shape: shape.to_vec(), len: values.len() });
        }
        Ok(Self::trusted(shape, values))
    }

    /// As [`Tensor::new`], for kernels that made `values` to measure.
    pub(crate) fn trusted(shape: &[usize], values: impl Into<Buffer>) -> Self {
        let values = values.into();
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        #[cfg(feature = "libtorch")]
        if torch::is_chosen() {
            return match Values::upload(shape, values.into_vec()) {
                Ok(values) => Self::of_torch(shape, values),
                Err(values) => Self::on_host(shape, values),
            };
        }
        Self::on_host(shape, values)
    }

    /// Values that stay where they are, whatever the device.
    pub(crate) fn on_host(shape: &[usize], values: impl Into<Buffer>) -> Self {
        Self { shape: shape.to_vec(), storage: Storage::Cpu(Arc::new(values.into())) }
    }

    /// Values that ATen made.
    #[cfg(feature = "libtorch")]
    pub(crate) fn of_torch(shape: &[usize], values: Values) -> Self {
        Self { shape: shape.to_vec(), storage: Storage::Torch(Arc::new(values)) }
    }

    /// The values as ATen's.
    #[cfg(feature = "libtorch")]
    pub(crate) fn torch(&self) -> std::result::Result<tch::Tensor, tch::TchError> {
        match &self.storage {
            Storage::Torch(values) => Ok(values.tensor()),
            Storage::Cpu(values) => Values::uploaded(&self.shape, values),
        }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::full(shape, 0.0)
    }

    /// A tensor whose every element is `value`.
    pub fn full(shape: &[usize], value: f32) -> Self {
        Self::trusted(shape, vec![value; shape.iter().product()])
    }

    /// The extent of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in row-major order, on the host. Borrowed on the CPU; an engine whose memory
    /// is elsewhere copies.
    pub fn host(&self) -> Cow<'_, [f32]> {
        Cow::Borrowed(self.cpu())
    }

    /// The values in row-major order, without a copy when this is their only holder.
    pub fn into_vec(self) -> Vec<f32> {
        match self.storage {
            Storage::Cpu(values) => match Arc::try_unwrap(values) {
                Ok(buffer) => buffer.into_vec(),
                Err(shared) => shared.to_vec(),
            },
            #[cfg(feature = "libtorch")]
            Storage::Torch(values) => values.host().to_vec(),
        }
    }

    /// The same values under another shape.
    ///
    /// # Errors
    /// [`TensorError::DataLength`] if the element counts differ.
    pub fn reshape(mut self, shape: &[usize]) -> Result<Self> {
        if shape.iter().product::<usize>() != self.len() {
            return Err(TensorError::DataLength { shape: shape.to_vec(), len: self.len() });
        }
        self.shape = shape.to_vec();
        #[cfg(feature = "libtorch")]
        if let Storage::Torch(values) = &self.storage {
            self.storage = match values.reshaped(shape) {
                Some(values) => Storage::Torch(Arc::new(values)),
                None => return Ok(Self::trusted(shape, values.host().to_vec())),
            };
        }
        Ok(self)
    }

    /// Whether every element is finite.
    pub fn is_finite(&self) -> bool {
        #[cfg(feature = "libtorch")]
        if let Storage::Torch(values) = &self.storage {
            return values.is_finite();
        }
        // Run by run, so that each is compared in vectors.
        let run = |values: &[f32]| values.iter().fold(true, |all, value| all & value.is_finite());
        ops::vectorised(|| self.cpu().chunks(4096).all(run))
    }

    /// The values on the host, where they are brought once if they are elsewhere.
    pub(crate) fn cpu(&self) -> &[f32] {
        match &self.storage {
            Storage::Cpu(values) => values,
            #[cfg(feature = "libtorch")]
            Storage::Torch(values) => values.host(),
        }
    }

    /// The values as a buffer to write over: this tensor's own memory when nobody shares it, a
    /// copy otherwise.
    pub(crate) fn into_buffer(self) -> Buffer {
        let copy = |values: &[f32]| {
            let mut copy = Buffer::stale(values.len());
            copy.copy_from_slice(values);
            copy
        };
        match self.storage {
            Storage::Cpu(values) => Arc::try_unwrap(values).unwrap_or_else(|shared| copy(&shared)),
            #[cfg(feature = "libtorch")]
            Storage::Torch(values) => copy(values.host()),
        }
    }

    /// The extents as a fixed-size array, or the error that names `operation` and `meaning`.
    pub(crate) fn dims<const D: usize>(
        &self,
        operation: &'static str,
        meaning: &str,
    ) -> Result<[usize; D]> {
        <[usize; D]>::try_from(self.shape.as_slice())
            .map_err(|_| TensorError::shape(operation, meaning, &self.shape))
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.cpu();
        write!(formatter, "Tensor{:?} {:?}", self.shape, &values[..values.len().min(8)])?;
        if values.len() > 8 { write!(formatter, " …") } else { Ok(()) }
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.cpu() == other.cpu()
    }
}
