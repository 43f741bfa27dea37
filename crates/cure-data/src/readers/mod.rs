//! One file a source. Each ends in `Dataset::from_origin`, which checks what all have in common.

pub(crate) mod aside;
pub(crate) mod cifar;
mod cifar_binary;
mod cifar_python;
pub(crate) mod digits;
pub(crate) mod folder;
mod labels;
mod matlab;
mod matlab_element;
mod npy;
pub(crate) mod npz;
pub(crate) mod svhn;
