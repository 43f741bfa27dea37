"""Compares `cure geometry profile` with PyTorch and curvlinops on the same weights and images.

    pip install torch==2.11.0 numpy scipy curvlinops-for-pytorch
    python parity/curvature.py --cure target/release/cure

Two comparisons, each in a line an image:

* all 3072 eigenvalues of a small smooth network's Hessian over the input, exact, beside those of
  `torch.autograd.functional.hessian` in float64;
* the ten largest eigenvalues of the published ResNet-20's, by our Lanczos method, beside scipy's
  `eigsh` on curvlinops' `HessianLinearOperator` of a module whose one parameter is the image, in
  float64.

Exit code 1 where an eigenvalue differs by more than 1e-3 of itself; those under 1e-3 of the largest
magnitude are compared with that instead.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from networks import load_cifar10_test, load_published

TOLERANCE = 1e-3
BETA = 10.0


class Smooth(nn.Module):
    """`cnn+softplus`: two convolutions and two linear layers."""

    def __init__(self, width=16, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(2 * width * 16 * 16, 4 * width)
        self.fc2 = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = F.softplus(self.conv1(x), beta=BETA)
        x = F.softplus(self.conv2(x), beta=BETA)
        x = F.softplus(self.fc1(x.flatten(1)), beta=BETA)
        return self.fc2(x)


class ImageAsParameter(nn.Module):
    def __init__(self, network, image):
        super().__init__()
        self.image = nn.Parameter(image)
        # In a list, so that its weights are not parameters of this module.
        self.network = [network]

    def forward(self, _):
        return self.network[0](self.image)


def run(options, *arguments):
    """A measurement of ours; the folder of its results is the caller's."""
    command = [options.cure, "geometry", "profile", "--quiet", *map(str, arguments)]
    data = ["--data", f"cifar10:{options.shared}/data/cifar10"]
    subprocess.run([*command, *data], check=True, stdout=subprocess.DEVNULL)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def difference(found, expected):
    """The largest difference, as a share of each eigenvalue that is not small beside the largest."""
    found, expected = numpy.asarray(found), numpy.asarray(expected)
    assert found.shape == expected.shape, f"{found.shape} eigenvalues, expected {expected.shape}"
    size = numpy.maximum(abs(expected), TOLERANCE * abs(expected).max())
    return float((abs(found - expected) / size).max())


def whole_spectrum(options, image, label, index):
    torch.manual_seed(0)
    network = Smooth()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        torch.save(network.state_dict(), folder / "smooth.pt")
        model = ["--weights", folder / "smooth.pt", "--model", f"cnn+softplus={BETA:g}"]
        where = ["--normalize", "none", "--indices", f"{index}..{index + 1}"]
        run(options, *model, *where, "--operator", "exact", "--out", folder / "out")
        found = [float(row["mean"]) for row in rows(folder / "out" / "profile.csv")]
    network = network.double()

    def loss(x):
        return F.cross_entropy(network(x.reshape(1, 3, 32, 32)), label)

    hessian = torch.autograd.functional.hessian(loss, image.double().flatten(), vectorize=True)
    return found, torch.linalg.eigvalsh(hessian).flip(0).numpy()


def largest(options, network, image, label, index, count=10):
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    weights = options.shared / "weights" / "resnet20-akamaster.th"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = ["--weights", weights, "--normalize", "imagenet"]
        where = ["--indices", f"{index}..{index + 1}"]
        how = ["--operator", "exact", "--top", count, "--bottom", 0]
        run(options, *model, *where, *how, "--out", folder / "out")
        found = [float(row["eigenvalue"]) for row in rows(folder / "out" / "ends-samples.csv")]
    module = ImageAsParameter(network, image.double()[None])
    operator = HessianLinearOperator(
        module, nn.CrossEntropyLoss(), [module.image], [(torch.zeros(1), label)]
    )
    expected = eigsh(operator.to_scipy(), k=count, which="LA", return_eigenvectors=False)
    return found, numpy.sort(expected)[::-1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cure", default="target/release/cure")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--images", type=int, default=3)
    options = parser.parse_args()
    images, labels = load_cifar10_test(options.shared / "data" / "cifar10", options.images)
    network = load_published("resnet20-akamaster", options.shared / "weights").double()
    worst = 0.0
    for index in range(options.images):
        image, label = images[index], labels[index : index + 1]
        for name, (found, expected) in [
            ("all eigenvalues, smooth network", whole_spectrum(options, image, label, index)),
            ("ten largest, ResNet-20", largest(options, network, image, label, index)),
        ]:
            off = difference(found, expected)
            worst = max(worst, off)
            print(
                f"image {index}: {name}: {found[0]:.6g}, expected {expected[0]:.6g}; "
                f"largest difference {off:.1e}"
            )
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
