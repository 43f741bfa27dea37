//! Nothing: the build script is the crate. It has no dependency, so cargo runs it long before torch-sys's,
//! which ends in a panic of many lines where PyTorch is missing or another.
