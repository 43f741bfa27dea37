"""Anybody's network: `cure` on TorchScript modules, beside Foolbox and PyTorch on the same modules.

    scripts/install-torch
    .venv/bin/pip install torchvision==0.26.0 foolbox==3.3.4 scipy
    scripts/with-torch cargo build --release --features libtorch
    scripts/with-torch python parity/torchscript.py

For the published ResNet-18, and for torchvision's MobileNetV3-Small and a small vision transformer with random
weights, which `cure` has no architectures for: the images that FGSM and PGD-20 leave as they were classified
under either program, the images on which the two differ (labels are the network's own predictions, so that
every image is attacked), and the largest eigenvalue of one image's Hessian, ours by Lanczos' method on double backward products, theirs
by scipy's `eigsh` on `torch.autograd.functional.hvp` in float64. PyTorch has no second derivative of
MobileNetV3's hard sigmoid. `cure` takes central differences there, which go across the kinks of its ReLUs: its
eigenvalue is shown beside that of a reference with relu6(x + 3)/6 instead, but not judged. Exit code 1 where
another eigenvalue differs by more than 1e-3 of itself, or more than 1 % of the outcomes differ.
"""

import argparse
import copy
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F

from attacks import foolbox_run
from networks import load_cifar10_test, load_published

ATTACKS = {
    "fgsm:norm=linf,eps={}/255,loss=ce-f32": lambda attacks: (
        attacks.LinfFastGradientAttack(random_start=False)
    ),
    "pgd:norm=linf,eps={}/255,steps=20,random-start=false,loss=ce-f32": lambda attacks: (
        attacks.LinfPGD(rel_stepsize=0.25, steps=20, random_start=False)
    ),
}

# Where about half of the images hold out against one of the attacks.
EPSILONS = {"resnet18": 1, "mobilenet_v3_small": 0.125, "vit": 0.5}


def telling_apart(network, last, images):
    """Random weights, but logits that tell the images apart: with their own statistics in BatchNorm, and a last
    layer that gives each class the mean 0 and the deviation 2 over them."""
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        network(images)
        logits = network.eval()(images)
        factor = 2 / logits.std(0)
        last.bias.copy_((last.bias - logits.mean(0)) * factor)
        last.weight.mul_(factor[:, None])
    return network


def mobilenet(images):
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    network = mobilenet_v3_small(num_classes=10)
    return telling_apart(network, network.classifier[-1], images)


def transformer(images):
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    # Neither of the fused forms of attention has a second derivative.
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    network = VisionTransformer(32, 8, 4, 4, 64, 128, num_classes=10)
    torch.nn.init.normal_(network.heads.head.weight, std=0.1)
    return telling_apart(network, network.heads.head, images)


class HardSigmoid(torch.nn.Module):
    def forward(self, x):
        return F.relu6(x + 3) / 6


class HardSwish(torch.nn.Module):
    def forward(self, x):
        return x * F.relu6(x + 3) / 6


def twice_differentiable(network):
    for name, child in network.named_children():
        if isinstance(child, torch.nn.Hardsigmoid):
            setattr(network, name, HardSigmoid())
        elif isinstance(child, torch.nn.Hardswish):
            setattr(network, name, HardSwish())
        else:
            twice_differentiable(child)
    return network


def largest_eigenvalue(network, image, label):
    from scipy.sparse.linalg import LinearOperator, eigsh

    network = twice_differentiable(copy.deepcopy(network)).double()
    image = image.double()[None]

    def product(v):
        v = torch.from_numpy(numpy.ascontiguousarray(v)).reshape(image.shape)
        loss = lambda x: F.cross_entropy(network(x), label)
        return torch.autograd.functional.hvp(loss, image, v)[1].flatten().numpy()

    size = image.numel()
    operator = LinearOperator((size, size), matvec=product, dtype=numpy.float64)
    found = eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]
    return float(found)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def compare(options, name, network, images):
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = Path(folder)
        module = folder / f"{name}.ts"
        torch.jit.save(torch.jit.trace(network, images[:2]), module)
        labels = network(images).argmax(1)
        pixels = (images * 255).round().to(torch.uint8).numpy()
        numpy.savez(folder / "images.npz", x=pixels, y=labels.numpy())
        model = ["--model", f"torchscript:{module}", "--device", options.device, "--quiet"]
        data = ["--data", f"npz:{folder}/images.npz"]
        specs = [spec.format(EPSILONS[name]) for spec in ATTACKS]
        attacks = [part for spec in specs for part in ("--attack", spec)]
        command = [options.cure, "evaluate", *model, *data, *attacks]
        command = [*map(str, command), "--csv", str(folder / "rows.csv")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = rows(folder / "rows.csv")
        command = [options.cure, "geometry", "profile", "--weights", module, "--model", "torchscript"]
        command += ["--device", options.device, "--quiet", *data, "--indices", "0..1"]
        command += ["--operator", "exact", "--top", 1, "--bottom", 0, "--out", folder / "out"]
        subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL)
        eigenvalue = float(rows(folder / "out" / "ends-samples.csv")[0]["eigenvalue"])
    worst = 0.0
    for spec, make in zip(specs, ATTACKS.values(), strict=True):
        points = foolbox_run(make, EPSILONS[name] / 255)(network, images, labels)
        with torch.no_grad():
            theirs = (network(points).argmax(1) == labels).tolist()
        ours = [row["verdict"] == "robust" for row in found if row["attack"].startswith(spec[:4])]
        differ = sum(a != b for a, b in zip(ours, theirs, strict=True))
        worst = max(worst, differ / len(images))
        print(f"{name}: {spec}: {sum(ours)}/{len(ours)}, Foolbox {sum(theirs)}, differ {differ}")
    twice = not any(isinstance(part, torch.nn.Hardsigmoid) for part in network.modules())
    expected = largest_eigenvalue(network, images[0], labels[:1])
    off = abs(eigenvalue / expected - 1)
    print(f"{name}: largest eigenvalue {eigenvalue:.6g}, expected {expected:.6g}, off by {off:.1e}")
    return worst > 0.01 or (twice and off > 1e-3)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cure", default="target/release/cure")
    parser.add_argument(
        "--shared", type=Path, default=Path("../shared"), help="a folder with data/cifar10 and weights/"
    )
    parser.add_argument("--device", default="torch:cpu")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--networks", nargs="+", default=["resnet18", "mobilenet_v3_small", "vit"])
    options = parser.parse_args()
    images, _ = load_cifar10_test(options.shared / "data" / "cifar10", options.limit)
    networks = {
        "resnet18": lambda: load_published("resnet18-pyautoattack", options.shared / "weights"),
        "mobilenet_v3_small": lambda: mobilenet(images),
        "vit": lambda: transformer(images),
    }
    failed = [
        compare(options, name, networks[name](), images) for name in options.networks
    ]
    sys.exit(any(failed))


if __name__ == "__main__":
    main()
