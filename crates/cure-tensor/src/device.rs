//! Where tensors live: a choice of the process.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::{Precision, Result, TensorError};

/// A place for tensors, and the engine that computes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// This crate's own operations.
    #[default]
    Cpu,
    /// libtorch on the CPU.
    TorchCpu,
    /// libtorch on the CUDA device of this index.
    TorchCuda(usize),
}

/// The environment variable that names the device where nothing else does.
pub const DEVICE_VARIABLE: &str = "CURE_DEVICE";

static CHOSEN: OnceLock<(Device, Precision)> = OnceLock::new();

impl Device {
    /// Whether libtorch computes there.
    pub fn is_torch(self) -> bool {
        self != Self::Cpu
    }

    /// Whether it can be used here and now.
    ///
    /// # Errors
    /// [`TensorError::Argument`] if this build or this machine does not have it.
    pub fn check(self) -> Result<()> {
        let refuse = |accepted: String| {
            let (operation, argument) = ("a device", "its name");
            Err(TensorError::Argument { operation, argument, value: self.to_string(), accepted })
        };
        match self {
            Self::Cpu => Ok(()),
            #[cfg(not(feature = "libtorch"))]
            _ => refuse("cpu; for others build with --features libtorch".into()),
            #[cfg(feature = "libtorch")]
            Self::TorchCpu => Ok(()),
            #[cfg(feature = "libtorch")]
            Self::TorchCuda(index) => match crate::torch::cuda_devices() {
                0 => refuse("cpu or torch:cpu; libtorch finds no CUDA device".into()),
                count if index < count => Ok(()),
                count => refuse(format!("torch:cuda:0 to torch:cuda:{}", count - 1)),
            },
        }
    }
}

impl FromStr for Device {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self> {
        let device = match text {
            "cpu" => Some(Self::Cpu),
            "torch:cpu" => Some(Self::TorchCpu),
            "torch:cuda" => Some(Self::TorchCuda(0)),
            _ => text
                .strip_prefix("torch:cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::TorchCuda),
        };
        device.ok_or_else(|| TensorError::Argument {
            operation: "a device",
            argument: "its name",
            value: text.to_owned(),
            accepted: "cpu, torch:cpu or torch:cuda[:INDEX]".into(),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::TorchCpu => formatter.write_str("torch:cpu"),
            Self::TorchCuda(index) => write!(formatter, "torch:cuda:{index}"),
        }
    }
}

/// Puts all tensors of the process on this device, which multiplies in this precision, and where `threads` may
/// work on one operation: for libtorch; the CPU's operations are shared by the rayon pool that they are called
/// in.
///
/// # Errors
/// If [`Device::check`] or [`Precision::check`] refuses it, or there are tensors, or a choice, already.
pub fn use_device(device: Device, precision: Precision, threads: usize) -> Result<()> {
    device.check()?;
    precision.check(device)?;
    #[cfg(feature = "libtorch")]
    crate::torch::use_threads(threads);
    #[cfg(not(feature = "libtorch"))]
    let _ = threads;
    let (chosen, with) = *CHOSEN.get_or_init(|| ready(device, precision));
    if (chosen, with) == (device, precision) {
        return Ok(());
    }
    Err(TensorError::Argument {
        operation: "use_device",
        argument: "the device",
        value: format!("{device} in {precision}"),
        accepted: format!("one choice, before the first tensor; it is {chosen} in {with}"),
    })
}

/// The device that [`DEVICE_VARIABLE`] names; none where it is not set.
///
/// # Errors
/// If it names none, or one that cannot be used here.
pub fn named_by_environment() -> Result<Option<Device>> {
    let Some(name) = std::env::var_os(DEVICE_VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let named = || -> Result<Device> {
        let device: Device = name.to_string_lossy().parse()?;
        device.check().map(|()| device)
    };
    named().map(Some).map_err(|error| match error {
        TensorError::Argument { value, accepted, .. } => TensorError::Argument {
            operation: "the environment",
            argument: DEVICE_VARIABLE,
            value,
            accepted,
        },
        other => other,
    })
}

/// The device of all tensors: what [`use_device`] chose, or else [`DEVICE_VARIABLE`] names, or else the
/// CPU.
pub fn device() -> Device {
    chosen().0
}

/// What its convolutions multiply in: what [`use_device`] chose, or else `f32`.
pub fn precision() -> Precision {
    chosen().1
}

fn chosen() -> (Device, Precision) {
    let default = || named_by_environment().ok().flatten().unwrap_or_default();
    *CHOSEN.get_or_init(|| ready(default(), Precision::default()))
}

/// What went wrong on the device in operations that cannot say so, once: numbers that they gave are NaN. Whoever
/// is about to judge numbers asks first.
///
/// # Errors
/// That of the first of them.
pub fn failure() -> Result<()> {
    #[cfg(feature = "libtorch")]
    crate::torch::earlier()?;
    Ok(())
}

/// Waits until the device has done all it was asked for: for those who look at the clock.
///
/// # Errors
/// If the device has failed meanwhile.
pub fn wait() -> Result<()> {
    #[cfg(feature = "libtorch")]
    if let Device::TorchCuda(index) = device() {
        return crate::torch::wait(index);
    }
    Ok(())
}

/// The choice, once libtorch knows of it: on GPUs its own default is TF32.
fn ready(device: Device, precision: Precision) -> (Device, Precision) {
    #[cfg(feature = "libtorch")]
    if device.is_torch() {
        crate::torch::set_up(precision == Precision::Tf32);
        crate::torch::keep_memory();
    }
    (device, precision)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["cpu", "torch:cpu", "torch:cuda:0", "torch:cuda:11"] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        assert_eq!("torch:cuda".parse::<Device>().unwrap(), Device::TorchCuda(0));
        for name in ["", "gpu", "torch", "torch:cuda:", "torch:cuda:-1", "torch:cuda:x", "CPU"] {
            assert!(name.parse::<Device>().unwrap_err().to_string().contains("torch:cuda"));
        }
    }

    #[test]
    fn the_environment_is_heeded() {
        // A device that cannot be had would leave the tests on another one.
        let named = named_by_environment().unwrap();
        assert_eq!(device(), named.unwrap_or_default());
    }
}
