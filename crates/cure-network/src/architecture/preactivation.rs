//! Pre-activation residual networks (He et al. 2016, "Identity mappings") and the wide residual
//! networks built on them (Zagoruyko & Komodakis 2016).

use cure_tensor::ops::{Activation, Window};

use crate::layout::{Id, Layout};

/// The names public code gives to the parts.
pub(super) struct Names {
    /// A block's name from its stage (from 1) and its place.
    pub(super) block: fn(usize, usize) -> String,
    /// The convolution of a shortcut that changes the shape.
    pub(super) shortcut: &'static str,
    /// The last batch normalisation.
    pub(super) norm: &'static str,
    /// The linear layer.
    pub(super) linear: &'static str,
}

/// Names of the public PreActResNet for CIFAR.
pub(super) const PREACT: Names = Names {
    block: |stage, block| format!("layer{stage}.{block}"),
    shortcut: "shortcut.0",
    norm: "bn",
    linear: "linear",
};

/// Names of the public WideResNet that RobustBench uses.
pub(super) const WIDE: Names = Names {
    block: |stage, block| format!("block{stage}.layer.{block}"),
    shortcut: "convShortcut",
    norm: "bn1",
    linear: "fc",
};

/// A 3×3 convolution to `stem` channels, stages of pre-activation blocks, BN and σ, the global
/// average, one linear layer.
pub(super) fn build(
    layout: &mut Layout,
    names: &Names,
    stem: usize,
    widths: &[usize],
    blocks: &[usize],
    activation: Activation,
    classes: usize,
) {
    let mut x = layout.convolution("conv1", 0, stem, 3, Window::new(1, 1), false);
    for (stage, (&width, &count)) in widths.iter().zip(blocks).enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = (names.block)(stage + 1, block);
            x = pre_block(layout, names, &name, x, width, stride, activation);
        }
    }
    let x = layout.batch_norm(names.norm, x);
    let x = layout.activate(x, activation);
    let features = layout.global_average(x);
    layout.linear(names.linear, features, classes);
}

/// conv(σ(BN(conv(σ(BN(x)))))) + shortcut; a shortcut that changes the shape sees σ(BN(x)).
fn pre_block(
    layout: &mut Layout,
    names: &Names,
    name: &str,
    x: Id,
    width: usize,
    stride: usize,
    activation: Activation,
) -> Id {
    let pre = layout.batch_norm(&format!("{name}.bn1"), x);
    let pre = layout.activate(pre, activation);
    let bypass = if stride == 1 && layout.shape(x)[0] == width {
        x
    } else {
        let name = format!("{name}.{}", names.shortcut);
        layout.convolution(&name, pre, width, 1, Window::new(stride, 0), false)
    };
    let y =
        layout.convolution(&format!("{name}.conv1"), pre, width, 3, Window::new(stride, 1), false);
    let y = layout.batch_norm(&format!("{name}.bn2"), y);
    let y = layout.activate(y, activation);
    let y = layout.convolution(&format!("{name}.conv2"), y, width, 3, Window::new(1, 1), false);
    layout.add(y, bypass)
}
