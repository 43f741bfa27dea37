//! Residual networks in their CIFAR form (He et al. 2016, section 4.2): a 3×3 convolution, then
//! stages of basic blocks, then the global average and one linear layer.

use cure_tensor::ops::{Activation, Window};

use super::Shortcut;
use crate::layout::{Id, Layout};

/// Stages of basic blocks: `widths[s]` channels, `blocks[s]` blocks, stride 2 from the second
/// stage on. Keys `conv1`, `bn1`, `layer{s}.{b}.…`, `linear`.
pub(super) fn build(
    layout: &mut Layout,
    widths: &[usize],
    blocks: &[usize],
    shortcut: Shortcut,
    activation: Activation,
    classes: usize,
) {
    let stem = layout.convolution("conv1", 0, widths[0], 3, Window::new(1, 1), false);
    let stem = layout.batch_norm("bn1", stem);
    let mut x = layout.activate(stem, activation);
    for (stage, (&width, &count)) in widths.iter().zip(blocks).enumerate() {
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = basic_block(layout, &name, x, width, stride, shortcut, activation);
        }
    }
    let features = layout.global_average(x);
    layout.linear("linear", features, classes);
}

/// σ(BN(conv(σ(BN(conv(x))))) + shortcut(x)).
fn basic_block(
    layout: &mut Layout,
    name: &str,
    x: Id,
    width: usize,
    stride: usize,
    shortcut: Shortcut,
    activation: Activation,
) -> Id {
    // The shortcut comes first so that the last convolution can add it as it writes.
    let bypass = if stride == 1 && layout.shape(x)[0] == width {
        x
    } else {
        match shortcut {
            Shortcut::Subsample => layout.subsample(x, stride, width),
            Shortcut::Convolution => {
                let name = format!("{name}.shortcut");
                let window = Window::new(stride, 0);
                let y = layout.convolution(&format!("{name}.0"), x, width, 1, window, false);
                layout.batch_norm(&format!("{name}.1"), y)
            }
        }
    };
    let y =
        layout.convolution(&format!("{name}.conv1"), x, width, 3, Window::new(stride, 1), false);
    let y = layout.batch_norm(&format!("{name}.bn1"), y);
    let y = layout.activate(y, activation);
    let y = layout.convolution(&format!("{name}.conv2"), y, width, 3, Window::new(1, 1), false);
    let y = layout.batch_norm(&format!("{name}.bn2"), y);
    let sum = layout.add(y, bypass);
    layout.activate(sum, activation)
}
