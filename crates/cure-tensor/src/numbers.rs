use std::ops::{Add, Mul, Neg, Sub};

use crate::{Result, Tensor, TensorError};

/// A number in `f64` for each channel, or sample, where the tensors are: neither statistics of a batch nor
/// losses make a device wait until somebody looks at them. Cloning is cheap.
///
/// Operators take two of one length; else they give NaN. They cannot say so where a device fails: the numbers are
/// NaN then, and the next operation on tensors, or [`failure`](crate::failure), says why.
#[derive(Clone)]
pub struct Numbers(Storage);

#[derive(Clone)]
enum Storage {
    Host(Vec<f64>),
    #[cfg(feature = "libtorch")]
    Torch(crate::torch::Doubles),
}

impl Numbers {
    /// These numbers, brought to the device.
    pub fn new(values: Vec<f64>) -> Self {
        #[cfg(feature = "libtorch")]
        if crate::torch::is_chosen() {
            return match crate::torch::Doubles::upload(&values) {
                Some(numbers) => Self(Storage::Torch(numbers)),
                None => Self(Storage::Host(values)),
            };
        }
        Self(Storage::Host(values))
    }

    /// The entries of a tensor, `[count]`.
    pub fn of(tensor: &Tensor) -> Self {
        #[cfg(feature = "libtorch")]
        if crate::torch::is_chosen() {
            return Self::of_torch(crate::torch::Doubles::of(tensor), tensor.len());
        }
        Self(Storage::Host(tensor.cpu().iter().map(|&value| f64::from(value)).collect()))
    }

    /// `count` times the same.
    pub fn full(count: usize, value: f64) -> Self {
        Self::new(vec![value; count])
    }

    /// Numbers that ATen made; NaN where it failed.
    #[cfg(feature = "libtorch")]
    pub(crate) fn of_torch(numbers: Option<crate::torch::Doubles>, count: usize) -> Self {
        match numbers {
            Some(numbers) => Self(Storage::Torch(numbers)),
            None => Self(Storage::Host(vec![f64::NAN; count])),
        }
    }

    /// As ATen's, of its kind `Double`.
    #[cfg(feature = "libtorch")]
    pub(crate) fn torch(&self) -> crate::torch::Made {
        match &self.0 {
            Storage::Torch(numbers) => numbers.tensor(),
            Storage::Host(values) => crate::torch::Doubles::uploaded(values),
        }
    }

    /// As ATen's, of its kind `Float`.
    #[cfg(feature = "libtorch")]
    pub(crate) fn torch_single(&self) -> crate::torch::Made {
        match &self.0 {
            Storage::Torch(numbers) => numbers.single(),
            Storage::Host(_) => self.torch()?.f_to_kind(tch::Kind::Float),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match &self.0 {
            Storage::Host(values) => values.len(),
            #[cfg(feature = "libtorch")]
            Storage::Torch(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers on the host; a device is waited for.
    pub fn to_vec(&self) -> Vec<f64> {
        match &self.0 {
            Storage::Host(values) => values.clone(),
            #[cfg(feature = "libtorch")]
            Storage::Torch(numbers) => numbers.to_vec(),
        }
    }

    /// Their sum, on the host.
    pub fn sum(&self) -> f64 {
        self.to_vec().iter().sum()
    }

    /// Rounded to single precision, as a tensor `[count]`.
    pub fn to_tensor(&self) -> Tensor {
        let count = self.len();
        match &self.0 {
            Storage::Host(values) => {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                Tensor::trusted(&[count], values)
            }
            #[cfg(feature = "libtorch")]
            Storage::Torch(numbers) => numbers.to_tensor(),
        }
    }

    /// `1/√(x + shift)` of each.
    pub fn inverse_root(&self, shift: f64) -> Self {
        match &self.0 {
            Storage::Host(values) => {
                let values = values.iter().map(|value| 1.0 / (value + shift).sqrt());
                Self(Storage::Host(values.collect()))
            }
            #[cfg(feature = "libtorch")]
            Storage::Torch(numbers) => Self::of_torch(numbers.inverse_root(shift), numbers.len()),
        }
    }

    /// Whether there are as many as `operation` needs.
    pub(crate) fn check(&self, operation: &'static str, count: usize) -> Result<()> {
        match self.len() {
            len if len == count => Ok(()),
            len => Err(TensorError::shape(operation, format!("[{count}]"), &[len])),
        }
    }

    /// Rounded to single precision, on the host.
    pub(crate) fn single(&self) -> Vec<f32> {
        self.to_vec().into_iter().map(|value| value as f32).collect()
    }

    fn zip(&self, other: &Self, operator: Operator) -> Self {
        if self.len() != other.len() {
            return Self::full(self.len(), f64::NAN);
        }
        match (&self.0, &other.0) {
            (Storage::Host(a), Storage::Host(b)) => {
                let pairs = a.iter().zip(b);
                Self(Storage::Host(match operator {
                    Operator::Add => pairs.map(|(a, b)| a + b).collect(),
                    Operator::Subtract => pairs.map(|(a, b)| a - b).collect(),
                    Operator::Multiply => pairs.map(|(a, b)| a * b).collect(),
                }))
            }
            #[cfg(feature = "libtorch")]
            _ => {
                let found = crate::torch::Doubles::zip(self.torch(), other.torch(), operator);
                Self::of_torch(found, self.len())
            }
        }
    }

    fn times(&self, factor: f64) -> Self {
        match &self.0 {
            Storage::Host(values) => {
                Self(Storage::Host(values.iter().map(|value| value * factor).collect()))
            }
            #[cfg(feature = "libtorch")]
            Storage::Torch(numbers) => Self::of_torch(numbers.times(factor), numbers.len()),
        }
    }
}

/// What is done to two numbers.
#[derive(Clone, Copy)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
}

/// An operator for owned and borrowed operands.
macro_rules! operator {
    ($trait:ident, $method:ident, $operator:ident) => {
        impl $trait for &Numbers {
            type Output = Numbers;
            fn $method(self, other: &Numbers) -> Numbers {
                self.zip(other, Operator::$operator)
            }
        }
        impl $trait for Numbers {
            type Output = Numbers;
            fn $method(self, other: Numbers) -> Numbers {
                self.zip(&other, Operator::$operator)
            }
        }
        impl $trait<&Numbers> for Numbers {
            type Output = Numbers;
            fn $method(self, other: &Numbers) -> Numbers {
                self.zip(other, Operator::$operator)
            }
        }
        impl $trait<Numbers> for &Numbers {
            type Output = Numbers;
            fn $method(self, other: Numbers) -> Numbers {
                self.zip(&other, Operator::$operator)
            }
        }
    };
}

operator!(Add, add, Add);
operator!(Sub, sub, Subtract);
operator!(Mul, mul, Multiply);

impl Mul<f64> for &Numbers {
    type Output = Numbers;
    fn mul(self, factor: f64) -> Numbers {
        self.times(factor)
    }
}

impl Mul<f64> for Numbers {
    type Output = Numbers;
    fn mul(self, factor: f64) -> Numbers {
        self.times(factor)
    }
}

impl Neg for &Numbers {
    type Output = Numbers;
    fn neg(self) -> Numbers {
        self.times(-1.0)
    }
}

impl Neg for Numbers {
    type Output = Numbers;
    fn neg(self) -> Numbers {
        self.times(-1.0)
    }
}

impl std::fmt::Debug for Numbers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Numbers {:?}", self.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_that_of_the_numbers() {
        let (a, b) = (Numbers::new(vec![1.0, -2.5, 3.0]), Numbers::new(vec![0.5, 4.0, -0.25]));
        assert_eq!((&a + &b).to_vec(), [1.5, 1.5, 2.75]);
        assert_eq!((&a - &b * 2.0).to_vec(), [0.0, -10.5, 3.5]);
        assert_eq!((-&a * &b).to_vec(), [-0.5, 10.0, 0.75]);
        let roots = Numbers::new(vec![3.0, 15.0]).inverse_root(1.0);
        assert_eq!(roots.to_vec(), [0.5, 0.25]);
        assert_eq!(Numbers::full(2, 1.0 + 1e-9).to_tensor().host()[..], [1.0, 1.0]);
        let tensor = a.to_tensor();
        assert_eq!((tensor.shape(), Numbers::of(&tensor).to_vec()), (&[3][..], a.to_vec()));
        assert_eq!((a.len(), a.is_empty(), Numbers::new(vec![]).is_empty()), (3, false, true));
    }
}
