//! The closed set of operations.
//!
//! Names say what an operation computes; which derivative rule it serves is said where the
//! networks call it. Shapes are checked before any work, and a mismatch is an error.

/// Hands an operation over to libtorch where that is the engine.
macro_rules! on_torch {
    ($name:ident($($argument:expr),* $(,)?)) => {
        #[cfg(feature = "libtorch")]
        if crate::torch::is_chosen() {
            return crate::torch::$name($($argument),*);
        }
    };
}

/// The same for operations on two tensors of one shape.
macro_rules! zip_on_torch {
    ($a:expr, $b:expr, $name:ident($($argument:expr),* $(,)?)) => {
        let _running = crate::meter::operation(stringify!($name));
        super::elementwise::same_shape(stringify!($name), $a, $b)?;
        on_torch!($name($($argument),*));
    };
}

mod activation;
mod ascent;
mod batch_norm;
mod channel;
mod convolution;
mod elementwise;
mod layout;
mod machine;
mod parallel;
mod pooling;
mod running;
mod sample;
mod softmax;
mod whole;

pub use activation::{Activation, activate, activation_pullback, activation_second_order};
pub use ascent::{rounded_within, sign_step};
pub use batch_norm::{batch_norm, batch_norm_pullback, batch_norm_sums};
pub use channel::{ChannelSum, channel_combination, channel_moments, channel_sums};
pub use convolution::{
    Epilogue, Kernel, Window, convolution, convolution_input_gradient, convolution_weight_gradient,
};
pub use elementwise::{add, axpy, clamp, map, scale, subtract, zip_map};
pub use layout::{
    channel_major, concatenate, flatten, replace_rows, sample_major, select, unflatten,
};
pub(crate) use machine::vectorised;
pub use machine::{Vectors, takes_plain_sums, use_plain_sums, use_vectors};
pub use parallel::alone;
pub(crate) use parallel::is_alone;
pub use pooling::{
    average_pool, average_pool_transpose, global_average, global_average_transpose, subsample,
    subsample_transpose,
};
pub use running::{over_root, running_mean, running_square, towards};
pub use sample::{
    direction_of_sign, normalised, perturb, sample_dot, sample_l1, sample_l2, sample_linf,
    scale_samples,
};
pub use softmax::{CrossEntropy, cross_entropy, softmax, softmax_covariance};
pub use whole::{are_finite, norms};
