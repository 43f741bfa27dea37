"""Writes the golden files: first and second order derivatives of small networks, by PyTorch.

    pip install torch==2.11.0 safetensors numpy
    python golden/make_golden.py [--out golden]

Parameters, images and directions are float32 numbers; everything is computed from them in float64
and stored as float32. Nothing here folds BatchNorm or uses an R-operator: second order is
double backward through the network as it stands, and central differences in θ check it.
`README.md` beside this file lists the tensors.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "parity"))
from networks import CIFAR10, Normalized, PreActResNet, ResNet  # noqa: E402

WIDTHS, BLOCKS, CLASSES, SAMPLES, SIDE = (4, 8, 16), (1, 1, 1), 10, 5, 8
H = 0.1  # ℓ2 length of the step along z, over pixels in [0, 1]
ACTIVATIONS = {
    "relu": F.relu,
    "softplus": lambda x: F.softplus(x, beta=10.0),  # linear where βx > 20, off by 2e-10
    "silu": F.silu,
    "gelu": F.gelu,  # exact, by erf
}
EVAL_CASES = {
    "resnet8_conv_relu": ("convolution", "relu"),
    "resnet8_option_a_relu": ("option_a", "relu"),
    "resnet8_conv_softplus": ("convolution", "softplus"),
    "resnet8_conv_silu": ("convolution", "silu"),
    "resnet8_conv_gelu": ("convolution", "gelu"),
    "preact_relu": ("preact", "relu"),
}
# A golden value must not hang on rounding: no ReLU input nearer its kink and no gradient entry
# nearer zero (relative to the largest) than this.
MARGIN = 2e-5
# Entries of the largest tensor whose gradient `objectives` stores.
SMALL = 200


def build(kind, activation, seed):
    """A network with non-trivial BatchNorm parameters and statistics, in eval mode, float64."""
    torch.manual_seed(seed)
    if kind == "preact":
        inner = PreActResNet(WIDTHS, BLOCKS, CLASSES, ACTIVATIONS[activation])
    else:
        inner = ResNet(WIDTHS, BLOCKS, CLASSES, kind, ACTIVATIONS[activation])
    for module in inner.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.8)
            nn.init.normal_(module.bias, std=0.3)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return Normalized(inner, CIFAR10).double().eval()


def draw_inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (SAMPLES, 3, SIDE, SIDE)
    # 0.02 … 0.98: x + hz stays in the box, so no program's clipping can matter.
    images = torch.rand(shape, generator=generator) * 0.96 + 0.02
    labels = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    v = torch.randn(shape, generator=generator)
    u = torch.randn((SAMPLES, CLASSES), generator=generator)
    return images.double(), labels, v.double(), u.double()


def per_sample_loss(network, x, labels):
    return F.cross_entropy(network(x), labels, reduction="none")


def input_gradient(network, x, labels, create_graph=False):
    """∇ₓ Σℓ. In eval mode row i is the gradient of sample i's own loss."""
    x = x.detach().requires_grad_(True)
    loss = per_sample_loss(network, x, labels).sum()
    return torch.autograd.grad(loss, x, create_graph=create_graph)[0]


def unit_sign(gradient):
    """z = sign(g) / ‖sign(g)‖₂ per sample."""
    sign = gradient.sign()
    return sign / sign.flatten(1).norm(dim=1)[:, None, None, None]


def gradient_difference(network, x, labels, z, create_graph=False):
    """Δg = ∇ₓΣℓ(x + hz) − ∇ₓΣℓ(x); z is a constant."""
    moved = input_gradient(network, x + H * z, labels, create_graph)
    return moved - input_gradient(network, x, labels, create_graph)


def regularizer(difference, squared):
    norm_squared = difference.flatten(1).square().sum(1)
    return norm_squared if squared else norm_squared.sqrt()


def parameters(network):
    return dict(network.network.named_parameters())


def parameter_gradient(network, scalar):
    named = parameters(network)
    return dict(zip(named, torch.autograd.grad(scalar, list(named.values()))))


def check_against_central_differences(network, value, gradients, label):
    """Each tensor's gradient, along itself, against (f(θ+ε) − f(θ−ε)) / 2ε; none may be zero."""
    worst = 0.0
    for name, parameter in parameters(network).items():
        gradient = gradients[name]
        norm = gradient.norm()
        assert norm > 1e-8, f"{label}: the gradient of {name} is zero"
        step = 1e-6 * gradient / norm
        kept = parameter.data.clone()
        parameter.data = kept + step
        above = value()
        parameter.data = kept - step
        below = value()
        parameter.data = kept
        error = abs((above - below) / 2e-6 - norm) / norm
        worst = max(worst, float(error))
        # Roundoff of the difference: ~1e-16·value/1e-6, against small norms.
        assert error < 1e-4, f"{label}: {name} is off by {error:.1e} of its size"
    return worst


def kink_margin(network, x):
    """The smallest |input| of any ReLU."""
    smallest = []
    inner = network.network
    kept = {m: m.activation for m in inner.modules() if hasattr(m, "activation")}

    def watched(value):
        smallest.append(float(value.detach().abs().min()))
        return F.relu(value)

    for module in kept:
        module.activation = watched
    with torch.no_grad():
        network(x)
    for module, activation in kept.items():
        module.activation = activation
    return min(smallest)


def is_robust_to_rounding(network, images, labels, activation, train):
    """Whether every sign and every ReLU mask used below is clear of float32 rounding."""
    network.eval()
    gradient = input_gradient(network, images, labels)
    peak = gradient.flatten(1).abs().amax(1)[:, None, None, None]
    if float((gradient.abs() / peak).min()) < MARGIN:
        return False
    if activation != "relu":
        return True
    z = unit_sign(gradient)
    if train:
        # momentum 0: looking at the network must not change its running statistics.
        network.train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
    margin = min(kink_margin(network, images), kink_margin(network, images + H * z))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    network.eval()
    return margin > MARGIN


def robust_case(kind, activation, train=False):
    """The first seed whose values do not hang on rounding."""
    for seed in range(1000):
        network = build(kind, activation, seed)
        images, labels, v, u = draw_inputs(10_000 + seed)
        if is_robust_to_rounding(network, images, labels, activation, train):
            return seed, network, images, labels, v, u
    raise RuntimeError("no seed under 1000 keeps clear of every kink; lower MARGIN")


def prefixed(prefix, tensors):
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def weights_of(network):
    state = network.network.state_dict()
    return prefixed(
        "weights", {k: v.clone() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    )


def regularizer_tensors(network, images, labels, z, label):
    """Both regularisers per sample and the parameter gradients of their batch means."""
    tensors = {}
    for name, squared in (("squared", True), ("unsquared", False)):

        def mean_regularizer(create_graph=False, squared=squared):
            difference = gradient_difference(network, images, labels, z, create_graph)
            return regularizer(difference, squared)

        values = mean_regularizer(create_graph=True)
        gradients = parameter_gradient(network, values.mean())
        worst = check_against_central_differences(
            network, lambda: mean_regularizer().mean(), gradients, f"{label} {name}"
        )
        mean = values.mean().item()
        print(f"  {name:9} mean L_r {mean:.6f}, central differences within {worst:.1e}")
        tensors[f"regularizer_{name}"] = values.detach()
        tensors |= prefixed(f"regularizer_gradient_{name}", gradients)
    return tensors


def eval_mode_case(kind, activation):
    seed, network, images, labels, v, u = robust_case(kind, activation)
    label = f"{kind} {activation}"
    print(f"{label} (seed {seed})")
    with torch.no_grad():
        logits = network(images)
        loss = F.cross_entropy(logits, labels, reduction="none")
    gradient = input_gradient(network, images, labels)
    z = unit_sign(gradient)

    mean_loss = per_sample_loss(network, images, labels).mean()
    loss_gradient = parameter_gradient(network, mean_loss)
    check_against_central_differences(
        network,
        lambda: per_sample_loss(network, images, labels).mean().detach(),
        loss_gradient,
        f"{label} loss",
    )

    # ⟨v, ∇ₓℓ⟩ once more differentiated: by x it is Hv, by θ the building block of both L_r.
    x = images.clone().requires_grad_(True)
    first = torch.autograd.grad(
        per_sample_loss(network, x, labels).sum(), x, create_graph=True
    )[0]
    hessian_vector = torch.autograd.grad((first * v).sum(), x, retain_graph=True)[0]
    directional_gradient = parameter_gradient(network, (first * v).sum() / SAMPLES)

    pushforward = torch.func.jvp(network, (images,), (v,))[1]
    x = images.clone().requires_grad_(True)
    pullback = torch.autograd.grad((network(x) * u).sum(), x)[0]
    assert torch.allclose((pushforward * u).sum(), (pullback * v).sum(), rtol=1e-10)

    tensors = {
        "images": images,
        "labels": labels,
        "logits": logits,
        "loss": loss,
        "input_gradient": gradient,
        "direction": z,
        "perturbed_gradient": input_gradient(network, images + H * z, labels),
        "v": v,
        "hessian_vector": hessian_vector,
        "pushforward": pushforward,
        "u": u,
        "pullback": pullback,
    }
    tensors |= weights_of(network)
    tensors |= prefixed("loss_gradient", loss_gradient)
    tensors |= prefixed("directional_gradient", directional_gradient)
    tensors |= regularizer_tensors(network, images, labels, z, label)
    return tensors, {"seed": seed, "architecture": kind, "activation": activation, "mode": "eval"}


def train_mode_case():
    seed, network, images, labels, _, _ = robust_case("convolution", "relu", train=True)
    print(f"train mode (seed {seed})")
    tensors = {"images": images, "labels": labels} | weights_of(network)

    # As a training step finds it: z in eval mode, everything else in train mode.
    tensors["direction"] = z = unit_sign(input_gradient(network, images, labels))

    # Running statistics after exactly one train-mode pass.
    network.train()
    x = images.clone().requires_grad_(True)
    logits = network(x)
    losses = F.cross_entropy(logits, labels, reduction="none")
    tensors["logits"] = logits.detach()
    tensors["loss"] = losses.detach()
    state = network.network.state_dict()
    tensors |= prefixed(
        "running_after", {k: v.clone() for k, v in state.items() if ".running_" in k}
    )
    tensors["input_gradient"] = torch.autograd.grad(losses.sum(), x, retain_graph=True)[0]
    loss_gradient = parameter_gradient(network, losses.mean())
    tensors |= prefixed("loss_gradient", loss_gradient)
    # From here on the statistics no longer matter: train mode does not read them.
    check_against_central_differences(
        network,
        lambda: per_sample_loss(network, images, labels).mean().detach(),
        loss_gradient,
        "train mode loss",
    )
    tensors["perturbed_gradient"] = input_gradient(network, images + H * z, labels)
    tensors |= regularizer_tensors(network, images, labels, z, "train mode")
    described = {"seed": seed, "architecture": "convolution", "activation": "relu", "mode": "train"}
    return tensors, described


def objectives_case():
    """Objectives of training at given points, literally from their definitions; BatchNorm in eval mode.

    The network and the images are those of `resnet8_conv_softplus`: only points, values and gradients
    are stored, and of the gradients the small tensors, by name one behind the other.
    """
    seed, network, images, labels, _, _ = robust_case("convolution", "softplus")
    generator = torch.Generator().manual_seed(seed + 20_000)

    def near():
        return images + 0.8 * (torch.rand(images.shape, generator=generator).double() - 0.5)

    points, x_a, x_b, noisy = (near().float().double() for _ in range(4))
    alpha = torch.tensor([0.1, 0.3, 0.45, 0.8, 0.95], dtype=torch.float64)
    rows = torch.arange(SAMPLES)

    def losses(x):
        return per_sample_loss(network, x, labels)

    def probabilities(x):
        scores = network(x).exp()
        return scores / scores.sum(1, keepdim=True)

    def slopes(x):
        x = x.clone().requires_grad_(True)
        return torch.autograd.grad(losses(x).sum(), x, create_graph=True)[0].flatten(1)

    def trades():
        p, q = probabilities(images), probabilities(points)
        return losses(images) + 2.5 * (p * (p / q).log()).sum(1)

    def mart():
        p, q = probabilities(images), probabilities(points)
        others = q.clone()
        others[rows, labels] = 0.0
        boosted = -q[rows, labels].log() - (1 - others.max(1).values).log()
        return boosted + 50.0 * (1 - p[rows, labels]) * (p * (p / q).log()).sum(1)

    def gradalign():
        a, b = slopes(images), slopes(noisy)
        cosine = (a * b).sum(1) / ((a * a).sum(1) * (b * b).sum(1)).sqrt()
        return losses(points) + 2.0 * (1 - cosine)

    fixed = slopes(images).detach()

    def gradalign_held():
        b = slopes(noisy)
        cosine = (fixed * b).sum(1) / ((fixed * fixed).sum(1) * (b * b).sum(1)).sqrt()
        return losses(points) + 2.0 * (1 - cosine)

    def llr():
        linear = ((points - images).flatten(1) * slopes(images)).sum(1)
        distance = losses(points) - losses(images) - linear
        return losses(images) + 4.0 * distance.abs() + 3.0 * linear.abs()

    def elle():
        share = alpha[:, None, None, None]
        x_c = (1 - share) * x_a + share * x_b
        distance = losses(x_c) - (1 - alpha) * losses(x_a) - alpha * losses(x_b)
        return losses(points) + 100.0 * distance**2

    objectives = {
        "standard:smoothing=0.1": lambda: F.cross_entropy(
            network(images), labels, reduction="none", label_smoothing=0.1
        ),
        "gradient-penalty:lambda=0.3": lambda: losses(images) + 0.3 * (slopes(images) ** 2).sum(1),
        "gradient-penalty:lambda=0.3,squared=false": lambda: losses(images)
        + 0.3 * (slopes(images) ** 2).sum(1).sqrt(),
        "trades:eps=0.1,beta=2.5": trades,
        "mart:eps=0.1,lambda=50": mart,
        "gradalign:eps=0.1,lambda=2": gradalign,
        "gradalign:eps=0.1,lambda=2,held=true": gradalign_held,
        "llr:eps=0.1": llr,
        "elle:eps=0.1,lambda=100": elle,
    }
    tensors = {"points": points, "x_a": x_a, "x_b": x_b, "noisy": noisy, "alpha": alpha}
    for spec, objective in objectives.items():
        value = objective().mean()
        gradients = parameter_gradient(network, value)
        check_against_central_differences(
            network, lambda: objective().mean().detach(), gradients, spec
        )
        print(f"  {spec}: {value.item():.6f}")
        small = [gradients[name].flatten() for name in sorted(gradients)]
        tensors[f"{spec}/value"] = value.detach().reshape(1)
        tensors[f"{spec}/gradient"] = torch.cat([g for g in small if len(g) <= SMALL])
    return tensors, {"seed": seed, "network": "resnet8_conv_softplus"}


def optimizer_case():
    """Ten steps of each optimiser under the same given gradients."""
    generator = torch.Generator().manual_seed(1)
    size, steps = 7, 10
    initial = torch.randn(size, generator=generator)
    gradients = torch.randn((steps, size), generator=generator)
    gradients[:, 0] *= 1e-6  # so small that Adam's ε is felt
    gradients[3:6, 1] = 0.0
    settings = {
        "adam": ("Adam", {"lr": 8e-4, "betas": (0.9, 0.999), "eps": 1e-8}),
        "adam_weight_decay": ("Adam", {"lr": 1e-2, "weight_decay": 0.1}),
        "sgd": ("SGD", {"lr": 0.1}),
        "sgd_momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
        "sgd_momentum_weight_decay": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-2}),
        "sgd_nesterov_weight_decay": (
            "SGD",
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-2},
        ),
    }
    tensors = {"initial": initial, "gradients": gradients}
    for name, (kind, options) in settings.items():
        parameter = initial.double().clone().requires_grad_(True)
        optimizer = getattr(torch.optim, kind)([parameter], **options)
        rows = []
        for gradient in gradients.double():
            parameter.grad = gradient.clone()
            optimizer.step()
            rows.append(parameter.detach().clone())
        tensors[name] = torch.stack(rows)
    return tensors, {"settings": {k: {"kind": v[0], **v[1]} for k, v in settings.items()}}


def write(folder, name, tensors, described):
    stored = {
        key: value.detach().contiguous().to(torch.int64 if key == "labels" else torch.float32)
        for key, value in tensors.items()
    }
    for key, value in stored.items():
        assert value.isfinite().all(), f"{name}: {key} is not finite"
    # One metadata key, because the order of several is not fixed and the file should be.
    path = folder / f"{name}.safetensors"
    save_file(stored, path, metadata={"golden": json.dumps({"h": H, **described})})
    print(f"  -> {path.name}, {path.stat().st_size} bytes, {len(stored)} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation, hence one file
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (kind, activation) in EVAL_CASES.items():
        write(options.out, name, *eval_mode_case(kind, activation))
    write(options.out, "resnet8_train_mode", *train_mode_case())
    write(options.out, "objectives", *objectives_case())
    write(options.out, "optimizers", *optimizer_case())


if __name__ == "__main__":
    main()
