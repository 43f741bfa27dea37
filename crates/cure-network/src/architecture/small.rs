//! Networks for the embedded digits, and the small residual network without BatchNorm of the
//! α,β-CROWN verification benchmarks.

use cure_tensor::ops::{Activation, Window};

use crate::layout::{Id, Layout};

/// Fully connected layers `fc1`, `fc2`, … with σ between them.
pub(super) fn perceptron(
    layout: &mut Layout,
    hidden: &[usize],
    activation: Activation,
    classes: usize,
) {
    let mut x = layout.flatten(0);
    for (index, &width) in hidden.iter().enumerate() {
        let y = layout.linear(&format!("fc{}", index + 1), x, width);
        x = layout.activate(y, activation);
    }
    layout.linear(&format!("fc{}", hidden.len() + 1), x, classes);
}

/// Two 3×3 convolutions (the second with stride 2 and twice the channels) and two linear layers.
pub(super) fn convolutional(
    layout: &mut Layout,
    width: usize,
    activation: Activation,
    classes: usize,
) {
    let x = layout.convolution("conv1", 0, width, 3, Window::new(1, 1), true);
    let x = layout.activate(x, activation);
    let x = layout.convolution("conv2", x, 2 * width, 3, Window::new(2, 1), true);
    let x = layout.activate(x, activation);
    let x = layout.flatten(x);
    let x = layout.linear("fc1", x, 4 * width);
    let x = layout.activate(x, activation);
    layout.linear("fc2", x, classes);
}

/// conv1 (stride 2), two blocks conv-σ-conv with biases and no BatchNorm, two linear layers.
pub(super) fn resnet2b(layout: &mut Layout, activation: Activation, classes: usize) {
    let x = layout.convolution("conv1", 0, 8, 3, Window::new(2, 1), true);
    let x = layout.activate(x, activation);
    let x = plain_block(layout, "layer1.0", x, 16, 2, activation);
    let x = plain_block(layout, "layer1.1", x, 16, 1, activation);
    let x = layout.flatten(x);
    let x = layout.linear("linear1", x, 100);
    let x = layout.activate(x, activation);
    layout.linear("linear2", x, classes);
}

fn plain_block(
    layout: &mut Layout,
    name: &str,
    x: Id,
    width: usize,
    stride: usize,
    activation: Activation,
) -> Id {
    let bypass = if stride == 1 && layout.shape(x)[0] == width {
        x
    } else {
        let name = format!("{name}.shortcut.0");
        layout.convolution(&name, x, width, 1, Window::new(stride, 0), true)
    };
    let y = layout.convolution(&format!("{name}.conv1"), x, width, 3, Window::new(stride, 1), true);
    let y = layout.activate(y, activation);
    let y = layout.convolution(&format!("{name}.conv2"), y, width, 3, Window::new(1, 1), true);
    let sum = layout.add(y, bypass);
    layout.activate(sum, activation)
}
