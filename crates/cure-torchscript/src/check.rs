//! A module is tried before it is used.

use std::path::Path;

use cure_network::NetworkError;
use cure_tensor::torch::{self, Made};
use cure_tensor::{OutOfMemory, Tensor};
use tch::IValue;

use crate::derivatives::Here;
use crate::error::ScriptError;
use crate::script::Script;

/// How far an image's logits may change with its company, as a share of the largest: kernels differ with the
/// batch, by rounding.
const ROUNDING: f64 = 1e-3;

/// Two images without structure, in [0, 1], the same ones always.
fn images([channels, height, width]: [usize; 3]) -> Made {
    let length = 2 * channels * height * width;
    // Multiples of the golden ratio, modulo 1, are spread evenly.
    let values: Vec<f32> =
        (0..length).map(|i| (i as f64 * 0.618_033_988_749_894_9).fract() as f32).collect();
    let shape = [2, channels as i64, height as i64, width as i64];
    torch::upload(&values)?.f_view(shape)
}

/// What a module gives that is no tensor, as Python calls it.
pub(crate) fn described(output: &IValue) -> String {
    match output {
        IValue::Tuple(parts) => format!("a tuple of {}", parts.len()),
        IValue::TensorList(parts) => format!("a list of {} tensors", parts.len()),
        IValue::GenericDict(_) => "a dictionary".into(),
        IValue::None => "None".into(),
        _ => "an object that is no tensor".into(),
    }
}

/// The number of classes of a module that gives logits, image by image.
pub(crate) fn classes(script: &Script, path: &Path) -> Result<usize, ScriptError> {
    let _plain = tch::no_grad_guard();
    let refuse = |cause: tch::TchError| {
        let mut reason = torch::reason(&cause);
        // As layers say it whose weights are of another kind.
        if reason.contains("should be the same") || reason.contains("same dtype") {
            reason += "; images are float32 here: save net.float()";
        }
        ScriptError::Images { path: path.into(), input: script.input(), reason }
    };
    let images = images(script.input()).map_err(refuse)?;
    let output = script.output(&images).map_err(refuse)?;
    let IValue::Tensor(both) = output else {
        return Err(ScriptError::Logits { path: path.into(), found: described(&output) });
    };
    let classes = match both.size().as_slice() {
        &[2, classes] if classes > 1 => usize::try_from(classes).unwrap_or(0),
        found => {
            return Err(ScriptError::Logits {
                path: path.into(),
                found: format!("a tensor {found:?}"),
            });
        }
    };
    let again = script.forward(&images).map_err(refuse)?;
    let alone = || script.forward(&images.f_narrow(0, 0, 1)?);
    let alone = alone().map_err(|cause| ScriptError::Logits {
        path: path.into(),
        found: format!("logits, and for one alone an error ({})", torch::reason(&cause)),
    })?;
    if alone.size() != [1, classes as i64] {
        return Err(ScriptError::Logits {
            path: path.into(),
            found: format!("logits, and for one alone a tensor {:?}", alone.size()),
        });
    }
    let apart = || -> Result<[f64; 3], tch::TchError> {
        let most = |a: &tch::Tensor| a.f_abs()?.f_max()?.f_double_value(&[]);
        Ok([
            most(&both.f_sub(&again)?)?,
            most(&both.f_narrow(0, 0, 1)?.f_sub(&alone)?)?,
            most(&both)?,
        ])
    };
    let [again, alone, scale] = apart().map_err(refuse)?;
    for (difference, with) in [(again, "every call"), (alone, "the other images of a batch")] {
        // A NaN is said by whoever looks at the logits.
        if difference > ROUNDING * scale {
            return Err(ScriptError::NotEvaluating { path: path.into(), with, difference, scale });
        }
    }
    Ok(classes)
}

/// How far autograd goes through a module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differentiable {
    /// Not at all: it makes whole numbers, or was made under `no_grad`.
    Never,
    /// Once.
    Once,
    /// Twice.
    Twice,
}

/// How far autograd goes.
///
/// # Errors
/// If there is too little memory to see it.
pub(crate) fn differentiable(script: &Script) -> Result<Differentiable, ScriptError> {
    let images = torch::tensor("two images", images(script.input())).map_err(NetworkError::from)?;
    let here = Here::new(script, &images)?;
    if !here.has_gradient() {
        return Ok(Differentiable::Never);
    }
    let tried = || -> Made<[tch::Tensor; 2]> {
        let direction = torch::values(&Tensor::full(images.shape(), 1e-3))?;
        let first = here.exact_pushforward(&direction)?;
        Ok([first, here.exact_hessian_vector(&[0, 1], &direction)?])
    };
    let refused =
        tried().map_err(|cause| torch::error("the module's second backward pass", &cause));
    match refused {
        Ok(_) => Ok(Differentiable::Twice),
        Err(error) if error.is_out_of_memory() => Err(NetworkError::from(error).into()),
        Err(_) => Ok(Differentiable::Once),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_as_in_python() {
        let number = || IValue::Int(1);
        for (output, expected) in [
            (IValue::Tuple(vec![number(), number()]), "a tuple of 2"),
            (IValue::GenericDict(vec![(number(), number())]), "a dictionary"),
            (IValue::None, "None"),
            (number(), "an object that is no tensor"),
        ] {
            assert_eq!(described(&output), expected);
        }
    }
}
