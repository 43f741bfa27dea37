//! The libtorch engine: the operations of [`ops`](crate::ops) by ATen, on its CPU or on CUDA devices.
//!
//! A tensor's shape is what it is on the CPU engine, channel-major inside a network; what lies in memory
//! is ATen's affair. Exchanging channels and samples is then a view, and convolutions find channels last
//! behind it, where they are fastest. What has no operation here is done on the host and brought back.

mod activation;
mod ascent;
mod batch_norm;
mod channel;
mod convolution;
mod doubles;
mod elementwise;
mod layout;
mod pooling;
mod sample;
mod softmax;
mod values;
mod whole;

use std::sync::{Mutex, PoisonError};

use tch::TchError;

use crate::{Device, Result, Tensor, TensorError};

pub(crate) use activation::*;
pub(crate) use ascent::*;
pub(crate) use batch_norm::*;
pub(crate) use channel::*;
pub(crate) use convolution::*;
pub(crate) use doubles::Doubles;
pub(crate) use elementwise::*;
pub(crate) use layout::*;
pub(crate) use pooling::*;
pub(crate) use sample::*;
pub(crate) use softmax::*;
pub(crate) use values::Values;
pub(crate) use whole::*;

/// ATen's answer.
pub type Made<T = tch::Tensor> = std::result::Result<T, TchError>;

/// Whether tensors are ATen's.
pub(crate) fn is_chosen() -> bool {
    crate::device().is_torch()
}

/// How many CUDA devices libtorch sees.
pub(crate) fn cuda_devices() -> usize {
    usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
}

// `shim.cpp`.
unsafe extern "C" {
    fn cure_allow_tf32(allow: std::ffi::c_int);
}

/// Whether GPUs may multiply in TF32.
pub(crate) fn allow_tf32(allow: bool) {
    // SAFETY: sets two flags of ATen's context.
    unsafe { cure_allow_tf32(allow.into()) }
}

/// Lets glibc keep what ATen frees: big blocks are else returned to the kernel, and faulted in again, with every
/// operation.
pub(crate) fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets two numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Waits for a CUDA device, by reading what it computes last.
pub(crate) fn wait(index: usize) -> Result<()> {
    let found = || {
        let options = (tch::Kind::Double, tch::Device::Cuda(index));
        tch::Tensor::f_zeros([1], options)?.f_double_value(&[0])
    };
    found().map(|_| ()).map_err(|cause| error("wait", &cause))
}

/// Threads for what one operation of ATen does on the CPU.
pub(crate) fn use_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// Where ATen's values are: the CPU for the CPU's own engine too.
pub fn place() -> tch::Device {
    match crate::device() {
        Device::TorchCuda(index) => tch::Device::Cuda(index),
        Device::Cpu | Device::TorchCpu => tch::Device::Cpu,
    }
}

/// What a function of `shim.cpp` says: nothing, or why it failed.
fn refused(message: *mut std::ffi::c_char) -> Made<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a C string that the shim allocated by malloc and left to us.
    let text = unsafe {
        let text = std::ffi::CStr::from_ptr(message).to_string_lossy().into_owned();
        libc::free(message.cast());
        text
    };
    Err(TchError::Torch(text))
}

/// What went wrong in an operation that has no way to say so; the next one that has says it.
static FAILURE: Mutex<Option<TensorError>> = Mutex::new(None);

/// What libtorch says, in a line: its message goes on with traces of calls, of TorchScript before the error and
/// of libtorch after it.
pub fn reason(cause: &TchError) -> String {
    /// Longer ones give advice for Python.
    const LONGEST: usize = 160;
    let text = cause.to_string();
    let of_script = text.lines().rev().find_map(|line| line.trim().strip_prefix("RuntimeError: "));
    let first = || text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = of_script.or_else(first).unwrap_or_default();
    let line = line.strip_prefix("Internal torch error: ").unwrap_or(line);
    match line.split_once(". ") {
        Some((sentence, _)) if line.len() > LONGEST => sentence.to_owned(),
        _ => line.to_owned(),
    }
}

/// A failure of ATen in `operation`.
pub fn error(operation: &'static str, cause: &TchError) -> TensorError {
    let reason = reason(cause);
    match reason.contains("out of memory") {
        true => TensorError::OutOfMemory { operation, device: crate::device() },
        false => TensorError::Device { operation, device: crate::device(), reason },
    }
}

/// The error of an earlier operation, once.
fn earlier() -> Result<()> {
    match FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What ATen made, as a tensor of ours.
fn made(operation: &'static str, made: Made) -> Result<Tensor> {
    earlier()?;
    let values = made.map_err(|cause| error(operation, &cause))?;
    let size = values.size();
    let shape: Vec<usize> = size.iter().filter_map(|&side| usize::try_from(side).ok()).collect();
    Ok(Tensor::of_torch(&shape, Values::new(values)))
}

/// A tensor's values as ATen's, for networks that ATen computes.
///
/// # Errors
/// If they cannot be copied to the device.
pub fn values(tensor: &Tensor) -> Made {
    tensor.torch()
}

/// What ATen computed as a tensor on the device of the process.
///
/// # Errors
/// If ATen failed, or an earlier operation that could not say so.
pub fn tensor(operation: &'static str, found: Made) -> Result<Tensor> {
    let tensor = made(operation, found)?;
    if is_chosen() {
        return Ok(tensor);
    }
    let shape = tensor.shape().to_vec();
    let values = tensor.into_vec();
    earlier()?;
    Ok(Tensor::on_host(&shape, values))
}

/// The same for operations that cannot fail on the host: NaN where ATen fails, and the error is kept for
/// the next operation that can.
fn surely(operation: &'static str, shape: &[usize], found: Made) -> Tensor {
    match found {
        Ok(values) => Tensor::of_torch(shape, Values::new(values)),
        Err(cause) => {
            keep(error(operation, &cause));
            Tensor::on_host(shape, vec![f32::NAN; shape.iter().product()])
        }
    }
}

fn keep(error: TensorError) {
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

/// Numbers read back from the device.
fn read(operation: &'static str, values: Made) -> Result<Vec<f64>> {
    earlier()?;
    let values = values.and_then(|values| Vec::<f64>::try_from(values.f_contiguous()?.f_view(-1)?));
    let values = values.map_err(|cause| error(operation, &cause))?;
    crate::meter::read_back(values.len());
    Ok(values)
}

/// Numbers of the host, `[N, 1, …, 1]` with so many dimensions: one for each row of another tensor.
fn column(values: &[f32], dimensions: usize) -> Made {
    let mut shape = vec![1; dimensions.max(1)];
    shape[0] = values.len() as i64;
    tch::Tensor::f_from_slice(values)?.f_to_device(place())?.f_view(shape.as_slice())
}

/// All dimensions but the first.
fn inner(dimensions: usize) -> Vec<i64> {
    (1..dimensions as i64).collect()
}
