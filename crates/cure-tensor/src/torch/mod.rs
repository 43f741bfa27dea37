//! The libtorch engine: the operations of [`ops`](crate::ops) by ATen, on its CPU or on CUDA devices.
//!
//! A tensor's shape is what it is on the CPU engine, channel-major inside a network; what lies in memory
//! is ATen's affair. Exchanging channels and samples is then a view, and convolutions leave what they give in
//! the order in which the next one is fastest. What has no operation here is done on the host and brought back.

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
mod stored;
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
pub(crate) use stored::DeviceImages;
pub(crate) use values::Values;
pub(crate) use whole::*;

/// ATen's answer.
pub type Made<T = tch::Tensor> = std::result::Result<T, TchError>;

/// Whether tensors are ATen's.
pub(crate) fn is_chosen() -> bool {
    crate::device().is_torch()
}

/// Brings libtorch's CUDA half into the process. Nothing of ours names a symbol of it, and linkers leave out what
/// nobody names; it makes itself known to the other half when it is loaded. PyTorch without CUDA has none.
fn load_cuda() {
    #[cfg(target_os = "linux")]
    {
        static LOADED: std::sync::Once = std::sync::Once::new();
        // SAFETY: loads a library that PyTorch loads the same way, and leaves it there.
        LOADED.call_once(|| unsafe {
            libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
        });
    }
}

/// How many CUDA devices libtorch sees.
pub(crate) fn cuda_devices() -> usize {
    load_cuda();
    usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
}

// `shim.cpp`.
unsafe extern "C" {
    fn cure_set_up(allow_tf32: std::ffi::c_int);
}

/// Whether GPUs may multiply in TF32; and that they convolve the same way each time.
pub(crate) fn set_up(allow_tf32: bool) {
    // SAFETY: sets flags of ATen's context.
    unsafe { cure_set_up(allow_tf32.into()) }
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
    summary(&cause.to_string())
}

fn summary(text: &str) -> String {
    /// Longer ones give advice for Python.
    const LONGEST: usize = 160;
    // `RuntimeError: what`, or an exception of the module's own: `builtins.ValueError: what`.
    let raised = |line: &str| {
        let (kind, what) = line.trim().split_once(": ")?;
        let name = kind.rsplit('.').next().unwrap_or(kind);
        let is_one = name.ends_with("Error") || name.ends_with("Exception");
        let is_name = kind.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_');
        (is_one && is_name).then(|| what.to_owned())
    };
    let of_script =
        if text.contains("TorchScript") { text.lines().rev().find_map(raised) } else { None };
    let of_script = of_script.as_deref();
    let first = || text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = of_script.or_else(first).unwrap_or_default();
    let line = line.strip_prefix("Internal torch error: ").unwrap_or(line);
    match line.split_once(". ") {
        Some((sentence, _)) if line.len() > LONGEST => sentence.to_owned(),
        _ => line.to_owned(),
    }
}

/// Whether ATen, oneDNN, cuDNN or cuBLAS had too little of it. (oneDNN says no more than that it made nothing.)
fn is_want_of_memory(text: &str) -> bool {
    let signs =
        ["out of memory", "can't allocate memory", "ALLOC_FAILED", "could not create a primitive"];
    signs.iter().any(|sign| text.contains(sign))
}

/// A failure of ATen in `operation`.
pub fn error(operation: &'static str, cause: &TchError) -> TensorError {
    let reason = reason(cause);
    match is_want_of_memory(&cause.to_string()) {
        true => TensorError::OutOfMemory { operation, device: crate::device() },
        false => TensorError::Device { operation, device: crate::device(), reason },
    }
}

/// The error of an earlier operation, once.
pub(crate) fn earlier() -> Result<()> {
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

/// Values of the host on the device, in a row. Little ones are on their way when this returns, where ATen's other ways to
/// copy wait until the device has done all it was asked for before; for megabytes CUDA may wait as well.
///
/// # Errors
/// If they cannot be copied.
pub fn upload<T: tch::kind::Element>(values: &[T]) -> Made {
    // What is not pinned, as these values are not, CUDA copies for itself before it returns.
    tch::Tensor::f_from_slice(values)?.f_to_dtype_layout((T::KIND, place()), true, false)
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

pub(crate) fn keep(error: TensorError) {
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
    doubles::column_of(&upload(values)?, dimensions)
}

/// All dimensions but the first.
fn inner(dimensions: usize) -> Vec<i64> {
    (1..dimensions as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_a_line() {
        let script = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript \
                      (most recent call last):\n  File \"<string>\", line 4, in forward\n";
        for (text, expected) in [
            ("CUDA error: no device\nException raised from c10", "CUDA error: no device"),
            (
                &format!("{script}RuntimeError: mat1 and mat2 do not fit\n"),
                "mat1 and mat2 do not fit",
            ),
            (
                &format!("{script}builtins.ValueError: images in 0..255, please\n"),
                "images in 0..255, please",
            ),
        ] {
            assert_eq!(summary(text), expected);
        }
    }

    #[test]
    fn want_of_memory_in_its_libraries_words() {
        for text in [
            "CUDA out of memory. Tried to allocate 2.00 GiB",
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "could not create a primitive",
        ] {
            assert!(is_want_of_memory(text), "{text}");
        }
        assert!(!is_want_of_memory("The size of tensor a (3) must match the size of tensor b (4)"));
    }
}
